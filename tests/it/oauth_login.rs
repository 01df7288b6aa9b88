//! Logging in by OAuth, as a person and a program drive it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use authsome::auth::record::ClientSource;
use serde_json::{Value, json};

use super::support::account;
use super::support::authority::Authority;
use super::support::home::Home;
use super::support::issuer::{CLIENT, Fault, Issuer, query};
use super::support::login::Login;

/// A home that knows `alpha`, whose callbacks come to a port of the test's own.
struct Stage {
    home: Home,
    issuer: Issuer,
    flags: Vec<String>,
    port: u16,
}

impl Stage {
    async fn new() -> Self {
        let (home, authority) = (Home::new(), Authority::new());
        let issuer = Issuer::start(&authority).await;
        home.ok(&["init"]);
        home.define(&Issuer::definition());
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let settings = home.path().join("config.json");
        let mut document: Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
        document["callback_port"] = port.into();
        fs::write(&settings, document.to_string()).unwrap();
        let flags = issuer.flags(&home, &authority);
        Self { home, issuer, flags, port }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command();
        command.args(["--json", "login", "alpha"]).args(&self.flags).args(arguments);
        command
    }

    /// Stores the client, as an earlier login would have.
    fn with_client(self) -> Self {
        let auth = account::service(&self.home);
        let source = ClientSource::UserSupplied;
        let secret = Some(CLIENT.1.into());
        let client = authsome::auth::ClientCredentials { id: CLIENT.0.into(), secret, source };
        auth.set_client("alpha", &client).unwrap();
        self
    }

    fn login(&self, arguments: &[&str]) -> Login {
        Login::start(self.command(arguments))
    }

    /// What a browser gets that comes back with a path.
    fn callback(&self, target: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port)
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// The target of the redirect by which a browser comes back whose person agrees.
    fn agree(&self, url: &str) -> String {
        let redirect = self.issuer.agree(url);
        let base = format!("http://127.0.0.1:{}", self.port);
        redirect.strip_prefix(&base).unwrap_or_else(|| panic!("{redirect}")).to_owned()
    }

    fn is_connected(&self) -> bool {
        self.home.run(&["get", "alpha"]).status.success()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_agrees_in_the_browser_and_is_connected() {
    let stage = Stage::new().await;
    let mut login = stage.login(&["--no-browser", "--client-id", CLIENT.0]);
    login.paste(CLIENT.1);
    login.close();
    let url = login.auth_url();
    assert_eq!(query(url.split_once('?').unwrap().1)["scope"], "read write");
    let page = stage.callback(&stage.agree(&url));
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Alpha is connected"), "{page}");
    let (code, document) = login.ended();
    assert_eq!((code, &document["record_status"]), (0, &Value::from("connected")), "{document}");
    let record = account::record(&stage.home);
    assert!(stage.issuer.is_live(record.refresh_token.unwrap().expose()));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, stage.port)).is_err(), "the port is still open");
    let shown = stage.home.ok(&["get", "alpha"]);
    assert!(!shown.contains("canary"), "{shown}");
    let client = account::service(&stage.home).client("alpha").unwrap().unwrap();
    assert_eq!(client.source, ClientSource::UserSupplied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_ends_the_login_with_its_page_and_keeps_the_earlier_connection() {
    let stage = Stage::new().await.with_client();
    account::connect(&stage.home, &stage.issuer, 3000);
    let login = stage.login(&["--no-browser", "--force"]);
    let state = query(login.auth_url().split_once('?').unwrap().1)["state"].clone();
    let page = stage.callback(&format!("/callback?error=access_denied&state={state}"));
    assert!(page.contains("Access was denied"), "{page}");
    let (code, document) = login.ended();
    assert_eq!((code, &document["error"]), (4, &Value::from("AuthenticationFailedError")), "{document}");
    assert_eq!(
        stage.home.ok(&["get", "alpha", "--field", "access_token", "--show-secret"]).trim(),
        "at-canary-0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stray_or_used_answer_neither_ends_nor_enters_a_login() {
    let stage = Stage::new().await.with_client();
    let login = stage.login(&["--no-browser"]);
    let url = login.auth_url();
    let answer = stage.agree(&url);
    for wrong in ["/callback?code=x&state=guessed", "/callback?code=x", "/callback?error=access_denied"] {
        assert!(stage.callback(wrong).contains("not the answer we asked for"), "{wrong}");
    }
    assert!(stage.callback(&answer).contains("is connected"));
    assert_eq!(login.ended().0, 0);
    let second = stage.login(&["--no-browser", "--connection", "second"]);
    let _ = second.auth_url();
    assert!(stage.callback(&answer).contains("not the answer we asked for"), "the first login's answer");
    assert!(!stage.home.ok(&["connection", "list", "alpha"]).contains("second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_can_be_pasted_when_the_browser_is_elsewhere() {
    let stage = Stage::new().await.with_client();
    let mut login = stage.login(&["--no-browser"]);
    let url = login.auth_url();
    login.paste("nonsense");
    login.paste(&stage.issuer.agree(&url));
    assert_eq!(login.ended().0, 0);
    assert!(stage.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_logins_share_the_port_one_after_the_other() {
    let stage = Stage::new().await.with_client();
    let first = stage.login(&["--no-browser", "--connection", "one"]);
    let url = first.auth_url();
    let second = stage.login(&["--no-browser", "--connection", "two"]);
    assert_eq!(second.step()["status"], "waiting");
    stage.callback(&stage.agree(&url));
    assert_eq!(first.ended().0, 0);
    stage.callback(&stage.agree(&second.auth_url()));
    assert_eq!(second.ended().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers_and_the_login_ends_in_time() {
    let stage = Stage::new().await.with_client();
    let login = stage.login(&["--no-browser", "--timeout", "1"]);
    assert_eq!(login.ended().1["error"], "InputCancelledError");
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, stage.port)).unwrap();
    let (code, document) = stage.login(&["--no-browser", "--timeout", "1"]).ended();
    let told = document["message"].as_str().unwrap();
    let port = format!("port {} is in use by another program", stage.port);
    assert_eq!((code, told.contains(&port)), (4, true), "{document}");
    drop(holder);
    assert!(!stage.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_is_shown_and_waited_for() {
    for (yes, code) in [(true, 0), (false, 4)] {
        let stage = Stage::new().await.with_client();
        let pending = r#"{"error":"authorization_pending"}"#;
        stage.issuer.fail(yes.then_some(Fault::Say(400, "application/json", pending.into())));
        let login = stage.login(&["--flow", "device_code"]);
        let step = login.step();
        assert_eq!(
            (&step["user_code"], &step["status"]),
            (&Value::from("AB-CD"), &Value::from("pending")),
            "{step}"
        );
        assert_eq!(step["verification_uri"], "https://auth.alpha.test/activate");
        stage.issuer.decide("AB-CD", yes);
        assert_eq!(login.ended().0, code);
        assert_eq!(stage.is_connected(), yes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_client_is_made_is_told_and_a_secret_is_asked_for_unless_none_is_needed() {
    let stage = Stage::new().await;
    let define = |public: bool| {
        let mut definition = Issuer::definition();
        definition.0["client"] = json!({"docs": "https://apps.test/"});
        definition.0["oauth"]["public_clients"] = public.into();
        stage.home.define(&definition);
    };
    let attempt = |flow: &str| {
        let mut command = stage.home.command();
        command.args(["login", "alpha", "--flow", flow, "--client-id", CLIENT.0, "--no-browser"]);
        let output =
            command.args(["--timeout", "1"]).args(&stage.flags).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        String::from_utf8(output.stderr).unwrap()
    };
    define(false);
    let said = attempt("pkce");
    let place = format!("redirect URI http://127.0.0.1:{}/callback, at https://apps.test/", stage.port);
    assert!(said.contains(&place) && said.contains("Client secret: a value is required"), "{said}");
    let said = attempt("device_code");
    assert!(!said.contains("redirect URI") && said.contains("AB-CD"), "{said}");
    define(true);
    let said = attempt("pkce");
    assert!(said.contains("/authorize?"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_registers_itself_once() {
    let stage = Stage::new().await;
    for connection in ["one", "two"] {
        let login = stage.login(&["--flow", "dcr_pkce", "--no-browser", "--connection", connection]);
        stage.callback(&stage.agree(&login.auth_url()));
        assert_eq!(login.ended().0, 0);
    }
    assert_eq!(stage.issuer.counts().registered, 1);
    let client = account::service(&stage.home).client("alpha").unwrap().unwrap();
    assert_eq!(client.source, ClientSource::DcrGenerated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flows_without_a_person_end_at_once() {
    let stage = Stage::new().await.with_client();
    let (code, _) = stage.login(&["--flow", "client_credentials", "--connection", "own"]).ended();
    assert_eq!(code, 0);
    let mut exchange = stage.login(&["--flow", "token_exchange", "--connection", "exchanged", "--stdin"]);
    exchange.paste("subject-1");
    assert_eq!(exchange.ended().0, 0);
    let mut refused = stage.login(&["--flow", "token_exchange", "--connection", "other", "--stdin"]);
    refused.paste("subject-2");
    assert_eq!(refused.ended().0, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_token_answer_is_a_named_error_and_leaves_nothing_half_written() {
    let stage = Stage::new().await.with_client();
    let json = "application/json";
    let huge = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(2 << 20));
    for fault in [
        Fault::Say(200, "text/html", "<html>please sign in</html>".into()),
        Fault::Say(302, json, String::new()),
        Fault::Say(200, json, huge),
        Fault::Say(500, json, "{}".into()),
        Fault::Say(200, json, "{\"access_token\":\"a\\u0000b\"}".into()),
        Fault::Say(401, json, r#"{"error":"invalid_client"}"#.into()),
        Fault::Truncate,
        Fault::DropAfterCommit,
    ] {
        stage.issuer.fail([fault.clone()]);
        let login = stage.login(&["--no-browser"]);
        let page = stage.callback(&stage.agree(&login.auth_url()));
        let (code, document) = login.ended();
        let shown = format!("{fault:?}: {document}").chars().take(300).collect::<String>();
        assert_eq!((code, &document["error"]), (4, &Value::from("AuthenticationFailedError")), "{shown}");
        assert!(!page.contains("is connected"), "{shown}");
        let repair = document["message"].as_str().unwrap().contains("--reset");
        assert_eq!(repair, format!("{fault:?}").contains("invalid_client"), "{shown}");
        assert!(!stage.is_connected(), "{shown}");
    }
    let elsewhere = Authority::new();
    let stranger = Issuer::start(&elsewhere).await;
    let mut command = stage.home.command();
    let mapping = format!("auth.alpha.test:443:127.0.0.1:{}", stranger.address.port());
    command.args(["--json", "login", "alpha", "--flow", "client_credentials", "--connect-to", &mapping]);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(document["message"].as_str().unwrap().contains("no secure connection"), "{document}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoke_gives_the_tokens_back_and_logout_does_not() {
    let stage = Stage::new().await.with_client();
    account::connect(&stage.home, &stage.issuer, 3000);
    stage.home.ok(&["logout", "alpha"]);
    assert!(stage.issuer.counts().revoked.is_empty());
    account::connect(&stage.home, &stage.issuer, 3000);
    let token = account::record(&stage.home).refresh_token.unwrap();
    let arguments: Vec<&str> =
        ["revoke", "alpha"].into_iter().chain(stage.flags.iter().map(String::as_str)).collect();
    stage.home.ok(&arguments);
    assert_eq!(stage.issuer.counts().revoked, [token.expose().as_str(), "at-canary-0"]);
    assert!(account::service(&stage.home).client("alpha").unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_login_is_in_any_output_log_or_file() {
    let stage = Stage::new().await.with_client();
    let mut command = stage.command(&["--no-browser", "--verbose"]);
    command.env("RUST_LOG", "trace").env("AUTHSOME_LOG", "trace");
    let login = Login::start(command);
    let page = stage.callback(&stage.agree(&login.auth_url()));
    let mut said: Vec<String> = login.said();
    assert_eq!(login.ended().0, 0);
    said.push(page);
    for file in ["audit.log", "logs/authsome.log"] {
        said.push(fs::read_to_string(stage.home.path().join(file)).unwrap_or_default());
    }
    for secret in ["at-canary", "rt-canary", CLIENT.1, "code-1"] {
        assert!(!said.iter().any(|text| text.contains(secret)), "{secret} was told");
    }
}
