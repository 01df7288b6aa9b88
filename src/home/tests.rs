use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::clock::SystemClock;

fn opened(root: &Path) -> Result<Home, Error> {
    Home::open(root, &SystemClock)
}

fn listing(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_home_has_its_files_and_is_opened_again_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("home");
    let home = opened(&root).unwrap();
    assert_eq!(listing(&root), ["config.json", "lock", "logs", "profiles", "providers", "version"]);
    assert_eq!(home.profiles().unwrap(), ["default"]);
    assert_eq!(home.settings().unwrap().default_profile, "default");
    let metadata = fs::read(home.profile("default").unwrap().metadata_file()).unwrap();
    opened(&root).unwrap();
    assert_eq!(fs::read(home.profile("default").unwrap().metadata_file()).unwrap(), metadata);
}

#[test]
fn a_home_that_was_left_half_made_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("home");
    opened(&root).unwrap();
    fs::remove_file(root.join("config.json")).unwrap();
    fs::remove_dir_all(root.join("profiles")).unwrap();
    assert_eq!(opened(&root).unwrap().profiles().unwrap(), ["default"]);
    // Killed between the lock and `version`.
    for name in ["version", "config.json"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    fs::remove_dir_all(root.join("profiles")).unwrap();
    assert_eq!(opened(&root).unwrap().profiles().unwrap(), ["default"]);
}

#[test]
fn an_unknown_version_is_an_error_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["4", "", "two", "3.0"] {
        fs::write(folder.path().join("version"), text).unwrap();
        assert!(matches!(opened(folder.path()), Err(Error::UnknownVersion { .. })), "{text}");
        assert_eq!(listing(folder.path()), ["version"]);
    }
}

#[test]
fn a_home_of_the_python_edition_is_named_and_never_written_to() {
    let with_version: &[&str] = &["version", "config.json", "master.key", "profiles"];
    let without: &[&str] = &["config.json", "master.key", "audit.log", "profiles"];
    let later: &[&str] = &["server", "client", "logs"];
    for (version, entries) in [("1\n", with_version), ("2\n", with_version), ("", without), ("", later)] {
        let folder = tempfile::tempdir().unwrap();
        for name in entries {
            let path = folder.path().join(name);
            match *name {
                "version" => fs::write(path, version).unwrap(),
                "profiles" | "server" | "client" | "logs" => fs::create_dir(path).unwrap(),
                _ => fs::write(path, "{}").unwrap(),
            }
        }
        let before = listing(folder.path());
        let error = opened(folder.path()).unwrap_err();
        assert!(matches!(error, Error::PythonHome(_)), "{error}");
        assert!(error.to_string().contains("vault import"));
        assert_eq!(listing(folder.path()), before);
    }
}

#[test]
fn a_folder_of_other_things_is_no_home_and_a_prepared_one_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    assert!(matches!(opened(folder.path()), Err(Error::NotAHome(_))));
    assert_eq!(listing(folder.path()), ["thesis.tex"]);

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("providers")).unwrap();
    fs::write(folder.path().join("config.json"), r#"{"spec_version":1,"prefer":["a"]}"#).unwrap();
    assert_eq!(opened(folder.path()).unwrap().settings().unwrap().prefer, ["a"]);
}

#[test]
fn a_home_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("home");
    opened(&root).unwrap();
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
        let refused = opened(&root);
        assert!(matches!(refused, Err(Error::File(FileError::Exposed { .. }))), "{mode:o}");
    }
}

#[test]
fn settings_keep_what_they_do_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let home = opened(&folder.path().join("home")).unwrap();
    let written = json!({
        "spec_version": 1, "default_profile": "default", "telemetry": {"on": false},
        "encryption": {"mode": "local_key", "hint": "x"}, "prefer": ["github"], "foreign": "deny",
    });
    fs::write(home.settings_file(), written.to_string()).unwrap();
    home.change_settings(|settings| settings.default_profile = "work".to_owned()).unwrap();
    let mut expected = written;
    expected["default_profile"] = "work".into();
    let rewritten: serde_json::Value =
        serde_json::from_slice(&fs::read(home.settings_file()).unwrap()).unwrap();
    assert_eq!(rewritten, expected);
    assert!(home.change_settings(|settings| settings.default_profile = "../x".to_owned()).is_err());
}

#[test]
fn profiles_are_made_on_purpose_alone() {
    let folder = tempfile::tempdir().unwrap();
    let home = opened(&folder.path().join("home")).unwrap();
    assert!(matches!(home.profile("work"), Err(Error::ProfileNotFound(_))));
    assert!(!home.root().join("profiles/work").exists());
    home.create_profile("work", Some("For work"), &SystemClock).unwrap();
    let metadata = home.profile("work").unwrap().metadata().unwrap();
    assert_eq!((metadata.name.as_str(), metadata.description.as_deref()), ("work", Some("For work")));
    assert!(matches!(home.create_profile("work", None, &SystemClock), Err(Error::ProfileExists(_))));
    for name in ["", ".", "..", "a/b", "-a", "_a", "a b", "é", "a\0", &"a".repeat(65)] {
        assert!(matches!(home.profile(name), Err(Error::Name { .. })), "{name}");
        assert!(matches!(home.create_profile(name, None, &SystemClock), Err(Error::Name { .. })));
    }
    assert!(is_name(&"a".repeat(64)) && is_name("0-_Z"));
    assert_eq!(home.profiles().unwrap(), ["default", "work"]);
}

#[test]
fn the_lock_of_a_connection_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let home = opened(&folder.path().join("home")).unwrap();
    let profile = home.profile("default").unwrap();
    let held = profile.lock_connection("github", "work", Duration::ZERO).unwrap();
    assert!(profile.lock_connection("github", "work", Duration::ZERO).is_err());
    drop(profile.lock_connection("github", "home", Duration::ZERO).unwrap());
    drop(held);
    drop(profile.lock_connection("github", "work", Duration::ZERO).unwrap());
    assert!(profile.lock_connection("../x", "work", Duration::ZERO).is_err());
}
