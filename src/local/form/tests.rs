#![expect(clippy::disallowed_methods, reason = "tests stand outside: they open sockets")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use authsome_providers::{AuthType, ProviderDefinition};
use serde_json::json;

use super::*;

fn bridge() -> Bridge {
    let definition = json!({
        "schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "api_key", "flow": "api_key",
        "host_url": "api.acme.test", "fields": [{"name": "email", "label": "E-mail"}], "api_key": {},
    });
    let definition = ProviderDefinition::from_value(definition).unwrap();
    let (display_name, provider, connection) = ("Acme".to_owned(), "acme".to_owned(), "default".to_owned());
    let form = Form {
        subject: Subject { display_name, provider, connection },
        kind: FormKind::ApiKey,
        hosts: vec!["api.acme.test".into()],
        stores: "Encrypted".into(),
        docs: None,
        redirect_uri: None,
        fields: definition.fields(AuthType::ApiKey),
        asked_by_agent: false,
    };
    Bridge::open(form).unwrap()
}

fn patient() -> Patience<'static> {
    Patience { deadline: Instant::now() + Duration::from_secs(20), cancelled: &|| false }
}

/// A browser without a script: it keeps the cookie.
#[derive(Clone)]
struct Browser {
    authority: String,
    path: String,
    cookie: String,
}

impl Browser {
    fn open(bridge: &Bridge) -> Self {
        let (authority, path) = bridge.url().strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut browser =
            Self { authority: authority.into(), path: format!("/{path}"), cookie: String::new() };
        let page = browser.get();
        let cookie = page.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        browser.cookie = cookie.split(';').next().unwrap().into();
        browser
    }

    fn get(&self) -> String {
        self.exchange("GET", "", "")
    }

    fn post(&self, body: &str) -> String {
        let headers = format!(
            "Origin: http://{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            self.authority,
            body.len()
        );
        self.exchange("POST", &headers, body)
    }

    fn exchange(&self, method: &str, headers: &str, body: &str) -> String {
        let Self { authority, path, cookie } = self;
        let mut stream = TcpStream::connect(authority).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: other=1; {cookie}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

const FILLED: &str = "do=store&field-email=me%40acme.test&field-api_key=+sk-1+";

#[test]
fn a_form_is_sent_once_and_answered_when_it_is_known_what_came_of_it() {
    let bridge = bridge();
    let browser = Browser::open(&bridge);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| browser.post(FILLED));
        let submission = bridge.wait(patient()).unwrap();
        assert_eq!(submission.values["api_key"].expose(), "sk-1");
        assert_eq!(submission.values["email"].expose(), "me@acme.test");
        for again in [browser.post(FILLED), browser.post("do=cancel"), browser.get()] {
            assert!(again.starts_with("HTTP/1.1 410 "), "{again}");
        }
        assert!(!sent.is_finished());
        submission.finish(&Outcome::Stored { account: None, hosts: vec!["api.acme.test".into()] });
        assert!(sent.join().unwrap().contains("Acme is connected"));
    });
    assert!(TcpStream::connect(&browser.authority).is_err(), "the port is still open");
}

#[test]
fn after_a_failure_the_form_is_there_again_with_all_that_is_no_secret() {
    let bridge = bridge();
    let browser = Browser::open(&bridge);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| browser.post(FILLED));
        let reason = "it was refused".to_owned();
        bridge.wait(patient()).unwrap().finish(&Outcome::Failed { reason, again: true });
        let page = first.join().unwrap();
        assert!(page.starts_with("HTTP/1.1 422 ") && page.contains("It was refused."), "{page}");
        assert!(page.contains("me@acme.test") && !page.contains("sk-1"), "{page}");
        let second = scope.spawn(|| browser.post(FILLED));
        bridge
            .wait(patient())
            .unwrap()
            .finish(&Outcome::Continue { url: "https://as.test/authorize?a=1&b=2".into() });
        let page = second.join().unwrap();
        assert!(page.contains("content=\"0; url=https://as.test/authorize?a=1&#38;b=2\""), "{page}");
        assert!(page.contains("Continue at as.test"), "{page}");
    });
}

#[test]
fn a_caller_that_ends_before_it_answers_is_no_success() {
    let bridge = bridge();
    let browser = Browser::open(&bridge);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| browser.post(FILLED));
        drop(bridge.wait(patient()).unwrap());
        assert!(sent.join().unwrap().contains("could not be connected"));
    });
}

#[test]
fn a_cookie_is_for_this_page_and_no_script() {
    let bridge = bridge();
    let path = bridge.url().split_once("/login/").unwrap().1.to_owned();
    let (authority, _) = bridge.url().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let fresh =
        Browser { authority: authority.into(), path: format!("/login/{path}"), cookie: String::new() };
    let page = fresh.get();
    let cookie = page.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, format!("Path=/login/{path}; HttpOnly; SameSite=Strict"));
    let (token, secret) = (path.as_str(), pair.strip_prefix("authsome=").unwrap());
    assert!(token.len() == 43 && secret.len() == 43 && token != secret, "256 bits each");
}
