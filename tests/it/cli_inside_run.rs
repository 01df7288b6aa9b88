//! Inside a run an agent may look; what changes or reveals something is refused and noted.

use crate::support::definition::{Definition, key_of};
use crate::support::home::Home;

const REFUSED: [&[&str]; 29] = [
    &["export", "alpha"],
    &["get", "alpha", "--show-secret"],
    &["login", "alpha", "--stdin", "--force"],
    &["login", "alpha", "--connection", "new", "--no-browser"],
    &["login", "alpha", "--connection", "new", "--force"],
    &["login", "alpha", "--connection", "new", "--reset"],
    &["login", "alpha", "--connection", "new", "--flow", "api_key"],
    &["login", "alpha", "--connection", "new", "--scopes", "a"],
    &["login", "alpha", "--connection", "new", "--client-id", "a"],
    &["login", "alpha", "--connection", "new", "--base-url", "https://evil.test"],
    &["login", "alpha", "--connection", "new", "--connect-to", "api.alpha.test:443:127.0.0.1:1"],
    &["login", "alpha", "--connection", "new", "--upstream-ca", "/evil.pem"],
    &["login", "alpha", "--rebind"],
    &["logout", "alpha"],
    &["revoke", "alpha"],
    &["remove", "alpha"],
    &["register", "/does/not/matter"],
    &["connection", "default", "alpha", "default"],
    &["profile", "create", "other"],
    &["profile", "use", "default"],
    &["ca", "export"],
    &["vault", "rekey"],
    &["vault", "import", "/does/not/matter"],
    &["init", "--encryption", "passphrase"],
    &["proxy"],
    &["run", "true"],
    &["run", "--print-env"],
    &["--json", "export"],
    &["--json", "run", "--", "true"],
];

const ALLOWED: [&[&str]; 10] = [
    &["list"],
    &["get", "alpha"],
    &["get", "alpha", "--field", "api_key"],
    &["inspect", "alpha"],
    &["explain", "https://api.alpha.test"],
    &["whoami"],
    &["doctor"],
    &["log"],
    &["connection", "list"],
    &["ca", "status"],
];

fn connected() -> Home {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    home
}

/// Runs a command of ours as a run's child, with or without the variable that tells it so.
fn inside(home: &Home, arguments: &[&str], disguised: bool) -> std::process::Output {
    let mut command = home.command();
    command.arg("run").arg("--");
    if disguised {
        command.args(["env", "-u", "AUTHSOME_PROXY_MODE"]);
    }
    command
        .arg(env!("CARGO_BIN_EXE_authsome"))
        .arg("--home")
        .arg(home.path())
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn what_changes_or_reveals_something_is_refused_and_audited() {
    let home = connected();
    for arguments in REFUSED {
        let output = home.command().env("AUTHSOME_PROXY_MODE", "true").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("refused inside a run") && !said.contains(&key_of("alpha")), "{said}");
        // Not for want of a page.
        assert!(!said.contains("no page"), "{said}");
    }
    let audit = home.audit();
    let refused = audit.iter().filter(|entry| entry["event"] == "refused");
    assert_eq!(refused.count(), REFUSED.len());
    assert!(audit.iter().any(|entry| entry["reason"] == "inside-run: get --show-secret"), "{audit:?}");
}

#[test]
fn a_login_needs_a_page_that_the_agent_does_not_choose() {
    let home = connected();
    let block = serde_json::json!({"env_var": "BETA_KEY"});
    home.define(&Definition::bearer("beta", "api.beta.test").with("api_key", block));
    let noted = home.scratch().join("opened");
    let login = |arguments: &[&str]| {
        let mut command = home.command();
        command.env("AUTHSOME_PROXY_MODE", "true").env("BETA_KEY", "an-agents-key");
        command.env("BROWSER", format!("touch {}", noted.display())).arg("login").args(arguments);
        command.output().unwrap()
    };
    for (arguments, human) in [
        (&["alpha", "--connection", "new", "--timeout", "5"][..], "authsome login alpha --connection new"),
        (&["beta"], "authsome login beta"),
    ] {
        let output = login(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("let your human run: {human}\n")), "{said}");
    }
    assert!(String::from_utf8_lossy(&login(&["alpha"]).stderr).contains("already connected"));
    assert!(!noted.exists());
    assert_eq!(home.run(&["get", "beta"]).status.code(), Some(5));
    let refused = home.audit().into_iter().filter(|entry| entry["reason"] == "inside-run: login");
    assert_eq!(refused.count(), 2);
}

#[test]
fn looking_is_allowed() {
    let home = connected();
    for arguments in ALLOWED {
        let output = home.command().env("AUTHSOME_PROXY_MODE", "true").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&key_of("alpha")), "{arguments:?}");
    }
}

#[test]
fn a_child_of_a_run_cannot_hide_that_it_is_one() {
    let home = connected();
    for disguised in [false, true] {
        let output = inside(&home, &["export", "alpha"], disguised);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&key_of("alpha")), "{output:?}");
        assert!(inside(&home, &["list"], disguised).status.success());
    }
    let nested = inside(&home, &["run", "true"], false);
    assert!(String::from_utf8_lossy(&nested.stderr).contains("run the command directly"), "{nested:?}");
}

#[test]
fn all_after_the_command_is_the_commands_own() {
    let home = connected();
    let script = "printf '%s|' \"$@\"";
    for leading in [&["run", "sh"][..], &["run", "--", "sh"], &["run", "--require", "alpha", "sh"]] {
        let arguments = [leading, &["-c", script, "sh", "--json", "-v", "--", "--help"]].concat();
        assert_eq!(home.ok(&arguments), "--json|-v|--|--help|", "{arguments:?}");
    }
    assert_eq!(home.run(&["run", "sh", "-c", "exit 9"]).status.code(), Some(9));
    assert_eq!(home.run(&["run", "sh", "-c", "kill -TERM $$"]).status.code(), Some(143));
    assert_eq!(home.run(&["run", "--no-such-flag", "true"]).status.code(), Some(2));
}
