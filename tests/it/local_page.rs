//! The page that asks for a key: it answers its own origin, one window, once; whatever else comes does not end the wait.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::definition::Definition;
use crate::support::home::Home;

const KEY: &str = "sk-paged-5ca1ab1e0ddba11c0ffee";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn home() -> Home {
    let home = Home::new();
    let block = json!({"key_pattern": "sk-[a-z0-9-]+", "key_pattern_hint": "Alpha's keys start with 'sk-'."});
    let fields = json!([{"name": "tenant", "label": "Subdomain"}]);
    let definition = Definition::bearer("alpha", "{tenant}.alpha.test").with("api_key", block);
    home.define(&definition.with("fields", fields).with("display_name", json!("Alpha <b>& Co</b>")));
    home
}

fn filled(key: &str) -> String {
    format!("do=store&field-tenant=acme&field-api_key={key}")
}

/// A program that stands for the browser and notes what it is given.
fn browser(home: &Home) -> String {
    let (script, noted) = (home.scratch().join("browser"), home.scratch().join("opened"));
    std::fs::write(&script, format!("#!/bin/sh\nprintf '%s' \"$1\" > {}\n", noted.display())).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    script.to_str().unwrap().to_owned()
}

/// `login --json` that waits for its page.
struct Login {
    child: Child,
    url: String,
    authority: String,
    path: String,
    cookie: String,
}

impl Login {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command();
        command.env("BROWSER", browser(home)).args(["--json", "login", "alpha"]).args(arguments);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let step: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(step["status"], "pending", "{step}");
        let url = step["auth_url"].as_str().unwrap().to_owned();
        let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (authority, path) = (authority.to_owned(), format!("/{path}"));
        Self { child, url, authority, path, cookie: String::new() }
    }

    /// Opens the page as the first window, and keeps its cookie.
    fn open(&mut self) -> String {
        let page = self.get();
        let cookie = page.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
        page
    }

    fn get(&self) -> String {
        self.ask("GET", &self.path, &self.own(""), "")
    }

    fn post(&self, body: &str) -> String {
        let headers = self.own(&format!("Origin: http://{}\r\n{FORM}", self.authority));
        self.ask("POST", &self.path, &headers, body)
    }

    /// Host, cookie and more.
    fn own(&self, more: &str) -> String {
        format!("Host: {}\r\nCookie: {}\r\n{more}", self.authority, self.cookie)
    }

    fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let length =
            if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        self.say(&format!("{method} {target} HTTP/1.1\r\n{headers}{length}\r\n{body}"))
    }

    fn say(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        // A server that has read enough may close while we write.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Exit code, standard output and the rest of standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn expect_status(status: u16, answer: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "not {status}: {answer}");
    assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
}

fn stored(home: &Home) -> Option<String> {
    let output = home.run(&["get", "alpha", "--field", "api_key", "--show-secret"]);
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn a_key_typed_into_the_page_is_stored_and_the_page_says_where_it_goes() {
    let home = home();
    let mut login = Login::start(&home, &["--connection", "work"]);
    let page = login.open();
    expect_status(200, &page);
    for said in
        ["Alpha &#60;b&#62;&#38; Co", "work", "{tenant}.alpha.test", "Encrypted on this machine", "Subdomain"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("<b>"), "{page}");
    let answer = login.post(&filled(KEY));
    expect_status(200, &answer);
    assert!(answer.contains("is connected") && answer.contains("acme.alpha.test"), "{answer}");
    assert!(!answer.contains(KEY), "{answer}");
    let url = login.url.clone();
    let (code, said) = login.end();
    assert_eq!((code, said.contains("\"success\"")), (Some(0), true), "{said}");
    assert_eq!(std::fs::read_to_string(home.scratch().join("opened")).unwrap(), url);
    assert_eq!(home.ok(&["get", "alpha", "--connection", "work", "--field", "tenant"]), "acme\n");
    assert_eq!(stored(&home).as_deref(), Some(KEY));
}

#[test]
fn a_page_is_neither_cached_nor_framed_nor_shared() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    let page = login.open();
    for header in [
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'; base-uri 'none'",
        "referrer-policy: same-origin",
        "x-content-type-options: nosniff",
        "connection: close",
        "HttpOnly; SameSite=Strict",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    expect_status(405, &login.ask("OPTIONS", &login.path, &login.own("Origin: https://evil.test\r\n"), ""));
    expect_status(405, &login.ask("PUT", &login.path, &login.own(""), ""));
}

#[test]
fn a_name_that_was_made_to_point_here_gets_nothing() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    let port = login.authority.rsplit_once(':').unwrap().1.to_owned();
    let own = login.own("");
    let path = login.path.clone();
    for (target, headers, status) in [
        (path.clone(), format!("Host: evil.test:{port}\r\n"), 421),
        (path.clone(), format!("Host: localhost:{port}\r\n"), 421),
        (path.clone(), "Host: 127.0.0.1\r\n".to_owned(), 421),
        (path.clone(), String::new(), 421),
        (path.clone(), format!("{own}{own}"), 421),
        (format!("http://evil.test{path}"), own.clone(), 400),
    ] {
        expect_status(status, &login.ask("GET", &target, &headers, ""));
    }
    // None of them was the first window.
    expect_status(200, &login.open());
}

#[test]
fn a_form_of_another_origin_is_refused() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    login.open();
    let own = format!("Origin: http://{}\r\n", login.authority);
    for headers in [
        "Origin: https://evil.test\r\n".to_owned(),
        "Origin: null\r\n".to_owned(),
        "Origin: http://127.0.0.1\r\n".to_owned(),
        String::new(),
        format!("{own}{own}"),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
        format!("{own}Sec-Fetch-Site: same-site\r\n"),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
    ] {
        let headers = login.own(&format!("{headers}{FORM}"));
        expect_status(403, &login.ask("POST", &login.path, &headers, &filled(KEY)));
    }
    assert_eq!(stored(&home), None);
    expect_status(200, &login.post(&filled(KEY)));
    assert_eq!(login.end().0, Some(0));
}

#[test]
fn the_page_is_for_whoever_has_its_token_and_came_first() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    let wrong = format!("{}x", login.path);
    for target in ["/", "/login/", "/favicon.ico", &wrong, &login.path[..login.path.len() - 1]] {
        expect_status(404, &login.ask("GET", target, &login.own(""), ""));
    }
    expect_status(403, &login.post(&filled(KEY)));
    login.open();
    let cookie = std::mem::take(&mut login.cookie);
    let second = login.get();
    expect_status(410, &second);
    assert!(second.contains("has been used") && !second.contains("<form"), "{second}");
    for other in [String::new(), "authsome=wrong".to_owned(), format!("other={cookie}"), format!("{cookie}x")]
    {
        login.cookie = other;
        expect_status(403, &login.post(&filled(KEY)));
        expect_status(410, &login.get());
    }
    login.cookie = cookie;
    expect_status(200, &login.get());
    expect_status(200, &login.post(&filled(KEY)));
    assert_eq!(login.end().0, Some(0));
}

#[test]
fn a_mistake_is_shown_at_its_field_and_may_be_mended() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    login.open();
    let answer = login.post("do=store&field-tenant=acme&field-api_key=pk-mistyped");
    expect_status(422, &answer);
    assert!(answer.contains("Alpha&#39;s keys start with &#39;sk-&#39;."), "{answer}");
    assert!(answer.contains("value=\"acme\"") && !answer.contains("pk-mistyped"), "{answer}");
    let answer = login.post("do=store&field-tenant=Not+A+Label&field-api_key=");
    assert!(answer.contains("one label") && answer.contains("A value is required."), "{answer}");
    expect_status(200, &login.post(&filled(KEY)));
    assert_eq!(login.end().0, Some(0));
    assert_eq!(stored(&home).as_deref(), Some(KEY));
}

#[test]
fn a_form_that_is_not_ours_or_too_large_is_refused_and_the_wait_goes_on() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    login.open();
    let good = filled(KEY);
    for body in [
        "",
        "do=store&do=store",
        "do=other",
        "%ff=1",
        &format!("{good}&more=1"),
        &format!("{good}&field-tenant=x"),
        "field-api_key=x",
    ] {
        expect_status(400, &login.post(body));
    }
    let origin = format!("Origin: http://{}\r\n", login.authority);
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/json\r\n"] {
        expect_status(400, &login.ask("POST", &login.path, &login.own(&format!("{origin}{kind}")), &good));
    }
    expect_status(413, &login.post(&format!("do=store&field-api_key={}", "a".repeat(80 << 10))));
    let huge = login.own(&format!("X-Padding: {}\r\n", "a".repeat(80 << 10)));
    assert!(!login.ask("GET", &login.path, &huge, "").starts_with("HTTP/1.1 2"));
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!(!login.ask("GET", &login.path, &login.own(&many), "").starts_with("HTTP/1.1 2"));
    login.say("no request at all\r\n\r\n");
    expect_status(200, &login.post(&good));
    assert_eq!(login.end().0, Some(0));
}

#[test]
fn idle_connections_do_not_keep_a_person_out() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&login.authority).unwrap()).collect();
    // Each is given up after 5 s.
    expect_status(200, &login.open());
    expect_status(200, &login.post(&filled(KEY)));
    assert_eq!(login.end().0, Some(0));
    drop(idle);
}

#[test]
fn a_person_who_cancels_or_does_not_answer_ends_it_with_4_and_nothing_stored() {
    let home = home();
    let mut login = Login::start(&home, &[]);
    login.open();
    let answer = login.post("do=cancel&field-tenant=&field-api_key=sk-half");
    assert!(answer.contains("Cancelled") && answer.contains("nothing was stored"), "{answer}");
    let (code, said) = login.end();
    assert_eq!((code, said.contains("InputCancelledError")), (Some(4), true), "{said}");
    let login = Login::start(&home, &["--timeout", "1"]);
    let authority = login.authority.clone();
    let (code, said) = login.end();
    assert_eq!((code, said.contains("InputCancelledError")), (Some(4), true), "{said}");
    assert!(TcpStream::connect(authority).is_err());
    let login = Login::start(&home, &[]);
    kill(Pid::from_raw(login.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let (code, said) = login.end();
    assert_eq!((code, said.contains("InputCancelledError")), (Some(4), true), "{said}");
    assert_eq!(home.run(&["get", "alpha"]).status.code(), Some(5));
}

#[test]
fn no_page_is_opened_where_it_is_not_wanted_or_needed() {
    let home = Home::new();
    let script = browser(&home);
    let run = |arguments: &[&str], variable: Option<&str>| {
        let mut command = home.command();
        command.env("BROWSER", &script).args(arguments);
        if let Some(value) = variable {
            command.env("OPENAI_API_KEY", value);
        }
        command.output().unwrap()
    };
    assert!(run(&["login", "openai"], Some("sk-0123456789")).status.success());
    run(&["login", "stripe", "--no-browser"], None);
    run(&["login", "stripe", "--stdin"], None);
    assert!(!home.scratch().join("opened").exists());
}
