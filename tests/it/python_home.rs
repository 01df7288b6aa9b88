//! A home that the Python edition 0.2.4 wrote is taken over, and not a byte of it is changed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use http::Version;
use serde_json::{Value, json};

use crate::support::client::Ask;
use crate::support::definition::Definition;
use crate::support::disk::Disk;
use crate::support::home::Home;
use crate::support::run::{Run, SHELL};
use crate::support::world::World;

/// Every file below a folder with its content and mode.
type Files = BTreeMap<PathBuf, (Vec<u8>, u32)>;

fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, file)| (path.join(below), file)));
        } else {
            found.insert(path.clone(), (std::fs::read(&path).unwrap(), mode));
        }
    }
    let inside = |path: PathBuf| path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path);
    found.into_iter().map(|(path, file)| (inside(path), file)).collect()
}

/// A copy of the fixture, as it would lie in a user's home.
fn python_home(at: &Path) -> PathBuf {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python-home/local_key"), at);
    std::fs::set_permissions(at.join("master.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    at.to_owned()
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

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn import(home: &Home, source: &Path, further: &[&str]) -> Output {
    home.run(&[&["--json", "vault", "import", source.to_str().unwrap()], further].concat())
}

#[track_caller]
fn refused(output: &Output, code: i32, error: &str) -> String {
    let document = document(output);
    assert_eq!((output.status.code(), document["error"].as_str()), (Some(code), Some(error)), "{document}");
    document["message"].as_str().unwrap().to_owned()
}

fn secret(home: &Home, provider: &str, field: &str, further: &[&str]) -> String {
    let arguments = [&["get", provider, "--field", field, "--show-secret"], further].concat();
    home.ok(&arguments).trim().to_owned()
}

/// What must be in a home that took the fixture over.
#[track_caller]
fn holds_everything(home: &Home) {
    let default = ["--profile", "default"];
    let value = |provider: &str, field: &str, further: &[&str]| {
        secret(home, provider, field, &[&default[..], further].concat())
    };
    assert_eq!(value("openai", "api_key", &[]), "sk-pythonwork456789abcdefghijklmnop", "the default is work");
    let first = ["--connection", "default"];
    assert_eq!(value("openai", "api_key", &first), "sk-python0123456789abcdefghijklmnop");
    assert_eq!(value("acme", "api_key", &[]), "acme-key-one");
    assert_eq!(value("g2", "api_key", &[]), "g2-key");
    assert_eq!(value("klaviyo", "api_key", &[]), "pk_python0123456789abcdef0123456789ab");
    let renamed = ["--connection", "klaviyo-oauth"];
    assert_eq!(value("klaviyo", "access_token", &renamed), "access-klaviyo-oauth-default");
    assert_eq!(value("notion-mcp", "access_token", &[]), "access-notion_dcr-default");
    let github: Value =
        serde_json::from_str(&home.ok(&["--json", "get", "github", "--show-secret", "--profile", "default"]))
            .unwrap();
    for (field, expected) in [
        ("auth_type", json!("oauth2")),
        ("status", json!("connected")),
        ("access_token", json!("access-github-default")),
        ("refresh_token", json!("refresh-github-default")),
        ("expires_at", json!("2096-05-01T15:40:22Z")),
        ("obtained_at", json!("2026-04-30T14:40:22Z")),
        ("scopes", json!(["repo", "read:user"])),
        ("account", json!({"id": "12345", "label": "octocat"})),
    ] {
        assert_eq!(github[field], expected, "{field}");
    }
    assert_eq!(github["binding"]["token_url"], "https://github.com/login/oauth/access_token");
    assert_eq!(
        secret(home, "openai", "api_key", &["--profile", "work"]),
        "sk-workprofile6789abcdefghijklmnopq"
    );
}

#[test]
fn a_home_is_imported_whole_and_what_cannot_be_taken_is_listed_with_the_reason() {
    let home = Home::new();
    let source = python_home(&home.scratch().join("old"));
    let before = files(&source);
    let output = import(&home, &source, &[]);
    let imported = document(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(imported["profiles"], json!(["default", "work"]));
    assert_eq!(imported["definitions"], json!(["acme"]));
    assert_eq!(imported["kept"], Value::Null);
    assert_eq!(imported["connections"].as_array().unwrap().len(), 10, "{imported}");
    let clients = json!([{"profile": "default", "provider": "github"}, {"profile": "default", "provider": "notion-mcp"}]);
    assert_eq!(imported["clients"], clients);
    let left: Vec<(&str, &str)> = imported["left"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| (left["kind"].as_str().unwrap(), left["name"].as_str().unwrap()))
        .collect();
    assert_eq!(left, [("definition", "greedy"), ("connection", "greedy/default")], "{imported}");
    for left in imported["left"].as_array().unwrap() {
        assert!(left["reason"].as_str().unwrap().contains("host_url"), "{left}");
    }
    holds_everything(&home);
    assert_eq!(files(&source), before, "the old home was changed");
    let listed = home.ok(&["list", "--connected", "--profile", "default"]);
    assert!(listed.contains("github") && listed.contains("acme"), "{listed}");
    let exported = home.ok(&["export", "acme", "--profile", "default"]);
    assert_eq!(exported.trim(), "ACME_API_KEY=acme-key-one");
    let events: Vec<Value> = home.audit().into_iter().filter(|entry| entry["event"] == "vault").collect();
    assert_eq!(events.len(), 2);
    for (path, (content, _)) in files(&home.path()) {
        assert!(!content.windows(12).any(|part| part == b"acme-key-one"), "{}", path.display());
    }
}

#[test]
fn a_home_in_its_own_place_is_exchanged_with_ours_and_kept_beside_it() {
    let home = Home::new();
    let source = python_home(&home.path());
    let before = files(&source);
    assert!(refused(&home.run(&["--json", "list"]), 7, "StoreUnavailableError").contains("vault import"));
    assert_eq!(files(&source), before);
    let imported = document(&import(&home, &source, &[]));
    let kept = home.scratch().join("home.python");
    assert_eq!(imported["kept"], kept.to_str().unwrap(), "{imported}");
    assert_eq!(files(&kept), before, "the old home was changed");
    holds_everything(&home);
    let whoami: Value = serde_json::from_str(&home.ok(&["--json", "whoami"])).unwrap();
    assert_eq!(whoami["active_profile"], "work", "the default profile is theirs");
    let doctor: Value = serde_json::from_slice(&home.run(&["--json", "doctor"]).stdout).unwrap();
    let checks = doctor["checks"].as_array().unwrap().iter();
    let failed: Vec<&Value> = checks.filter(|check| check["ok"] == false).collect();
    assert_eq!(failed, Vec::<&Value>::new());
    assert!(
        std::fs::read_dir(home.path())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_str().unwrap().starts_with(".new-") })
    );
}

#[test]
fn an_old_home_is_not_exchanged_where_something_stands_in_the_place_of_the_kept_one() {
    let home = Home::new();
    let source = python_home(&home.path());
    let before = files(&source);
    let kept = home.scratch().join("home.python");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("precious"), "x").unwrap();
    assert!(refused(&import(&home, &source, &[]), 2, "AuthsomeError").contains("home.python"));
    assert_eq!((files(&source), std::fs::read(kept.join("precious")).unwrap()), (before, b"x".to_vec()));
    // What a killed import left there is its own.
    std::fs::remove_file(kept.join("precious")).unwrap();
    std::fs::write(kept.join(".new-import"), "").unwrap();
    std::fs::write(kept.join("config.json"), "{").unwrap();
    assert_eq!(import(&home, &source, &[]).status.code(), Some(0));
    holds_everything(&home);
}

#[test]
fn an_import_that_is_killed_leaves_the_old_home_or_ours_and_succeeds_the_next_time() {
    let home = Home::new();
    let kept = home.scratch().join("home.python");
    let before = files(&python_home(&home.path()));
    let mut exchanged = 0;
    for step in 0..24 {
        let mut command = home.command();
        command.args(["--quiet", "vault", "import"]).arg(home.path());
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(4 * step));
        child.kill().unwrap();
        child.wait().unwrap();
        if home.path().join("master.key").exists() && files(&home.path()) == before {
            continue;
        }
        assert_eq!(files(&kept), before, "after {step}");
        holds_everything(&home);
        exchanged += 1;
        std::fs::remove_dir_all(home.path()).unwrap();
        std::fs::rename(&kept, home.path()).unwrap();
    }
    let output = import(&home, &home.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(files(&kept), before, "{exchanged} were exchanged");
    holds_everything(&home);
}

#[test]
fn what_stands_in_our_home_is_replaced_by_force_alone() {
    let home = Home::new();
    let source = python_home(&home.scratch().join("old"));
    home.define(&Definition::bearer("acme", "api.acme.test"));
    home.login("acme", "sk-ours");
    home.login_with(&["login", "openai", "--stdin"], "sk-ours0123456789abcdefghijklmnopqrstu");
    let imported = document(&import(&home, &source, &[]));
    let left = imported["left"].to_string();
    assert!(left.contains("openai/default") && left.contains("acme/default"), "{left}");
    assert_eq!(secret(&home, "openai", "api_key", &[]), "sk-ours0123456789abcdefghijklmnopqrstu");
    assert_eq!(secret(&home, "acme", "api_key", &[]), "sk-ours");
    assert_eq!(secret(&home, "github", "access_token", &[]), "access-github-default");
    let again = document(&import(&home, &source, &["--force"]));
    assert_eq!(again["connections"].as_array().unwrap().len(), 10, "{again}");
    assert_eq!(secret(&home, "acme", "api_key", &[]), "acme-key-one");
}

#[test]
fn a_home_that_cannot_be_read_is_refused_with_its_own_reason_and_nothing_is_made() {
    let home = Home::new();
    let source = python_home(&home.path());
    let store = source.join("profiles/default/store.db");
    let cases: [Case<'_>; 7] = [
        (
            "a truncated key",
            &|| cut(&source.join("master.key"), 60),
            7,
            "EncryptionUnavailableError",
            "master.key",
        ),
        (
            "no key",
            &|| std::fs::remove_file(source.join("master.key")).unwrap(),
            7,
            "EncryptionUnavailableError",
            "master.key",
        ),
        ("another key", &|| replace_key(&source), 7, "EncryptionUnavailableError", "opens none"),
        (
            "a damaged store",
            &|| std::fs::write(&store, [0x5a; 8192]).unwrap(),
            7,
            "StoreUnavailableError",
            "default",
        ),
        (
            "0.1.x",
            &|| std::fs::write(source.join("version"), "1\n").unwrap(),
            7,
            "StoreUnavailableError",
            "0.1.x",
        ),
        ("0.3", &|| later(&source), 7, "StoreUnavailableError", "later"),
        (
            "no home at all",
            &|| std::fs::write(source.join("version"), "77\n").unwrap(),
            2,
            "AuthsomeError",
            "no home",
        ),
    ];
    for (name, damage, code, error, said) in cases {
        std::fs::remove_dir_all(&source).unwrap();
        python_home(&source);
        if name == "a damaged store" {
            std::fs::remove_file(store.with_file_name("store.db-wal")).unwrap();
        }
        damage();
        let before = files(&source);
        let message = refused(&import(&home, &source, &[]), code, error);
        assert!(message.contains(said), "{name}: {message}");
        assert_eq!(files(&source), before, "{name}");
        assert!(!home.scratch().join("home.python").exists(), "{name}");
    }
    let nowhere = Home::new();
    refused(&import(&nowhere, Path::new("/does/not/exist"), &[]), 2, "AuthsomeError");
}

/// What it is, how it comes about, and what is said.
type Case<'a> = (&'a str, &'a dyn Fn(), i32, &'a str, &'a str);

fn cut(path: &Path, length: usize) {
    let content = std::fs::read(path).unwrap();
    std::fs::write(path, &content[..length]).unwrap();
}

fn replace_key(source: &Path) {
    let path = source.join("master.key");
    let mut key: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    key["key"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
    std::fs::write(path, key.to_string()).unwrap();
}

fn later(source: &Path) {
    std::fs::remove_file(source.join("version")).unwrap();
    std::fs::create_dir(source.join("server")).unwrap();
}

#[test]
fn one_damaged_value_does_not_keep_the_others() {
    let home = Home::new();
    let source = python_home(&home.scratch().join("old"));
    // A value stands behind its key; the index, which has the key too, comes later.
    let store = source.join("profiles/work/store.db");
    let mut content = std::fs::read(&store).unwrap();
    let key = b"profile:work:openai:connection:default";
    let at = content.windows(key.len()).position(|part| part == key).unwrap() + key.len();
    content[at + 40] = if content[at + 40] == b'A' { b'B' } else { b'A' };
    std::fs::write(&store, content).unwrap();
    let imported = document(&import(&home, &source, &[]));
    let left = imported["left"].as_array().unwrap();
    let damaged = left.iter().find(|left| left["kind"] == "record").unwrap_or_else(|| panic!("{imported}"));
    assert_eq!(
        (damaged["profile"].as_str(), damaged["name"].as_str()),
        (Some("work"), std::str::from_utf8(key).ok())
    );
    assert_eq!(secret(&home, "github", "access_token", &[]), "access-github-default");
}

#[test]
fn an_import_on_a_full_disk_is_exit_7_and_leaves_no_part_of_it_and_the_old_home_whole() {
    let home = Home::new();
    let Some(disk) = Disk::mount(&home.scratch().join("disk")) else { return };
    let place = home.scratch().join("disk/home");
    let source = python_home(&place);
    let before = files(&source);
    let run = || {
        let mut command = home.command();
        command.args(["--json", "vault", "import"]).arg(&source).arg("--home").arg(&place);
        command.output().unwrap()
    };
    for room in [0, 64, 192, 320] {
        disk.fill(room);
        let output = run();
        disk.clear();
        if output.status.success() {
            assert_eq!(files(&home.scratch().join("disk/home.python")), before, "{room}");
            return;
        }
        refused(&output, 7, "StoreUnavailableError");
        assert_eq!(files(&source), before, "{room}");
        assert!(!home.scratch().join("disk/home.python").exists(), "{room}");
    }
    assert_eq!(run().status.code(), Some(0));
}

#[tokio::test]
async fn an_imported_connection_works() {
    let builder = World::empty().name("api.acme.test").name("api.openai.com").name("api.github.com");
    let source = python_home(&builder.home().scratch().join("old"));
    assert_eq!(import(builder.home(), &source, &[]).status.code(), Some(0));
    let world = builder.start().await;
    let run = Run::start(world.run(&SHELL));
    for (host, header, value) in [
        ("api.acme.test:443", "x-acme-key", "acme-key-one"),
        ("api.openai.com:443", "authorization", "Bearer sk-pythonwork456789abcdefghijklmnop"),
        ("api.github.com:443", "authorization", "Bearer access-github-default"),
    ] {
        run.client().ask(Version::HTTP_11, host, &Ask::get("/v1/models")).await.expect(200);
        let seen = world.origin.requests().pop().unwrap();
        assert_eq!(seen.values(header), [value], "{host}");
    }
    let names = ["ACME_API_KEY", "OPENAI_API_KEY"].map(|name| run.variable(name).to_owned());
    assert!(names.iter().all(|value| !value.is_empty() && !value.contains("key-one")), "{names:?}");
}
