//! The master key in a real keyring: gnome-keyring in a session bus of the test's own.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::definition::{Definition, key_of};
use crate::support::home::Home;
use crate::tools::{Need, root};

/// A locked keyring may keep the program waiting for as long as it waits for anybody, and the session a moment more.
const LIMIT: Duration = Duration::from_secs(60);

const UNLOCK: &str = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";

type Test = (&'static str, Box<dyn FnOnce() + Send>);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("a_key_in_the_keyring_opens_the_vault_and_a_lost_one_is_never_replaced", Box::new(holds)),
        ("rekey_moves_into_the_keyring_within_it_and_out_of_it", Box::new(moves)),
        ("a_python_home_whose_key_is_in_the_keyring_is_imported", Box::new(imports)),
        ("without_a_keyring_it_is_exit_7_with_what_to_do", Box::new(absent)),
        ("a_locked_keyring_is_exit_7_and_no_hang", Box::new(locked)),
    ]
}

pub(crate) fn missing() -> Option<String> {
    ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"]
        .into_iter()
        .find_map(|name| Need::Program(name).missing())
}

fn home() -> Home {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home
}

/// Runs a script in which `authsome` is the program with this home, in a session of its own.
fn session(home: &Home, script: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_authsome");
    let prelude = format!("authsome() {{ {program} --home {} \"$@\"; }}", home.path().display());
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-euc", &format!("{prelude}\n{script}")]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home.scratch()).env("XDG_RUNTIME_DIR", home.runtime()).env("LANG", "C.UTF-8");
    command.env("KEY", key_of("alpha")).current_dir(root());
    let started = Instant::now();
    let output = command.output().unwrap();
    assert!(started.elapsed() < LIMIT, "{output:?}");
    output
}

#[track_caller]
fn prints(home: &Home, script: &str) -> String {
    let output = session(home, &format!("{UNLOCK}\n{script}"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const GET: &str = "authsome get alpha --field api_key --show-secret";

fn holds() {
    let home = home();
    let script = "
        authsome --quiet init --encryption keyring
        printf %s \"$KEY\" | authsome --quiet login alpha --stdin
        authsome get alpha --field api_key --show-secret
        secret-tool search service authsome 2>/dev/null | grep -c '^secret = '";
    assert_eq!(prints(&home, script), format!("{}\n1\n", key_of("alpha")));
    assert!(!home.path().join("master.key").exists());
    let script = format!("secret-tool clear service authsome; {GET} --json || echo $?");
    let printed = prints(&home, &script);
    assert!(printed.ends_with("7\n") && printed.contains("is sealed already"), "{printed}");
}

fn moves() {
    let home = home();
    home.login("alpha", &key_of("alpha"));
    let entries = "secret-tool search --all service authsome 2>/dev/null | grep '^secret = ' | wc -l";
    let script = format!(
        "authsome --quiet vault rekey --to keyring; {GET}; {entries}
         authsome --quiet vault rekey; {GET}; {entries}
         authsome --quiet vault rekey --to local_key; {GET}; {entries}"
    );
    let key = key_of("alpha");
    assert_eq!(prints(&home, &script), format!("{key}\n1\n{key}\n1\n{key}\n0\n"));
    assert!(home.path().join("master.key").exists());
}

fn imports() {
    let home = Home::new();
    copy(&root().join("tests/fixtures/python-home/keyring"), &home.path());
    let script = "
        secret-tool store --label=python service authsome username master_key <tests/fixtures/python-home/keyring.key
        authsome --quiet vault import \"$HOME/home\"
        authsome get openai --field api_key --show-secret";
    // The file ends in a line end, which a person would not type.
    assert_eq!(prints(&home, script), "sk-keyring3456789abcdefghijklmnopqr\n");
    assert!(home.scratch().join("home.python/version").exists() && !home.path().join("master.key").exists());
}

fn absent() {
    let home = home();
    let mut command = home.command();
    let output = command.args(["--json", "init", "--encryption", "keyring"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{printed}");
    assert!(printed.contains("EncryptionUnavailableError") && printed.contains("passphrase"), "{printed}");
}

fn locked() {
    let home = home();
    let script =
        "authsome --quiet init --encryption keyring; printf %s \"$KEY\" | authsome -q login alpha --stdin";
    prints(&home, script);
    // In a new session nobody has unlocked it.
    let output = session(&home, &format!("{GET} --json || echo $?"));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.ends_with("7\n") && printed.contains("EncryptionUnavailableError"), "{printed}");
    assert_eq!(prints(&home, GET), format!("{}\n", key_of("alpha")));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}
