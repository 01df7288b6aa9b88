#![expect(clippy::disallowed_methods, reason = "tests stand outside: they open sockets")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::*;

const NEVER: &dyn Fn() -> bool = &|| false;

fn patient() -> Patience<'static> {
    Patience { deadline: Instant::now() + Duration::from_secs(20), cancelled: NEVER }
}

fn over() -> Patience<'static> {
    Patience { deadline: Instant::now(), cancelled: NEVER }
}

fn address(host: Loopback, port: u16) -> CallbackAddress {
    CallbackAddress { host, port, path: "/callback".into() }
}

fn subject() -> Subject {
    Subject { display_name: "Acme".into(), provider: "acme".into(), connection: "default".into() }
}

fn bound() -> Callback {
    Callback::bind(&address(Loopback::Address, 0), subject(), patient(), &mut || panic!("it waits")).unwrap()
}

fn port(callback: &Callback) -> u16 {
    callback.port
}

fn exchange(ip: IpAddr, port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect((ip, port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What a browser gets that is redirected to a callback on 127.0.0.1.
fn redirected(port: u16, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    exchange(Ipv4Addr::LOCALHOST.into(), port, &request)
}

fn in_a_thread<'a>(
    scope: &'a Scope<'a, '_>,
    port: u16,
    target: &'static str,
) -> ScopedJoinHandle<'a, String> {
    scope.spawn(move || redirected(port, target))
}

/// Accepts the state `right`.
fn check(query: &str) -> bool {
    query.split('&').any(|pair| pair == "state=right")
}

const DONE: Outcome = Outcome::Stored { account: None, hosts: Vec::new() };

#[test]
fn a_redirect_with_the_right_state_is_answered_when_it_is_known_what_came_of_it() {
    let callback = bound();
    let port = port(&callback);
    std::thread::scope(|scope| {
        let browser = in_a_thread(scope, port, "/callback?code=a%2Fb&state=right&iss=https%3A%2F%2Fas.test");
        let arrived = callback.wait(patient(), &check).unwrap();
        assert_eq!(arrived.query.expose(), "code=a%2Fb&state=right&iss=https%3A%2F%2Fas.test");
        assert!(!browser.is_finished());
        arrived.finish(&DONE);
        let page = browser.join().unwrap();
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Acme is connected"), "{page}");
        assert!(!page.contains("a/b") && !page.contains("a%2Fb"), "{page}");
    });
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is still open");
}

#[test]
fn stray_and_hostile_redirects_do_not_end_the_wait() {
    let callback = bound();
    let port = port(&callback);
    std::thread::scope(|scope| {
        let stray = scope.spawn(move || {
            for (target, status) in [
                ("/callback?code=x&state=wrong", 400),
                ("/callback?code=x", 400),
                ("/callback", 400),
                ("/callback?error=access_denied", 400),
                ("/callback/?code=x&state=right", 404),
                ("/other?code=x&state=right", 404),
                ("/favicon.ico", 404),
            ] {
                let page = redirected(port, target);
                assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {page}");
                assert!(status != 400 || page.contains("not the answer we asked for"), "{target}: {page}");
            }
            redirected(port, "/callback?code=mine&state=right")
        });
        let arrived = callback.wait(patient(), &check).unwrap();
        assert_eq!(arrived.query.expose(), "code=mine&state=right");
        arrived.finish(&Outcome::Denied);
        assert!(stray.join().unwrap().contains("Access was denied"));
    });
}

#[test]
fn only_one_redirect_is_answered() {
    let callback = bound();
    let port = port(&callback);
    std::thread::scope(|scope| {
        let first = in_a_thread(scope, port, "/callback?code=1&state=right");
        let arrived = callback.wait(patient(), &check).unwrap();
        let second = redirected(port, "/callback?code=2&state=right");
        assert!(second.starts_with("HTTP/1.1 410 ") && second.contains("has been used"), "{second}");
        let reason = "the server said <no>".to_owned();
        arrived.finish(&Outcome::Failed { reason, again: false });
        let page = first.join().unwrap();
        assert!(page.contains("could not be connected") && page.contains("&#60;no&#62;"), "{page}");
    });
}

#[test]
fn a_callback_answers_its_own_name_and_get_alone() {
    let callback = bound();
    let port = port(&callback);
    let ask = |method: &str, target: &str, headers: &str| {
        let request = format!("{method} {target} HTTP/1.1\r\n{headers}\r\n");
        let page = exchange(Ipv4Addr::LOCALHOST.into(), port, &request);
        page.split_whitespace().nth(1).map(str::to_owned)
    };
    let own = format!("Host: 127.0.0.1:{port}\r\n");
    let good = "/callback?code=x&state=right";
    for (method, target, headers, status) in [
        ("GET", good, format!("Host: localhost:{port}\r\n"), "421"),
        ("GET", good, "Host: 127.0.0.1\r\n".into(), "421"),
        ("GET", good, format!("Host: evil.test:{port}\r\n"), "421"),
        ("GET", good, String::new(), "421"),
        ("GET", good, format!("{own}{own}"), "421"),
        ("GET", &format!("http://127.0.0.1:{port}{good}"), own.clone(), "400"),
        ("POST", good, format!("{own}Origin: http://127.0.0.1:{port}\r\nContent-Length: 0\r\n"), "405"),
        ("HEAD", good, own.clone(), "405"),
        ("OPTIONS", good, format!("{own}Origin: https://evil.test\r\n"), "405"),
    ] {
        assert_eq!(ask(method, target, &headers).as_deref(), Some(status), "{method} {target} {headers}");
    }
    assert!(matches!(callback.wait(over(), &check), Err(LocalError::TimedOut)));
}

#[test]
fn localhost_is_both_families_or_none() {
    let by_name = address(Loopback::Name, 0);
    let callback = Callback::bind(&by_name, subject(), patient(), &mut || ()).unwrap();
    let port = port(&callback);
    let families: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for ip in families {
        let request = format!("GET /callback?state=wrong HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        assert!(exchange(ip, port, &request).starts_with("HTTP/1.1 421 "));
    }
    drop(callback);
    let stranger = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = stranger.local_addr().unwrap().port();
    let bound = Callback::bind(&address(Loopback::Name, port), subject(), over(), &mut || ());
    assert!(matches!(bound, Err(LocalError::PortTaken(taken)) if taken == port));
    // Nothing was kept of the half that was free.
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
}

#[test]
fn whoever_comes_second_says_so_once_and_waits_for_the_port() {
    for stranger in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv4Addr::UNSPECIFIED.into()] {
        let first = TcpListener::bind((stranger, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let (told, news) = channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(move || {
                let mut tell = || told.send(()).unwrap();
                Callback::bind(&address(Loopback::Address, port), subject(), patient(), &mut tell).map(|_| ())
            });
            news.recv_timeout(Duration::from_secs(20)).unwrap();
            drop(first);
            second.join().unwrap().unwrap();
        });
        assert!(news.try_recv().is_err(), "it was said twice");
    }
}

#[test]
fn a_wait_can_be_cancelled() {
    let cancelled = Patience { cancelled: &|| true, ..patient() };
    assert!(matches!(bound().wait(cancelled, &check), Err(LocalError::Cancelled)));
    let taken = bound();
    let second = Callback::bind(&address(Loopback::Address, port(&taken)), subject(), cancelled, &mut || ());
    assert!(matches!(second, Err(LocalError::Cancelled)));
}

#[test]
fn a_port_is_free_as_soon_as_its_login_is_over() {
    let first = bound();
    let port = port(&first);
    assert!(redirected(port, "/nothing").starts_with("HTTP/1.1 404 "));
    drop(first);
    Callback::bind(&address(Loopback::Address, port), subject(), over(), &mut || panic!("it waits")).unwrap();
}
