//! What the commands print, for programs and for people.

use std::io::Read;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::definition::{Definition, key_of};
use crate::support::home::Home;

fn connected() -> Home {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home.login("alpha", &key_of("alpha"));
    home
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command line, and all that came of it.
fn told(arguments: &[&str], output: &Output) -> String {
    let stderr: String = text(&output.stderr).lines().map(|line| format!("2> {line}\n")).collect();
    let code = output.status.code().unwrap();
    format!("$ authsome {}\n{}{stderr}exit {code}\n\n", arguments.join(" "), text(&output.stdout))
}

fn transcript(home: &Home, commands: &[&[&str]]) -> String {
    commands.iter().map(|arguments| told(arguments, &home.run(arguments))).collect()
}

/// Compares with the stored transcript, whatever the time and the place.
fn matches(name: &str, home: &Home, transcript: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(&regex_free(&home.scratch().display().to_string()), "[scratch]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]");
    settings.add_filter(r"\b\d+s ago", "[ago]");
    settings.add_filter(r"\b\d+\.\d+\.\d+\b", "[version]");
    settings.add_filter(r"\b[0-9a-f]{64}\b", "[fingerprint]");
    settings.add_filter(r"\b\d+ (total|providers)", "[count] $1");
    settings.add_filter(r#""providers_count": \d+"#, r#""providers_count": [count]"#);
    settings.bind(|| insta::assert_snapshot!(name, transcript));
}

fn regex_free(path: &str) -> String {
    path.replace('.', "\\.")
}

#[test]
fn documents_for_programs_keep_their_shape() {
    let home = connected();
    let given = home.scratch().join("given.json");
    std::fs::write(&given, Definition::bearer("given", "api.given.test").0.to_string()).unwrap();
    let mut printed = transcript(&home, &[&["--json", "init"], &["--json", "whoami"]]);
    let login: &[&str] = &["--json", "login", "alpha", "--connection", "work", "--stdin"];
    printed += &told(login, &home.run_with(login, "sk-work"));
    printed += &transcript(
        &home,
        &[
            &["--json", "get", "alpha"],
            &["--json", "get", "alpha", "--field", "api_key"],
            &["--json", "export", "alpha"],
            &["--json", "inspect", "alpha"],
            &["--json", "connection", "list"],
            &["--json", "connection", "default", "alpha", "work"],
            &["--json", "profile", "create", "second", "--description", "another"],
            &["--json", "profile", "list"],
            &["--json", "profile", "use", "default"],
            &["--json", "explain", "https://api.alpha.test/v1"],
            &["--json", "ca", "status"],
            &["--json", "doctor"],
            &["--json", "logout", "alpha", "--connection", "work"],
            &["--json", "revoke", "alpha"],
            &["--json", "register", given.to_str().unwrap()],
            &["--json", "remove", "given"],
            &["--json", "--version"],
        ],
    );
    matches("documents", &home, &printed);
}

#[test]
fn every_failure_is_one_document_with_its_name_and_code() {
    let home = connected();
    let commands: &[&[&str]] = &[
        &["--json"],
        &["--json", "nonsense"],
        &["--json", "list", "--nonsense"],
        &["get", "--json"],
        &["--json", "inspect", "alpah"],
        &["--json", "get", "openai"],
        &["--json", "get", "alpha", "--connection", "other"],
        &["--json", "get", "alpha", "--field", "other"],
        &["--json", "login", "github", "--flow", "dcr_pkce"],
        &["--json", "login", "alpha", "--stdin"],
        &["--json", "--profile", "other", "list"],
        &["--json", "--profile", "../other", "list"],
        &["--json", "register", "/does/not/exist.json"],
        &["--json", "run", "--intercept", "isolate", "true"],
        &["--json", "run", "--require", "openai", "true"],
        &["--json", "run", "/does/not/exist"],
        &["--json", "explain", "http://api.alpha.test"],
    ];
    for arguments in commands {
        let output = home.run(arguments);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document["error"].as_str().unwrap().ends_with("Error"), "{document}");
    }
    matches("failures", &home, &transcript(&home, commands));
}

#[test]
fn a_person_reads_tables_on_80_columns_and_relative_times() {
    let home = connected();
    let commands: &[&[&str]] = &[
        &["list", "--connected"],
        &["get", "alpha"],
        &["whoami"],
        &["connection", "list"],
        &["profile", "list"],
        &["log"],
        &["doctor"],
        &["explain", "api.alpha.test"],
        &["explain", "https://api.openai.com/v1/models"],
        &["ca", "status"],
        &["get", "openai"],
        &["inspect", "opnai"],
        &["--quiet", "logout", "alpha"],
        &["connection", "list"],
    ];
    let printed = transcript(&home, commands);
    matches("texts", &home, &printed);
    let list = home.ok(&["list"]);
    assert!(list.starts_with("Providers: ") && list.contains(" total, 0 connected\n\nProvider "), "{list}");
    assert!(
        list.contains("OpenAI [openai]") && list.lines().all(|line| line.chars().count() <= 80),
        "{list}"
    );
}

#[test]
fn colours_are_for_terminals_alone() {
    let home = connected();
    for arguments in [&["list"][..], &["doctor"], &["get", "nobody"], &["--help"], &["nonsense"]] {
        let output = home.run(arguments);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = connected();
    let mut child = home
        .command()
        .args(["inspect", "--schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(complaint, "");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let home = connected();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = home.command().arg("list").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("standard output cannot be written"), "{output:?}");
}

#[test]
fn export_serves_a_shell_a_file_and_a_program() {
    let home = connected();
    home.login_with(&["login", "alpha", "--stdin", "--force"], "it's$HOME\n");
    let shell = home.ok(&["export", "alpha", "--format", "shell", "--prefix", "X_"]);
    assert_eq!(shell, "export X_ALPHA_API_KEY='it'\\''s$HOME'\n");
    let script = format!("{shell}printf %s \"$X_ALPHA_API_KEY\"");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(text(&output.stdout), "it's$HOME");
    assert_eq!(home.ok(&["export"]), "ALPHA_API_KEY=it's$HOME\n");
    let document: Value = serde_json::from_str(&home.ok(&["export", "--format", "json"])).unwrap();
    assert_eq!(document, serde_json::json!({"ALPHA_API_KEY": "it's$HOME"}));
    assert_eq!(home.run(&["export", "--prefix", "A B"]).status.code(), Some(2));
    assert!(home.audit().iter().any(|entry| entry["event"] == "export" && entry["provider"] == "alpha"));
}

#[test]
fn an_inspected_definition_is_a_valid_one() {
    let home = connected();
    home.login_with(&["login", "openai", "--stdin"], "sk-0123456789abcdefghijklmnopqrstuv");
    let printed = home.ok(&["inspect", "openai"]);
    assert!(printed.contains("\"connections\"") && !printed.contains("sk-0123"), "{printed}");
    let file = home.scratch().join("openai.json");
    std::fs::write(&file, printed).unwrap();
    home.ok(&["register", file.to_str().unwrap(), "--force"]);
    let list: Value = serde_json::from_str(&home.ok(&["--json", "list"])).unwrap();
    assert!(list["custom"].as_array().unwrap().iter().any(|provider| provider["name"] == "openai"), "{list}");
    home.ok(&["get", "openai"]);
    serde_json::from_str::<Value>(&home.ok(&["inspect", "--schema"])).unwrap();
}

#[test]
fn what_a_definition_calls_itself_cannot_steer_the_terminal() {
    let home = connected();
    let name = serde_json::json!("Evil\u{202e}\u{200b}");
    home.define(&Definition::bearer("evil", "api.evil.test").with("display_name", name));
    let list = home.ok(&["list"]);
    assert!(list.contains("Evil\u{fffd}\u{fffd} [evil]"), "{list}");
}

#[test]
fn the_log_goes_where_it_is_told_to() {
    let home = connected();
    let given = home.scratch().join("given.log");
    home.ok(&["--log-file", given.to_str().unwrap(), "list"]);
    assert!(given.exists());
    let log = home.path().join("logs/authsome.log");
    std::fs::remove_file(&log).unwrap();
    home.ok(&["--log-file", "", "list"]);
    assert!(!log.exists());
    home.ok(&["list"]);
    assert!(log.exists());
    let output = home.run(&["--log-file", "/does/not/exist/log", "list"]);
    assert!(output.status.success() && text(&output.stderr).contains("nothing is logged"), "{output:?}");
}

#[test]
fn a_shell_gets_completions() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.ok(&["completions", shell]).contains("whoami"), "{shell}");
    }
    assert!(!home.path().exists(), "completions made a home");
}

#[test]
fn the_doctor_gives_no_advice_about_what_it_cannot_see() {
    let home = connected();
    std::fs::write(home.path().join("master.key"), "{}").unwrap();
    let report: Value = serde_json::from_slice(&home.run(&["--json", "doctor"]).stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(check("master key")["ok"], false);
    for name in ["store", "connections"] {
        assert_eq!(check(name)["fix"], "mend the master key first", "{report}");
    }
    std::fs::write(home.path().join("version"), "999\n").unwrap();
    let output = home.run(&["--json", "doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["checks"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["issues"][0].as_str().unwrap().contains("999"), "{report}");
}

#[test]
fn names_are_shown_where_the_key_is_not_at_hand() {
    let home = connected();
    std::fs::remove_file(home.path().join("master.key")).unwrap();
    let list = home.ok(&["list", "--connected"]);
    assert!(list.contains("sealed") && list.contains("0 connected"), "{list}");
    assert_eq!(home.run(&["get", "alpha"]).status.code(), Some(7));
    assert_eq!(home.run_with(&["login", "alpha", "--stdin", "--force"], "x").status.code(), Some(7));
}

#[test]
fn a_login_outside_of_the_homes_ca_is_said() {
    let home = connected();
    home.ok(&["ca", "export"]);
    home.define(&Definition::bearer("late", "api.late.test"));
    let output = home.run_with(&["login", "late", "--stdin"], "key");
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("does not vouch for api.late.test"), "{output:?}");
}
