use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Barrier;

use rusqlite::Connection;
use zeroize::Zeroizing;

use super::*;
use crate::clock::SystemClock;
use crate::home::{Home, files};

fn key(byte: u8) -> MasterKey {
    MasterKey::new(Zeroizing::new([byte; 32]))
}

fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn text(vault: &Vault, key: &str) -> Option<String> {
    vault.get(key).unwrap().map(|item| String::from_utf8(item.value.expose().clone()).unwrap())
}

struct Place {
    _folder: tempfile::TempDir,
    home: Home,
    profile: Profile,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home"), &SystemClock).unwrap();
        let profile = home.profile("default").unwrap();
        Self { _folder: folder, home, profile }
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.profile, &key(1)).unwrap()
    }

    fn sql(&self, statement: &str) {
        Connection::open(self.profile.store()).unwrap().execute_batch(statement).unwrap();
    }
}

/// The innermost message, which tells what went wrong.
fn root(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}

#[test]
fn what_is_put_is_read_by_another_handle_and_never_lies_in_the_file() {
    let place = Place::new();
    let vault = place.vault();
    vault.put("a:1", secret("sk-canary-one")).unwrap();
    vault.put("a:2", secret("sk-canary-two")).unwrap();
    vault.put("b", secret("sk-canary-three")).unwrap();
    let other = place.vault();
    assert_eq!(text(&other, "a:1").unwrap(), "sk-canary-one");
    assert_eq!(other.list("a:").unwrap(), ["a:1", "a:2"]);
    assert_eq!(other.verify().unwrap(), 3);
    for entry in fs::read_dir(place.profile.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = fs::read(&path).unwrap();
            assert!(!content.windows(9).any(|part| part == b"sk-canary"), "{}", path.display());
        }
    }
}

#[test]
fn a_write_on_a_stale_version_is_a_conflict_and_changes_nothing() {
    for vault in
        [Place::new().vault(), Vault::with_backend(Arc::<MemoryBackend>::default(), &key(1)).unwrap()]
    {
        let first = vault.put_if("k", secret("1"), Expected::Absent).unwrap();
        let second = vault.put_if("k", secret("2"), Expected::Version(first)).unwrap();
        assert!(second > first);
        let stale = vec![
            Change::put("other", secret("x")),
            Change::put("k", secret("3")).expecting(Expected::Version(first)),
        ];
        assert!(matches!(vault.apply(stale), Err(VaultError::Backend(BackendError::Conflict(_)))));
        assert!(vault.put_if("k", secret("3"), Expected::Absent).is_err());
        assert_eq!(text(&vault, "k").unwrap(), "2");
        assert_eq!(text(&vault, "other"), None);
        // A version is never given again, so a deleted and rewritten record is told from the old one.
        assert!(vault.delete("k").unwrap());
        assert!(!vault.delete("k").unwrap());
        assert!(vault.put("k", secret("4")).unwrap() > second + 1);
    }
}

#[test]
fn a_swapped_or_changed_record_does_not_open_and_the_others_do() {
    let place = Place::new();
    place.vault().put("one", secret("first")).unwrap();
    place.vault().put("two", secret("second")).unwrap();
    place.sql("UPDATE kv SET value = (SELECT value FROM kv WHERE key = 'two') WHERE key = 'one'");
    let vault = place.vault();
    let swapped = vault.get("one").unwrap_err();
    assert!(matches!(&swapped, VaultError::Record { key, source: SealError::Tampered } if key == "one"));
    assert_eq!(text(&vault, "two").unwrap(), "second");
    let readable = vault.scan("").unwrap().into_iter().filter(|(_, item)| item.is_ok()).count();
    assert_eq!(readable, 1);
    assert!(vault.verify().is_err());
}

#[test]
fn no_changed_byte_of_an_envelope_gives_another_plaintext() {
    let sealing_key = SealingKey::generate().unwrap();
    let sealed = sealing_key.seal("record", b"plaintext of a record").unwrap();
    for position in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[position] ^= 1 << bit;
            if let Ok(opened) = sealing_key.open("record", &changed) {
                assert_eq!(&**opened, b"plaintext of a record", "byte {position}");
            }
        }
    }
    assert!(matches!(sealing_key.open("another", &sealed), Err(SealError::Tampered)));
    let twice = sealing_key.seal("record", b"plaintext of a record").unwrap();
    assert_ne!(sealed, twice, "a fresh nonce each time");
}

#[test]
fn another_master_key_is_told_from_damage() {
    let place = Place::new();
    place.vault().put("one", secret("first")).unwrap();
    assert!(matches!(Vault::open(&place.profile, &key(2)), Err(VaultError::WrongMasterKey)));
    place.sql("UPDATE meta SET value = replace(CAST(value AS TEXT), '\"tag\":\"', '\"tag\":\"AAAA') WHERE name = 'data_keys'");
    assert!(matches!(Vault::open(&place.profile, &key(1)), Err(VaultError::DataKeys(_))));
}

#[test]
fn a_store_that_is_not_ours_as_we_know_it_has_its_own_error() {
    let place = Place::new();
    place.vault().put("one", secret("first")).unwrap();
    let opened = || SqliteBackend::open(&place.profile.store()).err().unwrap();
    place.sql("PRAGMA user_version = 99");
    assert!(matches!(opened(), BackendError::TooNew { found: 99, .. }));
    place.sql("PRAGMA user_version = 2; PRAGMA application_id = 7");
    assert!(matches!(opened(), BackendError::Foreign));

    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", place.profile.store().display())).ok();
    }
    place.sql("CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL)");
    assert!(matches!(opened(), BackendError::Foreign), "the Python edition's");

    fs::write(place.profile.store(), "not a database at all, by no means, certainly".repeat(99)).unwrap();
    assert!(matches!(opened(), BackendError::Corrupt(_)));
    fs::remove_file(place.profile.store()).unwrap();
    fs::create_dir(place.profile.store()).unwrap();
    assert!(matches!(opened(), BackendError::Unreachable(_)));
}

#[test]
fn damaged_pages_are_an_error_and_are_not_overwritten() {
    let place = Place::new();
    let vault = place.vault();
    for number in 0..200 {
        vault.put(&format!("record:{number:03}"), secret(&"x".repeat(200))).unwrap();
    }
    drop(vault);
    let file = fs::OpenOptions::new().write(true).open(place.profile.store()).unwrap();
    let size = file.metadata().unwrap().len();
    file.write_all_at(&vec![0xa5; 4096], size / 4096 / 2 * 4096).unwrap();
    let before = fs::read(place.profile.store()).unwrap();
    let error = Vault::open(&place.profile, &key(1)).err().unwrap();
    assert!(matches!(error, VaultError::Backend(BackendError::Corrupt(_))), "{}", root(&error));
    assert_eq!(fs::read(place.profile.store()).unwrap(), before);
}

#[test]
fn a_read_only_or_full_store_fails_the_write_and_keeps_what_was_there() {
    let place = Place::new();
    place.vault().put("one", secret("first")).unwrap();
    let connection = Connection::open(place.profile.store()).unwrap();
    connection.execute_batch("PRAGMA query_only = ON").unwrap();
    let error = connection.execute("DELETE FROM kv", []).unwrap_err();
    assert!(matches!(BackendError::from(error), BackendError::ReadOnly(_)));
    connection.execute_batch("PRAGMA query_only = OFF; PRAGMA max_page_count = 1").unwrap();
    let grow = "INSERT INTO kv SELECT 'big', randomblob(1000000), 1";
    assert!(matches!(BackendError::from(connection.execute(grow, []).unwrap_err()), BackendError::Full(_)));
    assert_eq!(text(&place.vault(), "one").unwrap(), "first");
}

#[test]
fn writers_of_many_handles_lose_no_update() {
    let place = Place::new();
    place.vault().put("count", secret("0")).unwrap();
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let vault = place.vault();
                start.wait();
                for _ in 0..25 {
                    let exclusive = vault.exclusive().unwrap();
                    let count: u32 = text(&vault, "count").unwrap().parse().unwrap();
                    exclusive.apply(vec![Change::put("count", secret(&(count + 1).to_string()))]).unwrap();
                }
            });
        }
    });
    assert_eq!(text(&place.vault(), "count").unwrap(), "100");
}

#[test]
fn processes_that_start_together_agree_on_one_home_one_key_and_one_data_key() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/home");
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (root, start) = (&root, &start);
            scope.spawn(move || {
                start.wait();
                let home = Home::open(root, &SystemClock).unwrap();
                let master = MasterKey::load(&MasterKeySource::File, &home).unwrap();
                let vault = Vault::open(&home.profile("default").unwrap(), &master).unwrap();
                vault.put(&format!("record:{number}"), secret("value")).unwrap();
            });
        }
    });
    let home = Home::open(&root, &SystemClock).unwrap();
    let master = MasterKey::load(&MasterKeySource::File, &home).unwrap();
    let vault = Vault::open(&home.profile("default").unwrap(), &master).unwrap();
    assert_eq!(vault.verify().unwrap(), 16);
}

#[test]
fn a_missing_master_key_is_never_replaced_while_a_store_needs_it() {
    let place = Place::new();
    let master = MasterKey::load(&MasterKeySource::File, &place.home).unwrap();
    drop(Vault::open(&place.profile, &master).unwrap());
    // A store without records needs no key: a new one is made.
    fs::remove_file(place.home.master_key()).unwrap();
    let master = MasterKey::load(&MasterKeySource::File, &place.home).unwrap();
    Vault::open(&place.profile, &master).unwrap().put("one", secret("first")).unwrap();
    let kept = fs::read(place.home.master_key()).unwrap();

    fs::remove_file(place.home.master_key()).unwrap();
    let error = MasterKey::load(&MasterKeySource::File, &place.home).err().unwrap();
    assert!(matches!(error, MasterKeyError::Missing { .. }));
    assert!(!place.home.master_key().exists());

    assert!(files::create(&place.home.master_key(), &kept).unwrap());
    let master = MasterKey::load(&MasterKeySource::File, &place.home).unwrap();
    assert_eq!(text(&Vault::open(&place.profile, &master).unwrap(), "one").unwrap(), "first");
}

#[test]
fn a_master_key_that_others_can_read_or_that_is_malformed_is_refused() {
    let place = Place::new();
    MasterKey::load(&MasterKeySource::File, &place.home).unwrap();
    let path = place.home.master_key();
    let load = || MasterKey::load(&MasterKeySource::File, &place.home).err().unwrap();
    for mode in [0o644, 0o640, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = load();
        assert!(root(&error).contains("chmod 600"), "{mode:o}: {}", root(&error));
    }
    let whole = fs::read(&path).unwrap();
    for content in [&whole[..whole.len() / 2], b"", b"{}", b"{\"version\":2}"] {
        files::replace(&path, content).unwrap();
        assert!(matches!(load(), MasterKeyError::Malformed(_)));
    }
}

#[test]
fn a_key_of_the_environment_is_read_in_every_usual_form() {
    let place = Place::new();
    let hex = "ab".repeat(32);
    let base64 = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    place.vault().put("unrelated", secret("x")).unwrap();
    let mut stores = Vec::new();
    for form in [hex.as_str(), base64, base64.trim_end_matches('=')] {
        let source = MasterKeySource::Environment(form.into());
        stores.push(*MasterKey::load(&source, &place.home).unwrap().bytes());
    }
    let path = place.home.root().join("mounted");
    fs::write(&path, format!("{hex}\n")).unwrap();
    stores.push(*MasterKey::load(&MasterKeySource::EnvironmentFile(path), &place.home).unwrap().bytes());
    assert!(stores.iter().all(|bytes| *bytes == [0xab; 32]));
    for form in ["", "short", &"zz".repeat(32)] {
        assert!(MasterKey::load(&MasterKeySource::Environment(form.into()), &place.home).is_err());
    }
    assert!(!place.home.master_key().exists(), "no file is made beside it");
}

#[test]
fn a_deleted_record_leaves_no_ciphertext_behind() {
    let place = Place::new();
    let vault = place.vault();
    vault.put("gone", secret("x")).unwrap();
    let sealed = vault.backend.get("gone").unwrap().unwrap().value;
    let envelope: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
    let nonce = envelope["nonce"].as_str().unwrap().to_owned();
    assert!(vault.delete("gone").unwrap());
    for entry in fs::read_dir(place.profile.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = fs::read(&path).unwrap();
            assert!(!content.windows(nonce.len()).any(|part| part == nonce.as_bytes()), "{}", path.display());
        }
    }
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        if entry.path().is_dir() {
            found.extend(modes(&entry.path()));
            assert_eq!(mode, 0o700, "{}", entry.path().display());
        } else {
            found.push((entry.file_name().to_string_lossy().into_owned(), mode));
        }
    }
    found
}

#[test]
fn every_file_is_private_whatever_the_umask() {
    // The umask belongs to the process; other tests run beside this one and pass under any.
    for umask in [0o000, 0o077] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
        let home = Home::open(&root, &SystemClock);
        let vault = home.as_ref().ok().map(|home| {
            let master = MasterKey::load(&MasterKeySource::File, home).unwrap();
            let vault = Vault::open(&home.profile("default").unwrap(), &master).unwrap();
            vault.put("one", secret("first")).unwrap();
            vault
        });
        nix::sys::stat::umask(before);
        home.unwrap();
        let found = modes(&root);
        assert!(found.iter().any(|(name, _)| name == "store.db-wal"), "{found:?}");
        assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{umask:o}: {found:?}");
        drop(vault);
    }
}

mod generations {
    use super::super::generation::{Turn, create};
    use super::*;

    #[test]
    fn the_number_is_odd_during_a_write_and_another_even_one_after() {
        let place = Place::new();
        let vault = place.vault();
        let reader = GenerationReader::open(&place.profile.generation()).unwrap();
        let before = reader.current().unwrap();
        assert!(!is_unsettled(before));
        vault.get("one").unwrap();
        assert_eq!(reader.current().unwrap(), before);
        vault.put("one", secret("first")).unwrap();
        let after = reader.current().unwrap();
        assert!(!is_unsettled(after) && after != before);

        let turn = Turn::begin(&place.profile.generation()).unwrap();
        let during = reader.current().unwrap();
        assert!(is_unsettled(during));
        drop(turn);
        // The writer died: it stays odd until the next one.
        assert!(is_unsettled(reader.current().unwrap()));
        drop(Turn::begin(&place.profile.generation()).unwrap());
        let next = reader.current().unwrap();
        assert!(is_unsettled(next) && next != during, "the next writer's odd number is its own");
        vault.put("one", secret("second")).unwrap();
        assert!(!is_unsettled(reader.current().unwrap()));
    }

    #[test]
    fn a_failed_write_settles_too() {
        let place = Place::new();
        let vault = place.vault();
        let reader = GenerationReader::open(&place.profile.generation()).unwrap();
        vault.put("one", secret("first")).unwrap();
        assert!(vault.put_if("one", secret("x"), Expected::Absent).is_err());
        assert!(!is_unsettled(reader.current().unwrap()));
    }

    #[test]
    fn a_missing_short_or_replaced_file_is_noticed() {
        let place = Place::new();
        let path = place.profile.generation();
        assert!(GenerationReader::open(&path).is_err(), "no vault was opened yet");
        create(&path).unwrap();
        let reader = GenerationReader::open(&path).unwrap();
        let first = reader.current().unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        assert!(matches!(reader.current(), Err(GenerationError::Missing(_))));
        create(&path).unwrap();
        assert_ne!(reader.current().unwrap(), first, "the short file is still open: it is opened anew");
        fs::remove_file(&path).unwrap();
        assert!(matches!(reader.recheck(), Err(GenerationError::Missing(_))));
        create(&path).unwrap();
        reader.recheck().unwrap();
        let third = reader.current().unwrap();
        place.vault().put("one", secret("first")).unwrap();
        assert_ne!(reader.current().unwrap(), third);
    }
}
