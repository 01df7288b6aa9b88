//! An agent asks its human for an OAuth login: the human sees a page of ours first, then the provider's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use authsome::auth::ClientCredentials;
use authsome::auth::record::ClientSource;
use serde_json::{Value, json};

use crate::opener::Asked;
use crate::support::account;
use crate::support::authority::Authority;
use crate::support::home::Home;
use crate::support::issuer::{CLIENT, HOST, Issuer};

pub(crate) fn check() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (home, authority) = (Home::new(), Authority::new());
    let issuer = runtime.block_on(Issuer::start(&authority));
    home.ok(&["init"]);
    home.define(&Issuer::definition());
    settle(&home, &authority, &issuer);
    let client = ClientCredentials {
        id: CLIENT.0.into(),
        secret: Some(CLIENT.1.into()),
        source: ClientSource::UserSupplied,
    };
    account::service(&home).set_client("alpha", &client).unwrap();

    let mut asked = Asked::begin(&home, &["alpha", "--connection", "second"]);
    let (cookie, page) = opened(&asked.url);
    for shown in ["A program that runs under authsome asks", "api.alpha.test", "second", "Alpha"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let elsewhere = agreed_to(&asked.url, &cookie);
    assert!(elsewhere.starts_with(&format!("https://{HOST}/authorize?")), "{elsewhere}");
    let done = get(&issuer.agree(&elsewhere), "");
    assert!(done.contains("Alpha is connected"), "{done}");
    assert!(asked.login.wait().unwrap().success(), "{}", asked.said());
    let said = asked.said();
    for kept in [&asked.url, &elsewhere, "state=", "code="] {
        assert!(!said.contains(kept), "the agent reads {kept}: {said}");
    }
    let stored = account::service(&home).connection("alpha", Some("second")).unwrap().record;
    assert!(issuer.is_valid(stored.access_token.unwrap().expose()));
}

/// How the program finds the issuer: no flag of an agent's says so.
fn settle(home: &Home, authority: &Authority, issuer: &Issuer) {
    let certificate = home.scratch().join("issuer-ca.pem");
    std::fs::write(&certificate, authority.pem()).unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let file = home.path().join("config.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    settings["callback_port"] = port.into();
    settings["upstream_ca"] = json!([certificate]);
    settings["connect_to"] = json!([format!("{HOST}:443:127.0.0.1:{}", issuer.address.port())]);
    std::fs::write(&file, settings.to_string()).unwrap();
}

/// Opens the page; its cookie and its text.
fn opened(url: &str) -> (String, String) {
    let page = get(url, "");
    let cookie = page.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    (cookie.split(';').next().unwrap().to_owned(), page)
}

/// Where the page leads when the human goes on.
fn agreed_to(url: &str, cookie: &str) -> String {
    let (authority, path) = taken_apart(url);
    let body = "do=store";
    let headers = format!(
        "Origin: http://{authority}\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    let answer = exchange(authority, &format!("POST {path}"), &headers, body);
    let link = answer.split_once("\" data-onward").and_then(|(before, _)| before.rsplit_once("href=\""));
    let (_, link) = link.unwrap_or_else(|| panic!("{answer}"));
    link.replace("&#38;", "&").replace("&amp;", "&")
}

fn get(url: &str, headers: &str) -> String {
    let (authority, path) = taken_apart(url);
    exchange(authority, &format!("GET {path}"), headers, "")
}

fn taken_apart(url: &str) -> (&str, String) {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (authority, format!("/{path}"))
}

fn exchange(authority: &str, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
