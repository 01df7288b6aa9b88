//! Taking over the records of the Python edition.

mod theirs;

use std::collections::BTreeMap;

use authsome_providers::{AuthType, Provider, Registry};

use super::provided::CONNECTION as PROVIDED;
use super::record::{ClientRecord, ClientSource, ConnectionRecord, Keys, SCHEMA_VERSION, encode};
use super::{AuthService, Error, binding};
use crate::home::is_name;
use crate::secret::Secret;
use crate::vault::{Change, PythonRecord};
use theirs::{
    Hidden, TheirClient, TheirConnection, TheirMetadata, check_base_url, check_version, parsed, time,
};

/// Something that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// `connection`, `client`, `definition`, `profile` or `record`.
    pub kind: &'static str,
    /// What it is called.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Left {
    pub(crate) fn new(kind: &'static str, name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind, name: name.into(), reason: reason.into() }
    }
}

/// What became of a profile's records.
#[derive(Debug, Clone, Default)]
pub struct TakenOver {
    /// Provider and name of each connection, as they are called here.
    pub connections: Vec<(String, String)>,
    /// The providers whose OAuth client was taken.
    pub clients: Vec<String>,
    /// The rest.
    pub left: Vec<Left>,
}

impl AuthService {
    /// Stores the records of a profile of the Python edition, each bound to what its definition says now. Definitions in
    /// `refused` were theirs and are not in force here: what belongs to them is left, and so is what stands here already,
    /// without `force`.
    ///
    /// # Errors
    /// When the vault cannot be read or written; nothing was stored then.
    pub fn take_over(
        &self,
        profile: &str,
        records: Vec<PythonRecord>,
        refused: &BTreeMap<String, String>,
        force: bool,
    ) -> Result<TakenOver, Error> {
        let definitions = self.definitions();
        let exclusive = self.vault()?.exclusive()?;
        let registry = &definitions.registry;
        let mut work = Work { force, ..Work::new(self, registry, refused) };
        let theirs = Keys { profile };
        let (mut connections, mut others) = (Vec::new(), Vec::new());
        for (key, value) in records {
            let value = match value {
                Ok(value) => value,
                Err(error) => {
                    work.leave("record", &key, error.to_string());
                    continue;
                }
            };
            match theirs.parse_connection(&key) {
                Some((provider, name)) => connections.push((provider.to_owned(), name.to_owned(), value)),
                None => others.push((key, value)),
            }
        }
        // A name of a provider here comes before an alias of it.
        connections.sort_by_key(|(provider, ..)| registry.provider(provider).is_none());
        for (provider, name, value) in connections {
            work.connection(&provider, &name, value.expose())?;
        }
        for (key, value) in others {
            work.other(theirs, &key, value.expose())?;
        }
        let (changes, done) = work.finish()?;
        exclusive.apply(changes)?;
        Ok(done)
    }
}

/// Why one record is left: a text for people.
type Reason = String;

struct Work<'a> {
    auth: &'a AuthService,
    registry: &'a Registry,
    refused: &'a BTreeMap<String, String>,
    force: bool,
    /// By our provider and name, with the names that theirs had.
    records: BTreeMap<(String, String), (ConnectionRecord, String, String)>,
    clients: BTreeMap<String, ClientRecord>,
    /// Their provider to their default.
    defaults: BTreeMap<String, String>,
    left: Vec<Left>,
}

impl<'a> Work<'a> {
    fn new(auth: &'a AuthService, registry: &'a Registry, refused: &'a BTreeMap<String, String>) -> Self {
        Self {
            auth,
            registry,
            refused,
            force: false,
            records: BTreeMap::new(),
            clients: BTreeMap::new(),
            defaults: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    fn leave(&mut self, kind: &'static str, name: &str, reason: impl Into<String>) {
        self.left.push(Left::new(kind, name, reason));
    }

    fn connection(&mut self, provider: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        let shown = format!("{provider}/{name}");
        match self.converted(provider, name, value) {
            Ok(record)
                if self
                    .stands(&self.auth.keys().connection(&record.provider, &record.connection_name))? =>
            {
                self.leave("connection", &shown, "there is one of this name here; --force replaces it");
            }
            Ok(record) => {
                let place = (record.provider.clone(), record.connection_name.clone());
                self.records.insert(place, (record, provider.to_owned(), name.to_owned()));
            }
            Err(reason) => self.leave("connection", &shown, reason),
        }
        Ok(())
    }

    fn converted(&self, provider: &str, name: &str, value: &[u8]) -> Result<ConnectionRecord, Reason> {
        let theirs: TheirConnection = parsed(value)?;
        check_version(theirs.schema_version)?;
        let known = self.provider(provider)?;
        let definition = &known.definition;
        let mut name = name;
        if !is_name(name) || name == PROVIDED {
            return Err("a connection cannot have this name here".to_owned());
        }
        if self.records.contains_key(&(definition.name().to_owned(), name.to_owned())) {
            // Two of their providers are one here.
            name = provider;
        }
        if !definition.offers(theirs.auth_type) {
            return Err(format!("{} takes no {} here", definition.name(), theirs.auth_type.as_str()));
        }
        let fields = definition.fields(theirs.auth_type);
        let mut values = BTreeMap::new();
        if fields.iter().any(|field| field.name == "base_url") {
            values.extend(theirs.base_url.as_deref().map(|url| ("base_url".to_owned(), Secret::from(url))));
        }
        let credential = match theirs.auth_type {
            AuthType::ApiKey => theirs.api_key,
            AuthType::OAuth2 => theirs.access_token,
        };
        let Hidden(credential) = credential.ok_or("it holds no credential")?;
        values.insert(theirs.auth_type.credential_field().to_owned(), credential);
        let record = self.auth.record(definition, theirs.auth_type, name, &values);
        let mut record = record.map_err(|error| error.to_string())?;
        check_base_url(theirs.base_url.as_deref(), &record)?;
        record.status = theirs.status;
        record.scopes = theirs.scopes;
        record.refresh_token = theirs.refresh_token.map(|Hidden(token)| token);
        record.id_token = theirs.id_token.map(|Hidden(token)| token);
        record.token_type = theirs.token_type;
        record.expires_at = theirs.expires_at.as_deref().map(time).transpose()?;
        record.obtained_at = theirs.obtained_at.as_deref().map(time).transpose()?;
        if let Some(account) = theirs.account {
            (record.account.id, record.account.label) = (account.id, account.label);
        }
        Ok(record)
    }

    /// The provider that is meant here by a name of theirs.
    fn provider(&self, name: &str) -> Result<&'a Provider, Reason> {
        if let Some(reason) = self.refused.get(name) {
            return Err(format!("its definition was not taken: {reason}"));
        }
        self.registry.resolve(name).ok_or_else(|| {
            let absence = Registry::explain_absence(name).map(|reason| format!(": {reason}"));
            format!("there is no provider {name:?} here{}", absence.unwrap_or_default())
        })
    }

    /// Everything but connections. The state of refreshing is not worth keeping.
    fn other(&mut self, keys: Keys<'_>, key: &str, value: &[u8]) -> Result<(), Error> {
        let parts = key.strip_prefix(&keys.all()).and_then(|rest| rest.split_once(':'));
        match parts {
            Some((provider, "client")) => self.client(provider, value)?,
            Some((_, "metadata")) => {
                if let Ok(metadata) = parsed::<TheirMetadata>(value)
                    && let Some(default) = metadata.default_connection
                {
                    self.defaults.insert(metadata.provider, default);
                }
            }
            Some((_, "state")) => {}
            _ => self.leave("record", key, "it is of no kind that is known"),
        }
        Ok(())
    }

    fn client(&mut self, provider: &str, value: &[u8]) -> Result<(), Error> {
        match self.converted_client(provider, value) {
            Ok(Some(record)) if self.stands(&self.auth.keys().client(&record.provider))? => {
                self.leave("client", provider, "there is one here; --force replaces it");
            }
            Ok(Some(record)) => {
                self.clients.entry(record.provider.clone()).or_insert(record);
            }
            Ok(None) => {}
            Err(reason) => self.leave("client", provider, reason),
        }
        Ok(())
    }

    fn converted_client(&self, provider: &str, value: &[u8]) -> Result<Option<ClientRecord>, Reason> {
        let theirs: TheirClient = parsed(value)?;
        check_version(theirs.schema_version)?;
        let Some(client_id) = theirs.client_id.filter(|id| !id.is_empty()) else { return Ok(None) };
        let definition = &self.provider(provider)?.definition;
        let mut values = BTreeMap::new();
        if definition.fields(AuthType::OAuth2).iter().any(|field| field.name == "base_url") {
            values.extend(theirs.base_url.map(|url| ("base_url".to_owned(), url)));
        }
        let today =
            binding::today(definition, AuthType::OAuth2, &values).map_err(|error| error.to_string())?;
        let registered = definition.flow() == authsome_providers::FlowType::DcrPkce;
        Ok(Some(ClientRecord {
            schema_version: SCHEMA_VERSION,
            profile: self.auth.profile().name().to_owned(),
            provider: definition.name().to_owned(),
            client_id,
            client_secret: theirs.client_secret.map(|Hidden(secret)| secret),
            source: if registered { ClientSource::DcrGenerated } else { ClientSource::UserSupplied },
            token_url: today.token_url,
            metadata: serde_json::Map::new(),
            rest: serde_json::Map::new(),
        }))
    }

    /// Whether something stands in the way of a record.
    fn stands(&self, key: &str) -> Result<bool, Error> {
        Ok(!self.force && self.auth.vault()?.list(key)?.iter().any(|known| known == key))
    }

    /// What is to be written, and what is to be told.
    fn finish(self) -> Result<(Vec<Change>, TakenOver), Error> {
        let keys = self.auth.keys();
        let mut changes = Vec::new();
        let mut done = TakenOver { left: self.left, ..TakenOver::default() };
        let mut metadata = BTreeMap::new();
        for ((provider, name), (record, their_provider, their_name)) in self.records {
            changes.push(Change::put(keys.connection(&provider, &name), encode(&record)));
            if !metadata.contains_key(&provider) {
                metadata.insert(provider.clone(), self.auth.metadata(&provider, self.force)?);
            }
            if let Some((_, known)) = metadata.get_mut(&provider) {
                let taken = |known: &String| done.connections.contains(&(provider.clone(), known.clone()));
                let chosen = their_provider == provider && self.defaults.get(&provider) == Some(&their_name);
                // What was chosen here before stays chosen.
                let chosen = chosen && known.connection_names.iter().all(taken);
                known.add(&name);
                if chosen {
                    known.default_connection = Some(name.clone());
                }
            }
            done.connections.push((provider, name));
        }
        changes.extend(metadata.into_values().map(|(key, record)| Change::put(key, encode(&record))));
        for (provider, record) in self.clients {
            changes.push(Change::put(keys.client(&provider), encode(&record)));
            done.clients.push(provider);
        }
        Ok((changes, done))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::vault::SealError;

    fn take(records: Vec<PythonRecord>) -> (AuthService, TakenOver, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let auth = AuthService::builder().home(folder.path().join("home")).build().unwrap();
        let taken = auth.take_over("default", records, &BTreeMap::new(), false).unwrap();
        (auth, taken, folder)
    }

    fn key(rest: &str) -> String {
        format!("profile:default:{rest}")
    }

    fn record(rest: &str, value: &Value) -> PythonRecord {
        (key(rest), Ok(Secret::new(value.to_string().into_bytes())))
    }

    fn connection(change: &Value) -> Value {
        let mut value = json!({
            "schema_version": 2, "auth_type": "oauth2", "status": "connected", "access_token": "canary-token",
            "base_url": null, "metadata": {"a": 1}, "invented_later": true,
        });
        for (name, changed) in change.as_object().unwrap() {
            value[name] = changed.clone();
        }
        value
    }

    #[test]
    fn what_cannot_be_taken_is_left_with_a_reason_that_holds_no_secret() {
        let cases = [
            ("github:connection:a", json!({"base_url": "https://github.example.com"}), "github.example.com"),
            ("github:connection:b", json!({"base_url": "https://github.community"}), "github.community"),
            ("github:connection:c", json!({"schema_version": 1}), "version 1"),
            ("github:connection:d", json!({"schema_version": 3}), "version 3"),
            ("github:connection:e", json!({"access_token": null}), "no credential"),
            ("github:connection:f", json!({"expires_at": "canary"}), "times"),
            ("github:connection:g", json!({"access_token": ["canary"]}), "form"),
            ("github:connection:h", json!({"access_token": "canary\r\nHost: x"}), "github"),
            ("github:connection:.hidden", json!({}), "name"),
            ("github:connection:environment", json!({}), "name"),
            ("nobody:connection:default", json!({}), "nobody"),
            ("stripe:connection:default", json!({}), "oauth2"),
        ];
        let mut records: Vec<PythonRecord> =
            cases.iter().map(|(rest, change, _)| record(rest, &connection(change))).collect();
        records.push((key("github:connection:damaged"), Err(SealError::Tampered)));
        records.push(record("github:invented", &json!({})));
        records
            .push(record("github:connection:good", &connection(&json!({"base_url": "https://github.com/"}))));
        let (auth, taken, _folder) = take(records);
        assert_eq!(taken.connections, [("github".to_owned(), "good".to_owned())]);
        for (rest, _, said) in &cases {
            let name = rest.replace(":connection:", "/");
            let left = taken.left.iter().find(|left| left.name == name).unwrap_or_else(|| panic!("{name}"));
            assert!(left.reason.contains(said) && !left.reason.contains("canary"), "{left:?}");
        }
        assert_eq!(taken.left.len(), cases.len() + 2);
        let good = auth.connection("github", None).unwrap();
        assert!(good.is_default && good.record.rest.is_empty() && good.record.metadata.is_empty());
    }

    #[test]
    fn a_client_is_taken_with_the_endpoint_that_it_is_for() {
        let client = |id: &str| json!({"schema_version": 2, "client_id": id, "client_secret": "canary"});
        let (auth, taken, _folder) = take(vec![
            record("github:client", &client("one")),
            record("notion_dcr:client", &client("two")),
            record("google:client", &json!({"schema_version": 2, "client_id": null})),
            record("nobody:client", &client("three")),
        ]);
        assert_eq!(taken.clients, ["github", "notion-mcp"]);
        assert_eq!(taken.left.len(), 1, "{:?}", taken.left);
        let stored = |provider: &str| -> ClientRecord {
            let key = auth.keys().client(provider);
            let item = auth.vault().unwrap().get(&key).unwrap().unwrap();
            super::super::record::decode(&key, item.value.expose()).unwrap()
        };
        let github = stored("github");
        assert_eq!((github.client_id.as_str(), github.source), ("one", ClientSource::UserSupplied));
        assert_eq!(github.token_url.as_deref(), Some("https://github.com/login/oauth/access_token"));
        assert_eq!(github.client_secret.unwrap().expose(), "canary");
        assert_eq!(stored("notion-mcp").source, ClientSource::DcrGenerated);
    }
}
