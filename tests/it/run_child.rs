//! Rules 14, 16, 30, 31 and 33: what a run gives its child, and what it leaves behind.

use std::os::unix::fs::PermissionsExt;

use http::Version;
use nix::sys::signal::Signal;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::{Definition, key_of};
use crate::support::run::{Run, SHELL, alive};
use crate::support::scripted::Scripted;
use crate::support::until;
use crate::support::wire::Wire;
use crate::support::world::{ALPHA, World, alpha_bearer};

fn entries(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn the_child_is_authenticated_and_holds_no_secret() {
    let world = World::new().await;
    let mut run = Run::start(world.run(&SHELL));
    assert_eq!(run.variable("ALPHA_API_KEY"), "authsome-proxy-managed");
    assert_eq!(run.variable("AUTHSOME_PROXY_MODE"), "true");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SSL_CERT_FILE"] {
        assert!(!run.variable(name).is_empty(), "{name}");
    }
    let key = key_of("alpha");
    assert!(run.environment.values().all(|value| !value.contains(&key)), "{:?}", run.environment);
    for version in VERSIONS {
        let ask = Ask::get("/").header("authorization", &format!("Bearer {}", run.variable("ALPHA_API_KEY")));
        run.client().ask(version, ALPHA, &ask).await.expect(200);
        assert_eq!(world.origin.requests().pop().unwrap().values("authorization"), [alpha_bearer()]);
    }
    for process in [run.id(), run.child] {
        for file in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{process}/{file}")).unwrap();
            assert!(crate::support::wire::find(&bytes, key.as_bytes()).is_none(), "{process} {file}");
        }
    }
    run.tell("exit 7");
    assert_eq!(run.ended().await.code(), Some(7));
}

#[tokio::test]
async fn a_run_leaves_no_file_behind() {
    let world = World::new().await;
    let mut run = Run::start(world.run(&SHELL));
    let bundle = std::path::PathBuf::from(run.variable("SSL_CERT_FILE"));
    let folder = bundle.parent().unwrap();
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(folder.starts_with(world.home.runtime()), "{}", folder.display());
    run.tell("exit 0");
    assert!(run.ended().await.success());
    assert_eq!(entries(&world.home.runtime()), [""; 0]);
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_by_the_next_and_a_live_one_is_not_touched() {
    let world = World::new().await;
    let live = Run::start(world.run(&SHELL));
    let mut killed = Run::start(world.run(&SHELL));
    let stale = std::path::PathBuf::from(killed.variable("SSL_CERT_FILE"));
    killed.signal(Signal::SIGKILL);
    killed.ended().await;
    assert!(stale.exists());
    let mut next = Run::start(world.run(&SHELL));
    assert!(!stale.exists(), "the stale file is still there");
    assert_ne!(next.variable("SSL_CERT_FILE"), live.variable("SSL_CERT_FILE"));
    live.client().ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await.expect(200);
    next.tell("exit 0");
    assert!(next.ended().await.success());
    live.client().ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await.expect(200);
}

#[tokio::test]
async fn the_cas_of_two_runs_differ_and_no_key_of_theirs_is_on_disk() {
    let world = World::new().await;
    let (one, other) = (Run::start(world.run(&SHELL)), Run::start(world.run(&SHELL)));
    let leaf = one.client().h1(ALPHA).await.chain;
    assert!(other.client().tunnel(ALPHA).await.tls(&one.client().roots, &hello()).await.is_err());
    assert!(!leaf.is_empty());
    for folder in entries(&world.home.runtime()) {
        for file in walk(&world.home.runtime().join(folder)) {
            let text = std::fs::read(&file).unwrap();
            assert!(crate::support::wire::find(&text, b"PRIVATE KEY").is_none(), "{}", file.display());
        }
    }
}

fn hello() -> crate::support::wire::Hello<'static> {
    crate::support::wire::Hello::to("api.alpha.test", crate::support::tls::H1)
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match std::fs::symlink_metadata(&path).unwrap() {
            metadata if metadata.is_dir() => files.extend(walk(&path)),
            metadata if metadata.is_file() => files.push(path),
            _ => {}
        }
    }
    files
}

#[tokio::test]
async fn a_token_counts_only_from_our_own_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new().await;
    let run = Run::start(world.run(&SHELL));
    let client = run.client();
    let proof = client.authorization().trim().to_owned();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'CONNECT {ALPHA} HTTP/1.1\\r\\nHost: {ALPHA}\\r\\n{proof}\\r\\n\\r\\n' >&3; head -n 1 <&3",
        client.proxy.port()
    );
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "bash", "-c", &script];
    let output = std::process::Command::new("setpriv").args(nobody).output().unwrap();
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(line.starts_with("HTTP/1.1 407"), "{line} {}", String::from_utf8_lossy(&output.stderr));
    client.tunnel(ALPHA).await;
}

#[tokio::test]
async fn a_descendant_needs_no_token_and_a_sibling_does() {
    let world = World::new().await;
    let mut run = Run::start(world.run(&SHELL));
    let client = run.client();
    let head = format!("CONNECT {ALPHA} HTTP/1.1\r\nHost: {ALPHA}\r\n\r\n");
    let sibling = client.open().await.ask(&head).await;
    assert_eq!(sibling.refusal(), (407, "proxy-authentication-required"));
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; printf \"CONNECT {ALPHA} HTTP/1.1\\r\\nHost: {ALPHA}\\r\\n\\r\\n\" >&3; head -n 1 <&3",
        client.proxy.port()
    );
    run.tell(&format!("setsid bash -c '{script}'"));
    assert_eq!(run.line().trim(), "HTTP/1.1 200 OK");
    assert!(run.ended().await.success());
}

#[tokio::test]
async fn the_token_of_a_run_that_ended_is_refused_by_the_next() {
    let world = World::new().await;
    let mut ended = Run::start(world.run(&SHELL));
    let old = ended.client();
    ended.tell("exit 0");
    ended.ended().await;
    assert!(tokio::net::TcpStream::connect(old.proxy).await.is_err(), "the listener of a run that ended");
    let next = Run::start(world.run(&SHELL));
    let mut client = next.client();
    client.token = old.token;
    assert_eq!(client.connect(ALPHA).await.0.refusal().0, 407);
}

#[tokio::test]
async fn exit_codes_are_the_childs_own() {
    let world = World::new().await;
    for (child, code) in [
        (vec!["true"], 0),
        (vec!["sh", "-c", "exit 3"], 3),
        (vec!["sh", "-c", "kill -9 $$"], 137),
        (vec!["sh", "-c", "kill -15 $$"], 143),
        (vec!["/nonexistent/command"], 127),
        (vec!["/etc/passwd"], 126),
    ] {
        let output = world.run(&child).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{child:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(entries(&world.home.runtime()), [""; 0]);
}

#[tokio::test]
async fn signals_end_the_run_its_child_and_its_files() {
    let world = World::new().await;
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let mut run = Run::start(world.run(&SHELL));
        run.signal(signal);
        let status = run.ended().await;
        assert_eq!(status.code(), Some(code), "{signal}");
        assert!(!alive(run.child), "{signal}: the child lives on");
        assert_eq!(entries(&world.home.runtime()), [""; 0], "{signal}");
    }
}

#[tokio::test]
async fn what_the_child_left_running_is_ended() {
    let world = World::new().await;
    let mut run = Run::start(world.run(&SHELL));
    run.tell("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!");
    let orphan: u32 = run.line().parse().unwrap();
    assert!(run.ended().await.success());
    until("the orphan to end", || !alive(orphan)).await;
}

#[tokio::test]
async fn secrets_of_the_parents_environment_do_not_reach_the_child() {
    let world = World::new().await;
    let mut command = world.run(&SHELL);
    command.env("AUTHSOME_BETA_API_KEY_FILE", "/nonexistent").env("AUTHSOME_BETA_API_KEY", "other-secret");
    command.env("MY_OWN_COPY", format!("x{}y", key_of("alpha"))).env("MY_OWN_VALUE", "harmless");
    let run = Run::start(command);
    for name in ["AUTHSOME_BETA_API_KEY_FILE", "AUTHSOME_BETA_API_KEY", "MY_OWN_COPY"] {
        assert_eq!(run.variable(name), "", "{name}");
    }
    assert_eq!(run.variable("MY_OWN_VALUE"), "harmless");
}

#[tokio::test]
async fn secrets_of_connections_that_the_run_does_not_use_do_not_reach_the_child_either() {
    let world = World::new().await;
    world.home.login_with(&["login", "alpha", "--stdin", "--connection", "second"], "second-key-of-alpha");
    let mut command = world.run(&SHELL);
    command.env("MY_OWN_COPY", "second-key-of-alpha");
    assert_eq!(Run::start(command).variable("MY_OWN_COPY"), "");
}

#[tokio::test]
async fn the_child_starts_with_no_signal_blocked_or_ignored() {
    let world = World::new().await;
    let output = world.run(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for mask in text.split_whitespace().skip(1).step_by(2) {
        let mask = u64::from_str_radix(mask, 16).unwrap();
        // Signal 32 and above are the C library's own.
        assert_eq!(mask & 0x7fff_ffff, 0, "{text}");
    }
    let output = world.run(&["sh", "-c", "kill -15 $$; echo alive"]).output().unwrap();
    assert_eq!(output.status.code(), Some(143));
}

#[tokio::test]
async fn inside_a_run_nothing_can_be_changed_or_shown() {
    let world = World::new().await;
    let program = env!("CARGO_BIN_EXE_authsome");
    let home = world.home.path();
    for arguments in [
        "run -- true",
        "proxy",
        "export alpha",
        "get alpha --show-secret",
        "login alpha --stdin --force",
        "remove alpha",
        "register /nonexistent.json",
    ] {
        let line = format!("{program} --home {} {arguments} </dev/null", home.display());
        let output = world.run(&["sh", "-c", &line]).output().unwrap();
        assert!(!output.status.success(), "{arguments} was done inside a run");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(!printed.contains(&key_of("alpha")), "{arguments}: {printed}");
    }
    let looked =
        world.run(&["sh", "-c", &format!("{program} --home {} list", home.display())]).output().unwrap();
    assert!(looked.status.success());
    world.home.audited("refused", |entry| entry.to_string().contains("export")).await;
}

#[tokio::test]
async fn a_host_that_was_logged_in_after_the_start_is_outside_the_runs_ca() {
    let world = World::builder().name("api.late.test").start().await;
    let run = Run::start(world.run(&SHELL));
    world.home.define(&Definition::bearer("late", "api.late.test"));
    world.home.login("late", &key_of("late"));
    let (answer, _) = run.client().connect("api.late.test:443").await;
    assert_eq!(answer.refusal(), (502, "outside-run-ca"));
}

#[tokio::test]
async fn a_required_provider_that_is_not_connected_is_exit_5() {
    let world = World::new().await;
    let mut command = world.home.command();
    let output = command.args(["run", "--require", "alpha,openai", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    let mut command = world.home.command();
    assert!(command.args(["run", "--require", "alpha", "--", "true"]).status().unwrap().success());
}

#[tokio::test]
async fn a_run_uses_the_default_connection_or_the_one_it_is_told() {
    let world = World::new().await;
    world.home.login_with(&["login", "alpha", "--stdin", "--connection", "second"], "second-key");
    for (flags, key) in
        [(vec![], key_of("alpha")), (vec!["--connection", "alpha=second"], "second-key".to_owned())]
    {
        let run = Run::start(world.run_with(&flags, &SHELL));
        run.client().ask(Version::HTTP_11, ALPHA, &Ask::get("/")).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values("authorization"), [format!("Bearer {key}")]);
    }
}

#[tokio::test]
async fn an_upstream_proxy_of_the_parents_environment_carries_our_own_connections() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let builder = World::builder().provider(Definition::bearer("beta", "up.test")).unmapped("up.test");
    let world = builder.start().await;
    let origin = world.origin.address;
    let corporate = Scripted::tcp(move |_, socket| {
        let sender = sender.clone();
        async move {
            let mut wire = Wire::new(socket);
            sender.send(String::from_utf8(wire.until("\r\n\r\n").await).unwrap()).unwrap();
            wire.send("HTTP/1.1 200 Connected\r\n\r\n").await;
            let mut upstream = tokio::net::TcpStream::connect(origin).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut wire.into_stream(), &mut upstream).await;
        }
    })
    .await;
    let mut command = world.run(&SHELL);
    command.env("HTTPS_PROXY", format!("http://office:pass@{}", corporate.address));
    let run = Run::start(command);
    for version in VERSIONS {
        run.client().ask(version, "up.test:443", &Ask::get("/")).await.expect(200);
    }
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("CONNECT up.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic b2zmawnlonbhc3m="), "{head}");
    for seen in world.origin.requests() {
        assert_eq!(seen.values("authorization"), [format!("Bearer {}", key_of("beta"))]);
        assert!(seen.values("proxy-authorization").is_empty());
    }
}
