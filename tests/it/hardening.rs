//! Rule 16: what the process keeps to itself.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use http::Version;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::Definition;
use crate::support::home::Home;
use crate::support::proxy::Proxy;
use crate::support::run::{Run, SHELL};
use crate::support::wire::find;
use crate::support::world::{ALPHA, World, alpha_bearer};

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NOBODY: u32 = 65534;

fn owner(process: u32) -> u32 {
    std::fs::metadata(format!("/proc/{process}/mem")).unwrap().uid()
}

/// Hands a command and the folders of its home to a user who is not root; the program becomes a copy that
/// this user can reach.
fn as_nobody(home: &Home, command: &Command) -> Command {
    let program = home.scratch().join("authsome");
    std::fs::copy(command.get_program(), &program).unwrap();
    for folder in [home.scratch(), home.runtime(), program.clone()] {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut copy = Command::new(program);
    copy.args(command.get_args()).env_clear().stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
    copy.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    copy
}

/// A process that is not dumpable belongs to root in `/proc`, whoever runs it, so that its user can neither
/// read its memory nor trace it, and no core is written.
#[test]
fn the_memory_of_a_run_and_of_a_proxy_cannot_be_read_by_their_own_user() {
    let home = Home::new();
    let mut run = home.command();
    run.arg("run").arg("--").args(SHELL);
    let mut proxy = home.command();
    proxy.args(["--json", "proxy", "--listen", "127.0.0.1:0"]);
    let mut user = nix::unistd::geteuid().as_raw();
    if user == 0 {
        (run, proxy) = (as_nobody(&home, &run), as_nobody(&home, &proxy));
        user = NOBODY;
    }
    let run = Run::start(run);
    assert_eq!(owner(run.child), user, "the child is as any other process");
    assert_eq!(owner(run.id()), 0, "the run can be dumped");
    assert_eq!(owner(Proxy::start(proxy).id()), 0, "the proxy can be dumped");
}

fn with_master_key(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command();
    command.args(arguments).env("AUTHSOME_MASTER_KEY", MASTER_KEY);
    command
}

fn holds_master_key(process: u32) -> bool {
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
    find(&environment, MASTER_KEY.as_bytes()).is_some()
}

#[test]
fn the_master_key_is_not_in_the_environment_of_a_run_or_proxy() {
    let home = Home::new();
    let run = Run::start({
        let mut command = with_master_key(&home, &["run", "--"]);
        command.args(SHELL);
        command
    });
    assert!(!holds_master_key(run.id()), "the run");
    let proxy = Proxy::start(with_master_key(&home, &["--json", "proxy", "--listen", "127.0.0.1:0"]));
    assert!(!holds_master_key(proxy.id()), "the proxy");
}

#[test]
fn a_child_gets_no_master_key_and_cannot_open_the_vault() {
    let home = Home::new();
    let mut login = with_master_key(&home, &["login", "openai", "--stdin"]);
    let key = home.scratch().join("key");
    std::fs::write(&key, "sk-0123456789abcdefghijklmnopqrstuv").unwrap();
    assert!(login.stdin(std::fs::File::open(key).unwrap()).status().unwrap().success());
    let file = home.scratch().join("master");
    std::fs::write(&file, MASTER_KEY).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    for (name, value) in [("AUTHSOME_MASTER_KEY", MASTER_KEY), ("AUTHSOME_MASTER_KEY_FILE", path(&file))] {
        let mut command = home.command();
        command.env(name, value).args(["run", "--require", "openai", "--"]).args(SHELL);
        let mut run = Run::start(command);
        assert_eq!(run.variable(name), "");
        assert!(!holds_master_key(run.child), "{name}");
        let program = env!("CARGO_BIN_EXE_authsome");
        run.tell(&format!("{program} --home {} get openai >/dev/null 2>&1; echo $?", path(&home.path())));
        assert_eq!(run.line(), "7", "{name}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a child says about proxies, homes and roots is its own concern.
#[tokio::test]
async fn the_proxy_ignores_what_its_child_sets() {
    let world = World::new().await;
    let settings = [
        "HTTPS_PROXY=http://127.0.0.1:9",
        "https_proxy=http://127.0.0.1:9",
        "ALL_PROXY=http://127.0.0.1:9",
        "AUTHSOME_HOME=/nonexistent",
        "AUTHSOME_PROFILE=other",
        "SSL_CERT_FILE=/nonexistent",
        "SSL_CERT_DIR=/nonexistent",
    ];
    let mut run = Run::start(world.run(&SHELL));
    let client = run.client();
    run.tell(&format!("export {}; echo set; cat", settings.join(" ")));
    assert_eq!(run.line(), "set");
    client.ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await.expect(200);
    assert_eq!(world.origin.only_request().values("authorization"), [alpha_bearer()]);
}

#[tokio::test]
async fn a_run_whose_upstream_proxy_is_another_run_sends_nothing() {
    let world =
        World::builder().provider(Definition::bearer("beta", "up.test")).unmapped("up.test").start().await;
    let first = Run::start(world.run(&SHELL));
    let mut second = world.run(&SHELL);
    second.env("HTTPS_PROXY", first.variable("HTTPS_PROXY"));
    let second = Run::start(second);
    for version in VERSIONS {
        let answer = second.client().ask(version, "up.test:443", &Ask::get("/")).await;
        assert_eq!(answer.refusal().0, 502, "{answer:?}");
    }
    world.origin.expect_no_request();
}
