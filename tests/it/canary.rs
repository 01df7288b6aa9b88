//! Rule 12: secrets appear in no log, error, audit event or file, in none of their rendered forms.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::Method;

use crate::support::client::{Ask, VERSIONS};
use crate::support::definition::Definition;
use crate::support::origin::{Origin, Plan};
use crate::support::wire::{Hello, find};
use crate::support::world::{ALPHA, World};
use crate::support::{authority, tls};

/// Characters that each encoding writes differently.
const CANARY: &str = "cAnaRy+/=\"\\%&7f3a9c51";

/// Every form in which a secret may be written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let partial: String = secret
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let json = serde_json::to_string(secret).unwrap();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms: Vec<String> = vec![
        secret.into(),
        percent.clone(),
        percent.to_lowercase(),
        partial.clone(),
        partial.to_lowercase(),
        json.trim_matches('"').into(),
        format!("{secret:?}").trim_matches('"').into(),
        secret.bytes().rev().map(char::from).collect(),
        hex.clone(),
        hex.to_uppercase(),
        format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).into(),
    ];
    // Base64 of a text that has the secret at any place: the middle that does not depend on its neighbours.
    for offset in 0..3 {
        let padded = [vec![b'.'; offset], secret.as_bytes().to_vec()].concat();
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            forms.push(text[offset + 1..padded.len() / 3 * 4].into());
        }
    }
    forms.push(STANDARD.encode(format!("Bearer {secret}")));
    forms.into_iter().map(String::into_bytes).collect()
}

/// Where a secret stands in a text, by the form found.
fn leaks(text: &[u8], secret: &str) -> Vec<String> {
    let found = forms(secret).into_iter().filter(|form| find(text, form).is_some());
    found.map(|form| String::from_utf8_lossy(&form).into_owned()).collect()
}

/// Searches all files below a folder.
fn search(folder: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(search(&path, secret));
        } else if metadata.is_file() {
            let leaks = leaks(&std::fs::read(&path).unwrap(), secret);
            found.extend(leaks.iter().map(|form| format!("{}: {form}", path.display())));
        }
    }
    found
}

#[test]
fn a_planted_secret_is_found_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        CANARY.to_owned(),
        STANDARD.encode(format!("user:{CANARY}")),
        STANDARD.encode(format!("{CANARY}:")),
        STANDARD.encode(format!(":{CANARY}")),
        STANDARD.encode(format!("Bearer {CANARY}")),
        serde_json::json!({"a": CANARY}).to_string(),
        format!("{:?}", Some(CANARY)),
        format!("?key={}", percent_encoding::utf8_percent_encode(CANARY, percent_encoding::NON_ALPHANUMERIC)),
    ] {
        let file = folder.path().join("planted");
        std::fs::write(&file, format!("before {text} after")).unwrap();
        assert!(!search(folder.path(), CANARY).is_empty(), "{text}");
        std::fs::remove_file(&file).unwrap();
    }
    assert!(search(folder.path(), CANARY).is_empty());
}

/// Every kind of exchange that knows the secret or fails on the way to it.
async fn exercise(world: &World) {
    for version in VERSIONS {
        for ask in [
            Ask::get("/?q=1"),
            Ask::new(Method::POST, "/").body("body").header("authorization", "Bearer authsome-proxy-managed"),
            Ask::get("/").authority("other.test"),
            Ask::new(Method::TRACE, "/"),
            Ask::get("/").header("x-other", "authsome-proxy-managed"),
            Ask::get("/").header("host", "other.test"),
        ] {
            world.ask(version, &ask).await;
        }
        for tunnel in ["query.test:443", "basic.test:443", "bad.test:443"] {
            world.client.ask(version, tunnel, &Ask::get("/")).await;
        }
    }
    let tunnel = world.client.tunnel(ALPHA).await;
    assert!(tunnel.tls(&world.client.roots, &Hello::to("other.test", tls::H1)).await.is_err());
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 100]] {
        let mut wire = world.client.tunnel(ALPHA).await;
        wire.send(bytes).await;
        wire.rest().await;
    }
}

#[tokio::test]
async fn secrets_appear_in_no_output_and_no_file() {
    let basic = serde_json::json!({"basic": {"username": "user", "password": "{api_key}"}});
    let builder = World::builder()
        .provider(Definition::query("query", "query.test", "key"))
        .provider(Definition::placed("basic", "basic.test", &basic))
        .provider(Definition::bearer("bad", "bad.test"))
        .name("query.test")
        .name("basic.test")
        .keys(|provider| format!("{provider}-{CANARY}"))
        .verbose();
    let bad = Origin::start(authority::self_signed(&["bad.test"]), Plan::default()).await;
    let world = builder.found_at("bad.test:443", bad.address).start().await;
    exercise(&world).await;
    let authorizations: Vec<_> =
        world.origin.requests().iter().flat_map(|seen| seen.values("authorization")).collect();
    assert!(authorizations.contains(&format!("Bearer alpha-{CANARY}")), "{authorizations:?}");

    let mut output = String::new();
    for arguments in [
        vec!["list"],
        vec!["--json", "list"],
        vec!["get", "alpha"],
        vec!["--json", "get", "alpha"],
        vec!["get", "alpha", "--field", "api_key"],
        vec!["inspect", "alpha"],
        vec!["whoami"],
        vec!["log"],
        vec!["explain", "https://api.alpha.test/"],
        vec!["--verbose", "logout", "alpha"],
    ] {
        let printed = world.home.run(&arguments);
        output += &String::from_utf8_lossy(&printed.stdout);
        output += &String::from_utf8_lossy(&printed.stderr);
    }
    let token = world.client.token.clone();
    let (_, printed) = world.proxy.stop().await;
    output += &printed;
    assert!(output.contains("TRACE"), "the log is not at trace level");
    assert_eq!(leaks(output.as_bytes(), CANARY), [""; 0], "in the output");
    assert_eq!(leaks(output.as_bytes(), &token), [""; 0], "the token in the output");
    assert_eq!(search(&world.home.scratch(), CANARY), [""; 0]);
}
