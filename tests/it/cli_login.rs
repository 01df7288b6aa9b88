//! How a key comes in: a variable, a person at a terminal, a pipe; never an argument.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::json;

use crate::support::PATIENCE;
use crate::support::definition::Definition;
use crate::support::home::Home;

const KEY: &str = "sk-typed-5ca1ab1e0ddba11c0ffee";

fn home() -> Home {
    let home = Home::new();
    home.define(&Definition::bearer("alpha", "api.alpha.test"));
    home
}

fn key(home: &Home, arguments: &[&str]) -> String {
    home.ok(&[&["get", "alpha", "--field", "api_key", "--show-secret"], arguments].concat()).trim().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command at a terminal, and a person who types there.
struct Terminal {
    child: Child,
    screen: Receiver<Vec<u8>>,
    keyboard: File,
    line: OwnedFd,
    seen: String,
}

impl Terminal {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command();
        command.args(arguments);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let pair = openpty(None, None).unwrap();
        command
            .stdin(pair.slave.try_clone().unwrap())
            .stderr(pair.slave.try_clone().unwrap())
            .stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let keyboard = File::from(pair.master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 1024];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, screen, keyboard, line: pair.slave, seen: String::new() }
    }

    /// Waits for a text on the screen.
    #[track_caller]
    fn sees(&mut self, expected: &str) {
        while !self.seen.contains(expected) {
            let chunk = self.screen.recv_timeout(PATIENCE);
            let chunk = chunk.unwrap_or_else(|_| panic!("no {expected:?} on the screen: {:?}", self.seen));
            self.seen += &text(&chunk);
        }
    }

    /// Waits until a text is on the screen for the second time.
    #[track_caller]
    fn sees_again(&mut self, expected: &str) {
        while self.seen.matches(expected).count() < 2 {
            let chunk = self.screen.recv_timeout(PATIENCE);
            let chunk = chunk.unwrap_or_else(|_| panic!("no second {expected:?}: {:?}", self.seen));
            self.seen += &text(&chunk);
        }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    /// Exit code and standard output.
    #[track_caller]
    fn end(&mut self) -> (Option<i32>, String) {
        let mut stdout = self.child.stdout.take().unwrap();
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let mut printed = String::new();
            stdout.read_to_string(&mut printed).unwrap();
            // Nobody listens once the test has failed.
            let _ = sender.send(printed);
        });
        let printed = ended.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no end: {:?}", self.seen));
        (self.child.wait().unwrap().code(), printed)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_key_typed_at_a_terminal_is_masked_and_its_destination_shown_before() {
    let home = home();
    let mut terminal = Terminal::start(&home, &["login", "alpha"]);
    terminal.sees("API key: ");
    assert!(terminal.seen.contains("api.alpha.test"), "{}", terminal.seen);
    assert!(!terminal.echoes());
    terminal.types(&format!("{KEY}x\u{7f}\r"));
    terminal.sees("connected");
    assert_eq!(terminal.end(), (Some(0), String::new()));
    assert!(
        terminal.seen.contains(&"*".repeat(KEY.len())) && !terminal.seen.contains(KEY),
        "{}",
        terminal.seen
    );
    assert!(terminal.echoes(), "the terminal stays silent");
    assert_eq!(key(&home, &[]), KEY);
}

#[test]
fn where_no_browser_can_be_started_the_terminal_asks() {
    let home = home();
    for browser in ["/does/not/exist", "false", "w3m"] {
        let mut command = home.command();
        command.env("BROWSER", browser).args(["login", "alpha", "--force"]);
        let mut terminal = Terminal::of(command);
        terminal.sees("no page can be shown");
        terminal.sees("API key: ");
        terminal.types(&format!("{KEY}\r"));
        terminal.sees("connected");
        assert_eq!(terminal.end().0, Some(0));
    }
    assert_eq!(key(&home, &[]), KEY);
}

#[test]
fn a_person_at_a_terminal_is_told_where_the_page_is() {
    let home = home();
    let mut command = home.command();
    command.env("BROWSER", "true").args(["--quiet", "login", "alpha"]);
    let mut terminal = Terminal::of(command);
    terminal.sees("if none appears, open http://127.0.0.1:");
    assert!(!terminal.seen.contains("API key"), "{}", terminal.seen);
}

#[test]
fn a_key_is_never_typed_where_it_can_be_read() {
    let home = home();
    let mut terminal = Terminal::start(&home, &["login", "alpha", "--stdin"]);
    assert_eq!(terminal.end().0, Some(2));
    let mut terminal = Terminal::start(&home, &["--quiet", "login", "alpha"]);
    terminal.sees("api.alpha.test");
    terminal.sees("API key: ");
    assert!(!terminal.echoes());
}

#[test]
fn a_key_longer_than_a_terminals_line_is_taken_whole() {
    let home = home();
    let long = format!("sk-{}", "0123456789".repeat(900));
    let mut terminal = Terminal::start(&home, &["login", "alpha"]);
    terminal.sees("API key: ");
    terminal.types(&format!("{long}\r"));
    terminal.sees("connected");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(key(&home, &[]), long);
}

#[test]
fn a_person_who_gives_up_or_does_not_answer_ends_it_with_4_and_an_echo() {
    let home = home();
    for keys in ["half\u{3}", "\u{4}", ""] {
        let mut terminal = Terminal::start(&home, &["--json", "login", "alpha", "--timeout", "1"]);
        terminal.sees("API key: ");
        terminal.types(keys);
        let (code, printed) = terminal.end();
        assert_eq!(code, Some(4), "{printed}");
        assert!(printed.contains("InputCancelledError"), "{printed}");
        assert!(terminal.echoes(), "the terminal stays silent");
    }
    assert_eq!(home.run(&["get", "alpha"]).status.code(), Some(5));
}

#[test]
fn fields_that_are_no_secret_are_asked_openly_and_a_mistake_is_asked_again() {
    let home = Home::new();
    home.define(
        &Definition::bearer("alpha", "{tenant}.alpha.test")
            .with("fields", json!([{"name": "tenant", "label": "Subdomain", "default": "main"}])),
    );
    let mut terminal = Terminal::start(&home, &["login", "alpha"]);
    terminal.sees("Subdomain [main]: ");
    terminal.types("not.a.label\r");
    terminal.sees("one label");
    terminal.sees_again("Subdomain [main]: ");
    terminal.types("acme\r");
    terminal.sees("acme.alpha.test");
    terminal.sees("API key: ");
    terminal.types(&format!("{KEY}\r"));
    terminal.sees("connected");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(home.ok(&["get", "alpha", "--field", "tenant"]), "acme\n");
}

fn with_variable(home: &Home, arguments: &[&str]) -> Output {
    home.command().args(arguments).env("ALPHA_ENV_KEY", KEY).output().unwrap()
}

#[test]
fn a_variable_of_a_custom_definition_is_read_only_after_a_yes() {
    let home = Home::new();
    let block = json!({"header_name": "Authorization", "env_var": "ALPHA_ENV_KEY"});
    home.define(&Definition::bearer("alpha", "api.alpha.test").with("api_key", block));
    let output = with_variable(&home, &["login", "alpha"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text(&output.stderr).contains("ALPHA_ENV_KEY is not read"), "{output:?}");
    assert_eq!(home.run(&["get", "alpha"]).status.code(), Some(5));
}

#[test]
fn a_variable_of_a_bundled_definition_is_read_and_said() {
    let home = Home::new();
    let key = "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefgh-AA";
    let output = home.command().args(["login", "anthropic"]).env("ANTHROPIC_API_KEY", key).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("ANTHROPIC_API_KEY") && !said.contains(key), "{said}");
}

#[test]
fn a_piped_key_is_read_with_and_without_the_flag() {
    let home = home();
    home.login_with(&["login", "alpha"], &format!("{KEY}\n"));
    assert_eq!(key(&home, &[]), KEY);
    home.login_with(&["login", "alpha", "--stdin", "--connection", "second"], "other");
    assert_eq!(key(&home, &["--connection", "second"]), "other");
    let nothing = home.run_with(&["login", "alpha", "--stdin", "--connection", "third"], "");
    assert_eq!(nothing.status.code(), Some(4), "{nothing:?}");
}

#[test]
fn several_values_are_read_one_a_line_by_name_or_in_order() {
    let fields = json!([{"name": "account_sid", "label": "Account"}]);
    let basic = json!({"basic": {"username": "{account_sid}", "password": "{api_key}"}});
    let definition = Definition::bearer("alpha", "api.alpha.test").with("fields", fields);
    let definition = definition.with("api_key", json!({"placement": basic}));
    for input in ["AC1\nsecret\n", "api_key=secret\naccount_sid=AC1\n"] {
        let home = Home::new();
        home.define(&definition);
        home.login_with(&["login", "alpha", "--stdin"], input);
        assert_eq!(home.ok(&["get", "alpha", "--field", "account_sid"]), "AC1\n");
        assert_eq!(key(&home, &[]), "secret");
    }
    let home = Home::new();
    home.define(&definition);
    let short = home.run_with(&["login", "alpha", "--stdin"], "secret\n");
    assert_eq!(short.status.code(), Some(2));
    assert!(text(&short.stderr).contains("account_sid, api_key"), "{short:?}");
}

#[test]
fn a_connection_that_works_is_replaced_only_by_force() {
    let home = home();
    home.login("alpha", KEY);
    let again = home.run_with(&["login", "alpha", "--stdin"], "other");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("--force"), "{again:?}");
    assert_eq!(key(&home, &[]), KEY);
    for (flag, value) in [("--force", "forced"), ("--reset", "reset")] {
        home.login_with(&["login", "alpha", "--stdin", flag], value);
        assert_eq!(key(&home, &[]), value);
    }
}

#[test]
fn flags_that_mean_nothing_here_are_refused_before_anything_is_read() {
    let home = home();
    for (arguments, code) in [
        (&["login", "alpha", "--scopes", "a,b"][..], 2),
        (&["login", "alpha", "--base-url", "https://x.test"], 2),
        (&["login", "alpha", "--flow", "device_code"], 2),
        (&["login", "openai", "--client-id", "x"], 2),
        (&["login", "alpha", "--connection", "../x", "--stdin"], 2),
        (&["login", "alpha", KEY], 2),
    ] {
        assert_eq!(home.run(arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_changed_definition_gets_the_old_key_only_after_a_yes() {
    let home = home();
    home.login("alpha", KEY);
    home.define(&Definition::bearer("alpha", "api.elsewhere.test"));
    let alone = home.run(&["login", "alpha", "--rebind"]);
    assert_eq!(alone.status.code(), Some(2), "{alone:?}");
    let doctor = home.run(&["doctor"]);
    assert!(
        text(&doctor.stdout).contains("authsome login alpha --connection default --rebind"),
        "{doctor:?}"
    );
    for (answer, code) in [("n\r", 4), ("y\r", 0)] {
        let mut terminal = Terminal::start(&home, &["login", "alpha", "--rebind"]);
        terminal.sees("Allow this? [y/N]: ");
        assert!(terminal.seen.contains("+ api.elsewhere.test"), "{}", terminal.seen);
        terminal.types(answer);
        assert_eq!(terminal.end().0, Some(code));
    }
    assert!(home.run(&["doctor"]).status.success());
    assert_eq!(key(&home, &[]), KEY);
}

#[test]
fn a_definition_is_registered_at_a_terminal_only_after_a_yes() {
    let home = Home::new();
    let file = home.scratch().join("given.json");
    std::fs::write(&file, Definition::bearer("given", "api.given.test").0.to_string()).unwrap();
    let register = ["register", file.to_str().unwrap()];
    for (answer, code) in [("\r", 4), ("y\r", 0)] {
        let mut terminal = Terminal::start(&home, &register);
        terminal.sees("Add this provider? [y/N]: ");
        assert!(terminal.seen.contains("api.given.test"), "{}", terminal.seen);
        terminal.types(answer);
        assert_eq!(terminal.end().0, Some(code));
    }
    assert_eq!(home.run(&register).status.code(), Some(1));
    home.ok(&["register", file.to_str().unwrap(), "--force"]);
    home.ok(&["remove", "given"]);
    assert_eq!(home.run(&["inspect", "given"]).status.code(), Some(3));
}

#[test]
fn what_is_typed_in_for_a_provider_that_takes_both_kinds_is_its_api_key() {
    let home = Home::new();
    home.login_with(&["login", "linear", "--stdin"], "lin_api_0123456789abcdefghijklmnopqrstuvwxyz0123");
    assert_eq!(home.ok(&["get", "linear", "--field", "auth_type"]), "api_key\n");
}

#[test]
fn a_passphrase_is_typed_masked_twice_when_new_and_once_a_command() {
    let home = home();
    let mut terminal = Terminal::start(&home, &["init", "--encryption", "passphrase"]);
    terminal.sees("New passphrase for the vault: ");
    assert!(!terminal.echoes());
    terminal.types("correct horse\r");
    terminal.sees("The new passphrase again: ");
    terminal.types("correct horse\r");
    terminal.sees("is ready");
    assert_eq!(terminal.end().0, Some(0));
    assert!(!terminal.seen.contains("horse"), "{}", terminal.seen);
    let mut terminal = Terminal::start(&home, &["--json", "login", "alpha"]);
    terminal.sees("Passphrase of the vault: ");
    terminal.types("mistyped\r");
    terminal.sees_again("Passphrase of the vault: ");
    terminal.types("correct horse\r");
    terminal.sees("API key: ");
    terminal.types(&format!("{KEY}\r"));
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(terminal.seen.matches("Passphrase of the vault").count(), 2, "{}", terminal.seen);
    let mut terminal = Terminal::start(&home, &["--json", "get", "alpha"]);
    for tried in 0..3 {
        let asked = "Passphrase of the vault: *****\r\r\n".repeat(tried);
        terminal.sees(&format!("{asked}Passphrase of the vault: "));
        terminal.types("wrong\r");
    }
    let (code, printed) = terminal.end();
    assert_eq!(code, Some(7), "{printed}");
    assert_eq!(terminal.seen.matches("Passphrase of the vault").count(), 3, "{}", terminal.seen);
}
