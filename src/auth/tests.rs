use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authsome_providers::{AuthType, FlowType, Source};

use super::record::{ConnectionRecord, ConnectionStatus, encode};
use super::*;
use crate::secret::Secret;
use crate::vault::MasterKeySource;

const CANARY: &str = "sk-canary-0123456789abcdef0123456789abcdef";

const DESK: &str = r#"{"schema_version": 1, "name": "desk", "display_name": "Desk", "auth_type": "api_key", "flow": "api_key",
    "host_url": "https://{tenant}.desk.example.com/api",
    "fields": [{"name": "email", "label": "E-mail"}, {"name": "pin", "label": "PIN", "secret": true}],
    "api_key": {"placement": {"basic": {"username": "{email}/token", "password": "{api_key}"}}},
    "export": {"env": {"api_key": "DESK_TOKEN", "email": "DESK_EMAIL", "pin": "DESK_PIN"}}}"#;

const ACME: &str = r#"{"schema_version": 1, "name": "acme", "display_name": "Acme", "auth_type": "api_key", "flow": "api_key",
    "host_url": "api.acme.example.com", "api_key": {"key_pattern": "sk-[a-z0-9-]+", "key_pattern_hint": "keys begin with sk-"}}"#;

#[derive(Debug, Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn since_epoch(&self) -> Duration {
        Duration::from_secs(1_795_000_000 + self.0.load(Ordering::Relaxed))
    }
}

struct Place {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), clock: Arc::default() };
        let auth = place.auth();
        auth.register_provider("desk.json", DESK, false).unwrap();
        auth.register_provider("acme.json", ACME, false).unwrap();
        place
    }

    fn builder(&self) -> Builder {
        AuthService::builder().home(self.folder.path().join("home")).clock(self.clock.clone())
    }

    fn auth(&self) -> AuthService {
        self.builder().build().unwrap()
    }

    fn store(&self, record: &ConnectionRecord) {
        let auth = self.auth();
        let key = auth.keys().connection(&record.provider, &record.connection_name);
        auth.vault().unwrap().put(&key, encode(record)).unwrap();
    }
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret<String>> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect()
}

fn acme<'a>(connection: Option<&'a str>, key: &str) -> Login<'a> {
    Login { provider: "acme", connection, values: values(&[("api_key", key)]), ..Login::default() }
}

fn desk(tenant: &str) -> Login<'static> {
    let values = values(&[
        ("tenant", tenant),
        ("email", "ann@example.com"),
        ("api_key", CANARY),
        ("pin", "pin-canary"),
    ]);
    Login { provider: "desk", values, ..Login::default() }
}

#[test]
fn a_login_is_there_for_the_next_process_with_its_binding() {
    let place = Place::new();
    let made = place.auth().login(&desk("acme")).unwrap();
    assert!(made.is_default);
    let read = place.auth().connection("desk", None).unwrap();
    assert_eq!((read.version, read.is_default), (made.version, true));
    assert_eq!(read.record.binding, made.record.binding);
    assert_eq!(read.record.binding.claims, ["acme.desk.example.com:443/api"]);
    assert_eq!(read.record.field("api_key"), Some(CANARY));
    assert_eq!(read.record.tenant.as_deref(), Some("acme"));
    let headers = place.auth().auth_headers("desk", None).unwrap();
    assert_eq!(headers[0].0, "authorization");
    assert!(headers[0].1.expose().starts_with("Basic "));
    assert_eq!(place.auth().access_token("desk", None).unwrap().expose(), CANARY);
}

#[test]
fn values_that_cannot_be_sent_or_do_not_fit_are_refused_without_being_told() {
    let place = Place::new();
    let auth = place.auth();
    for key in ["", "wrong-canary", "sk-canary\r\nx: y", "sk-canary\0", "sk-canary\n\n", "sk-canary é"] {
        let error = auth.login(&acme(None, key)).err().unwrap();
        assert!(matches!(error, Error::AuthenticationFailed { .. }), "{key:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(auth.login(&acme(None, "nope")).err().unwrap().to_string().contains("keys begin with sk-"));
    for tenant in ["", "a.b", "evil.com/", "UPPER"] {
        assert!(matches!(auth.login(&desk(tenant)), Err(Error::AuthenticationFailed { .. })), "{tenant}");
    }
    let mut colon = desk("acme");
    colon.values.insert("email".to_owned(), "ann:canary@example.com".into());
    let error = auth.login(&colon).err().unwrap().to_string();
    assert!(error.contains("colon") && !error.contains("canary"), "what Basic cannot carry: {error}");
    let unknown = Login { values: values(&[("api_key", "sk-1"), ("colour", "x")]), ..acme(None, "") };
    assert!(matches!(auth.login(&unknown), Err(Error::Usage(_))));
    assert!(matches!(auth.login(&acme(Some("../x"), "sk-1")), Err(Error::Usage(_))));
    assert!(matches!(auth.login(&acme(Some("environment"), "sk-1")), Err(Error::Usage(_))));
    assert!(auth.snapshot().unwrap().connections.is_empty());
    assert_eq!(auth.login(&acme(None, "sk-one\r\n")).unwrap().record.field("api_key"), Some("sk-one"));
}

#[test]
fn a_connection_that_works_is_not_overwritten_without_force() {
    let place = Place::new();
    let auth = place.auth();
    auth.login(&acme(None, "sk-one")).unwrap();
    let again = acme(None, "sk-two");
    assert!(matches!(auth.login(&again), Err(Error::AlreadyConnected { .. })));
    auth.login(&Login { force: true, ..again.clone() }).unwrap();
    assert_eq!(auth.access_token("acme", None).unwrap().expose(), "sk-two");
    let mut expired = auth.connection("acme", None).unwrap().record;
    expired.expires_at = Some(auth.now());
    place.store(&expired);
    assert!(matches!(auth.access_token("acme", None), Err(Error::TokenExpired { .. })));
    assert!(matches!(auth.export(Some("acme"), None), Err(Error::TokenExpired { .. })));
    auth.login(&acme(None, "sk-three")).unwrap();
}

#[test]
fn standings_are_derived() {
    let place = Place::new();
    let auth = place.auth();
    let standing = |name: &str| {
        let listed = auth.list_providers().unwrap();
        listed.into_iter().find(|one| one.provider.definition.name() == name).unwrap().standing
    };
    assert_eq!(standing("acme"), ProviderStanding::Available);
    auth.login(&acme(None, "sk-one")).unwrap();
    assert_eq!(standing("acme"), ProviderStanding::Connected);
    let mut record = auth.connection("acme", None).unwrap().record;
    record.expires_at = Some(auth.now() + 10);
    place.store(&record);
    assert_eq!(standing("acme"), ProviderStanding::Connected);
    place.clock.0.store(10, Ordering::Relaxed);
    assert_eq!(standing("acme"), ProviderStanding::Available);
    auth.vault().unwrap().put(&auth.keys().client("acme"), Secret::new(b"{}".to_vec())).unwrap();
    assert_eq!(standing("acme"), ProviderStanding::Configured);
}

#[test]
fn the_first_connection_is_the_default_until_another_is_chosen_or_it_ends() {
    let place = Place::new();
    let auth = place.auth();
    let default = || auth.connection("acme", None).map(|one| one.record.connection_name);
    assert!(matches!(default(), Err(Error::CredentialMissing { .. })));
    auth.login(&acme(Some("work"), "sk-one")).unwrap();
    auth.login(&acme(Some("home"), "sk-two")).unwrap();
    assert_eq!(default().unwrap(), "work");
    assert!(matches!(auth.connection("acme", Some("other")), Err(Error::ConnectionNotFound { .. })));
    assert!(auth.set_default_connection("acme", "other").is_err());
    auth.set_default_connection("acme", "home").unwrap();
    assert_eq!(default().unwrap(), "home");
    let listed = auth.list_connections(Some("acme")).unwrap();
    let shown: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.is_default)).collect();
    assert_eq!(shown, [("home", true), ("work", false)]);
    assert_eq!(auth.logout("acme", None).unwrap(), "home");
    assert_eq!(default().unwrap(), "work");
    assert!(matches!(auth.logout("acme", Some("home")), Err(Error::ConnectionNotFound { .. })));
    auth.logout("acme", None).unwrap();
    assert!(matches!(auth.logout("acme", None), Err(Error::CredentialMissing { .. })));
    assert!(auth.vault().unwrap().list("").unwrap().is_empty(), "nothing is left");
}

#[test]
fn revoke_ends_all_and_remove_takes_the_definition_too() {
    let place = Place::new();
    let auth = place.auth();
    for name in ["one", "two", "three"] {
        auth.login(&acme(Some(name), "sk-one")).unwrap();
    }
    auth.login(&desk("acme")).unwrap();
    auth.revoke("acme", Some("two")).unwrap();
    assert_eq!(auth.list_connections(Some("acme")).unwrap().len(), 2);
    auth.revoke("acme", None).unwrap();
    assert!(matches!(auth.revoke("acme", None), Err(Error::CredentialMissing { .. })));
    assert_eq!(auth.remove("desk").unwrap(), Removed::Uninstalled);
    assert!(matches!(auth.provider("desk"), Err(Error::ProviderNotFound { .. })));
    assert!(auth.vault().unwrap().list("").unwrap().is_empty());
    assert!(matches!(auth.remove("desk"), Err(Error::ProviderNotFound { .. })));
    assert!(matches!(auth.remove("../../x"), Err(Error::ProviderNotFound { .. })));
    assert_eq!(auth.remove("openai").unwrap(), Removed::Reset);
    assert!(auth.provider("openai").is_ok());
}

#[test]
fn a_connection_outlives_its_definition_and_can_still_be_ended() {
    let place = Place::new();
    place.auth().login(&acme(None, "sk-one")).unwrap();
    fs::remove_file(place.auth().home().providers_folder().join("acme.json")).unwrap();
    let auth = place.auth();
    assert_eq!(auth.snapshot().unwrap().connections.len(), 1);
    assert!(matches!(auth.connection("acme", None), Err(Error::ProviderNotFound { .. })));
    auth.logout("acme", None).unwrap();
}

#[test]
fn an_unknown_provider_is_told_its_neighbours() {
    let place = Place::new();
    let error = place.auth().provider("opanai").unwrap_err();
    assert!(error.to_string().contains("did you mean openai"), "{error}");
    assert_eq!((error.name(), error.exit_code()), ("ProviderNotFoundError", 3));
}

#[test]
fn a_broken_definition_is_reported_and_the_rest_works() {
    let place = Place::new();
    let folder = place.auth().home().providers_folder();
    fs::write(folder.join("broken.json"), "{").unwrap();
    fs::write(folder.join("binary.json"), [0xff, 0xfe]).unwrap();
    fs::write(folder.join("huge.json"), " ".repeat(2 << 20)).unwrap();
    fs::write(folder.join("other-name.json"), ACME).unwrap();
    std::os::unix::fs::symlink(folder.join("acme.json"), folder.join("link.json")).unwrap();
    fs::write(folder.join("notes.txt"), "no definition").unwrap();
    let auth = place.auth();
    let definitions = auth.definitions();
    let files: Vec<&str> = definitions.broken.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(files, ["binary.json", "broken.json", "huge.json", "link.json", "other-name.json"]);
    assert!(definitions.broken[3].error.to_string().contains("not a regular file"));
    auth.login(&acme(None, "sk-one")).unwrap();
    assert_eq!(auth.remove("broken").unwrap(), Removed::Uninstalled);
    assert_eq!(auth.definitions().broken.len(), 4);
}

#[test]
fn registering_is_validated_and_does_not_replace_unasked() {
    let place = Place::new();
    let auth = place.auth();
    let invalid = ACME.replace("\"auth_type\": \"api_key\"", "\"auth_type\": \"magic\"");
    let error = auth.register_provider("f.json", &invalid, true).unwrap_err();
    assert_eq!((error.name(), error.exit_code()), ("InvalidProviderSchemaError", 2));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("auth_type"));
    assert!(matches!(auth.register_provider("f", ACME, false), Err(Error::ProviderExists(_))));
    let openai = ACME.replace("\"acme\"", "\"openai\"");
    assert!(matches!(auth.register_provider("f", &openai, false), Err(Error::ProviderExists(_))));
    auth.register_provider("f", &openai, true).unwrap();
    let provider = auth.provider("openai").unwrap();
    assert_eq!((provider.source, provider.overrides_bundled), (Source::Custom, true));
    assert_eq!(auth.remove("openai").unwrap(), Removed::Uninstalled);
    assert_eq!(auth.provider("openai").unwrap().source, Source::Bundled);
}

#[test]
fn hand_edits_are_noticed_by_a_reload_alone() {
    let place = Place::new();
    let auth = place.auth();
    assert!(!auth.reload_definitions().unwrap());
    let path = auth.home().providers_folder().join("acme.json");
    fs::write(&path, ACME.replace("api.acme", "api2.acme")).unwrap();
    assert!(auth.reload_definitions().unwrap());
    assert!(!auth.reload_definitions().unwrap());
    fs::remove_file(path).unwrap();
    assert!(auth.reload_definitions().unwrap());
    assert!(auth.provider("acme").is_err());
}

#[test]
fn an_edited_definition_shows_as_a_changed_binding_until_it_is_bound_anew() {
    let place = Place::new();
    let auth = place.auth();
    auth.login(&acme(None, "sk-one")).unwrap();
    let evil = ACME.replace("api.acme.example.com", "evil.example.com");
    auth.register_provider("acme.json", &evil, true).unwrap();
    let connection = auth.connection("acme", None).unwrap();
    let definition = auth.provider("acme").unwrap().definition;
    let today = binding::today(&definition, AuthType::ApiKey, &connection.record.template_values()).unwrap();
    let changes = connection.record.binding_changes(&today);
    assert_eq!(changes, ["- api.acme.example.com:443/", "+ evil.example.com:443/"]);
    let bound = auth.rebind("acme", None).unwrap();
    assert!(bound.record.binding_changes(&today).is_empty());
    assert_eq!(auth.access_token("acme", None).unwrap().expose(), "sk-one");
}

#[test]
fn exports_hold_the_credential_and_what_is_not_secret() {
    let place = Place::new();
    let auth = place.auth();
    auth.login(&desk("acme")).unwrap();
    auth.login(&acme(None, "sk-one")).unwrap();
    let exported = auth.export(Some("desk"), None).unwrap();
    let mut pairs: Vec<_> =
        exported.iter().map(|one| (one.variable.as_str(), one.value.expose().as_str(), one.secret)).collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("DESK_EMAIL", "ann@example.com", false), ("DESK_TOKEN", CANARY, true)]);
    let all = auth.export(None, None).unwrap();
    assert!(all.iter().any(|one| one.variable == "ACME_API_KEY") && all.len() == 3);
    assert!(matches!(auth.export(Some("openai"), None), Err(Error::CredentialMissing { .. })));
}

#[test]
fn a_key_of_the_environment_is_a_connection_that_cannot_be_ended_here() {
    let place = Place::new();
    place.auth().login(&acme(None, "sk-stored")).unwrap();
    let path = place.folder.path().join("key");
    fs::write(&path, "sk-file\n").unwrap();
    let mut keys = ProvidedKeys::default();
    keys.insert("ACME", ProvidedKey::File(path.clone()));
    keys.insert("DESK", ProvidedKey::Value(CANARY.into()));
    let auth = place.builder().provided_keys(keys).build().unwrap();
    assert_eq!(auth.access_token("acme", None).unwrap().expose(), "sk-file");
    fs::write(&path, "sk-rotated").unwrap();
    assert_eq!(auth.access_token("acme", None).unwrap().expose(), "sk-rotated");
    assert_eq!(auth.access_token("acme", Some("default")).unwrap().expose(), "sk-stored");
    assert!(matches!(auth.logout("acme", Some("environment")), Err(Error::Usage(_))));
    let snapshot = auth.snapshot().unwrap();
    let defaults: Vec<_> = snapshot.connections.iter().filter(|one| one.is_default).collect();
    assert_eq!(defaults.len(), 1);
    assert_eq!(defaults[0].record.connection_name, PROVIDED_CONNECTION);
    assert_eq!(snapshot.unreadable[0].provider, "desk", "its tenant is not known");
    auth.logout("acme", Some("default")).unwrap();
    assert_eq!(auth.access_token("acme", None).unwrap().expose(), "sk-rotated");
    fs::remove_file(path).unwrap();
    assert!(matches!(auth.connection("acme", None), Err(Error::AuthenticationFailed { .. })));
}

#[test]
fn one_damaged_record_hides_no_other() {
    let place = Place::new();
    let auth = place.auth();
    auth.login(&acme(Some("one"), "sk-one")).unwrap();
    auth.login(&acme(Some("two"), "sk-two")).unwrap();
    let keys = (auth.keys().connection("acme", "one"), auth.keys().connection("acme", "two"));
    let store = rusqlite::Connection::open(auth.profile().store()).unwrap();
    let swap = "UPDATE kv SET value = (SELECT value FROM kv WHERE key = ?1) WHERE key = ?2";
    store.execute(swap, [&keys.0, &keys.1]).unwrap();
    let snapshot = auth.snapshot().unwrap();
    assert_eq!((snapshot.connections.len(), snapshot.unreadable.len()), (1, 1));
    let listed = auth.list_connections(None).unwrap();
    assert_eq!((listed[1].name.as_str(), listed[1].status), ("two", ConnectionStatus::Sealed));
    let error = auth.connection("acme", Some("two")).unwrap_err();
    assert_eq!((error.name(), error.exit_code()), ("EncryptionUnavailableError", 7));
    assert!(auth.check_vault().is_err());
    auth.login(&Login { force: true, ..acme(Some("two"), "sk-new") }).unwrap();
    assert_eq!(auth.check_vault().unwrap(), 3);
}

#[test]
fn without_the_master_key_names_are_shown_as_sealed_and_secrets_are_not_to_be_had() {
    let place = Place::new();
    place.auth().login(&acme(None, "sk-one")).unwrap();
    fs::remove_file(place.auth().home().master_key()).unwrap();
    let auth = place.auth();
    let listed = auth.list_connections(None).unwrap();
    assert_eq!((listed.len(), listed[0].status), (1, ConnectionStatus::Sealed));
    assert!(auth.list_providers().unwrap().len() > 2);
    for error in [
        auth.connection("acme", None).unwrap_err(),
        auth.snapshot().unwrap_err(),
        auth.login(&acme(None, "sk-two")).unwrap_err(),
        auth.logout("acme", None).unwrap_err(),
    ] {
        assert_eq!((error.name(), error.exit_code()), ("EncryptionUnavailableError", 7));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("master.key is missing"));
    }
    assert!(!auth.home().master_key().exists());
    let other = MasterKeySource::Environment("ab".repeat(32).as_str().into());
    let auth = place.builder().master_key(other).build().unwrap();
    let error = auth.connection("acme", None).unwrap_err();
    assert_eq!(error.name(), "EncryptionUnavailableError");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("not the one"));
}

#[test]
fn a_damaged_store_is_told_and_definitions_are_shown() {
    let place = Place::new();
    let store = place.auth().profile().store();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", store.display())).ok();
    }
    fs::write(&store, "garbage".repeat(1000)).unwrap();
    let auth = place.auth();
    let error = auth.connection("acme", None).unwrap_err();
    assert_eq!((error.name(), error.exit_code()), ("StoreUnavailableError", 7));
    assert!(auth.provider("openai").is_ok());
    assert!(matches!(auth.list_providers(), Err(Error::StoreUnavailable(_))));
}

#[test]
fn profiles_are_apart_and_unknown_ones_are_never_made() {
    let place = Place::new();
    place.auth().login(&acme(None, "sk-one")).unwrap();
    let error = place.builder().profile("work").build().err().unwrap();
    assert_eq!((error.name(), error.exit_code()), ("ProfileNotFoundError", 1));
    assert!(!place.auth().home().root().join("profiles/work").exists());
    place.auth().create_profile("work", Some("For work")).unwrap();
    assert!(matches!(place.auth().create_profile("work", None), Err(Error::ProfileExists(_))));
    for name in ["..", "a/b", "", "-x"] {
        assert!(matches!(place.auth().create_profile(name, None), Err(Error::Usage(_))), "{name}");
    }
    let work = place.builder().profile("work").build().unwrap();
    assert!(work.snapshot().unwrap().connections.is_empty());
    let names: Vec<String> = work.list_profiles().unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["default", "work"]);
}

#[test]
fn flows_that_a_definition_lacks_are_refused_and_a_token_can_be_stored() {
    let place = Place::new();
    let auth = place.auth();
    assert!(auth.login_flow("acme", Some(FlowType::ApiKey)).is_ok());
    for (provider, flow) in [("spotify", FlowType::ApiKey), ("acme", FlowType::DeviceCode)] {
        let error = auth.login_flow(provider, Some(flow)).unwrap_err();
        assert_eq!((error.name(), error.exit_code()), ("UnsupportedFlowError", 2));
    }
    let oauth = auth.login_fields("acme", Some(AuthType::OAuth2)).unwrap_err();
    assert_eq!(oauth.name(), "UnsupportedAuthTypeError");
    let fields = auth.login_fields("spotify", None).unwrap();
    let field = fields.last().unwrap().name.clone();
    let token = Login { provider: "spotify", values: values(&[(&field, "BQ-canary")]), ..Login::default() };
    assert_eq!(auth.login(&token).unwrap().record.auth_type, AuthType::OAuth2);
    assert_eq!(auth.access_token("spotify", None).unwrap().expose(), "BQ-canary");
}

#[test]
fn every_change_moves_the_generation() {
    let place = Place::new();
    let auth = place.auth();
    let reader = crate::vault::GenerationReader::open(&auth.profile().generation()).unwrap();
    let mut last = reader.current().unwrap();
    let mut moved = |what: &str| {
        let now = reader.current().unwrap();
        assert_ne!(now, last, "{what}");
        last = now;
    };
    auth.login(&acme(None, "sk-one")).unwrap();
    moved("login");
    auth.login(&acme(Some("b"), "sk-one")).unwrap();
    auth.set_default_connection("acme", "b").unwrap();
    moved("default");
    auth.logout("acme", Some("b")).unwrap();
    moved("logout");
    auth.rebind("acme", None).unwrap();
    moved("rebind");
    auth.register_provider("acme.json", ACME, true).unwrap();
    moved("register");
    auth.revoke("acme", None).unwrap();
    moved("revoke");
    auth.remove("acme").unwrap();
    moved("remove");
}
