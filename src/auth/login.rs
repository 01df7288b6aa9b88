//! Making connections from values that a person or a file gave.

use std::collections::BTreeMap;

use authsome_providers::{AuthType, FieldSpec, FlowType, Provider, ProviderDefinition};
use serde_json::Map;

use super::provided::{CONNECTION as PROVIDED, without_line_end};
use super::record::{
    Account, ConnectionRecord, ConnectionStatus, ProviderMetadata, SCHEMA_VERSION, decode, encode,
};
use super::{AuthService, ClientCredentials, Connection, Error, binding};
use crate::home;
use crate::secret::Secret;
use crate::vault::{Change, Exclusive, Expected, Item, VaultError};

/// What a login stores.
#[derive(Debug, Clone, Default)]
pub struct Login<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The connection; `default` when none is named.
    pub connection: Option<&'a str>,
    /// The kind of credential; the definition's own when none is named.
    pub auth_type: Option<AuthType>,
    /// The flow of [`AuthService::begin_login`]; the definition's own when none is named.
    pub flow: Option<FlowType>,
    /// The scopes to ask for; the definition's own when there are none.
    pub scopes: Vec<String>,
    /// The OAuth client; the stored one when none is given.
    pub client: Option<ClientCredentials>,
    /// The values by the names of [`AuthService::login_fields`]. A line end behind a value is taken off.
    pub values: BTreeMap<String, Secret<String>>,
    /// Whether a connection that works is overwritten.
    pub force: bool,
    /// Whether the stored OAuth client is left aside, and a new one registered where that can be.
    pub reset: bool,
}

impl AuthService {
    /// The kind of credential that a login stores; without a wish, that of the definition's default flow.
    ///
    /// # Errors
    /// When there is no such provider, or it does not take that kind of credential.
    pub fn login_kind(&self, provider: &str, wanted: Option<AuthType>) -> Result<AuthType, Error> {
        let definitions = self.definitions();
        self.auth_type(&definitions.provider(provider)?.definition, wanted)
    }

    /// What a login asks, in order. Without a kind, what [`Self::login_kind`] says.
    ///
    /// # Errors
    /// When there is no such provider, or it does not take that kind of credential.
    pub fn login_fields(&self, provider: &str, auth_type: Option<AuthType>) -> Result<Vec<FieldSpec>, Error> {
        let definitions = self.definitions();
        let definition = &definitions.provider(provider)?.definition;
        Ok(definition.fields(self.auth_type(definition, auth_type)?))
    }

    /// Stores a connection from given values, its credential among them, bound to what the definition says now.
    ///
    /// # Errors
    /// When a value is missing, malformed or cannot be placed in a request, when a connection that
    /// works stands in the way, or when the vault cannot be written.
    pub fn login(&self, login: &Login<'_>) -> Result<Connection, Error> {
        let definitions = self.definitions();
        let definition = &definitions.provider(login.provider)?.definition;
        let name = connection_name(login.connection)?;
        let auth_type = self.auth_type(definition, login.auth_type)?;
        let record = self.record(definition, auth_type, name, &login.values)?;
        self.store_new(record, login.force, Vec::new())
    }

    /// Binds a connection to what the definition says now, keeping its secret.
    ///
    /// # Errors
    /// When there is no such connection, its values do not fill the definition, or the vault cannot be written.
    pub fn rebind(&self, provider: &str, connection: Option<&str>) -> Result<Connection, Error> {
        let mut bound = self.connection(provider, connection)?;
        let (Some(version), definitions) = (bound.version, self.definitions()) else {
            return Err(Error::Usage("a key of the environment is bound anew at each use".to_owned()));
        };
        let definition = &definitions.provider(provider)?.definition;
        let record = &mut bound.record;
        record.binding = binding::today(definition, record.auth_type, &record.template_values())
            .map_err(|error| failed(definition, &error))?;
        let key = self.keys().connection(provider, &record.connection_name);
        bound.version = Some(self.vault()?.put_if(&key, encode(record), Expected::Version(version))?);
        Ok(bound)
    }

    /// A record that holds the key of the environment.
    pub(super) fn provided_record(
        &self,
        provider: &Provider,
        key: Secret<String>,
    ) -> Result<ConnectionRecord, Error> {
        let definition = &provider.definition;
        let offers_keys = definition.offers(AuthType::ApiKey);
        let auth_type = if offers_keys { AuthType::ApiKey } else { definition.auth_type() };
        let values = BTreeMap::from([(auth_type.credential_field().to_owned(), key)]);
        self.record(definition, auth_type, PROVIDED, &values)
    }

    fn auth_type(
        &self,
        definition: &ProviderDefinition,
        wanted: Option<AuthType>,
    ) -> Result<AuthType, Error> {
        let auth_type = wanted.unwrap_or(definition.auth_type());
        if definition.offers(auth_type) {
            return Ok(auth_type);
        }
        Err(Error::UnsupportedAuthType { provider: definition.name().to_owned(), auth_type })
    }

    pub(super) fn record(
        &self,
        definition: &ProviderDefinition,
        auth_type: AuthType,
        name: &str,
        values: &BTreeMap<String, Secret<String>>,
    ) -> Result<ConnectionRecord, Error> {
        let record = self.draft(definition, &definition.fields(auth_type), (auth_type, name), values)?;
        check_placement(definition, &record)?;
        Ok(record)
    }

    /// A record that holds the values of these fields.
    pub(super) fn draft(
        &self,
        definition: &ProviderDefinition,
        fields: &[FieldSpec],
        (auth_type, name): (AuthType, &str),
        values: &BTreeMap<String, Secret<String>>,
    ) -> Result<ConnectionRecord, Error> {
        if let Some(unknown) = values.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
            return Err(Error::Usage(format!("{} has no field {unknown:?}", definition.name())));
        }
        let mut record = ConnectionRecord {
            schema_version: SCHEMA_VERSION,
            provider: definition.name().to_owned(),
            profile: self.profile().name().to_owned(),
            connection_name: name.to_owned(),
            auth_type,
            status: ConnectionStatus::Connected,
            scopes: None,
            access_token: None,
            refresh_token: None,
            id_token: None,
            api_key: None,
            token_type: None,
            expires_at: None,
            obtained_at: Some(self.now()),
            base_url: None,
            tenant: None,
            fields: BTreeMap::new(),
            binding: binding::unbound(),
            account: Account::default(),
            metadata: Map::new(),
            rest: Map::new(),
        };
        fields.iter().try_for_each(|field| fill(definition, &mut record, field, values.get(&field.name)))?;
        record.binding = binding::today(definition, auth_type, &record.template_values())
            .map_err(|error| failed(definition, &error))?;
        Ok(record)
    }

    /// Stores a new connection, and further changes with it.
    pub(super) fn store_new(
        &self,
        record: ConnectionRecord,
        force: bool,
        further: Vec<Change>,
    ) -> Result<Connection, Error> {
        let vault = self.vault()?;
        let exclusive = vault.exclusive()?;
        let (provider, name) = (record.provider.clone(), record.connection_name.clone());
        let key = self.keys().connection(&provider, &name);
        if !force {
            self.check_free(&provider, &name)?;
        }
        let (metadata_key, mut metadata) = self.metadata(&provider, force)?;
        metadata.add(&name);
        let mut changes =
            vec![Change::put(key, encode(&record)), Change::put(metadata_key, encode(&metadata))];
        changes.extend(self.forget_refreshes(&provider, &name)?);
        changes.extend(further);
        let version = apply(&exclusive, changes)?;
        let is_default = metadata.default_connection.as_deref() == Some(name.as_str());
        Ok(Connection { record, version: Some(version), is_default })
    }

    /// Says so when a connection that works would be overwritten.
    pub(super) fn check_free(&self, provider: &str, connection: &str) -> Result<(), Error> {
        let key = self.keys().connection(provider, connection);
        if self.works(&key, self.vault()?.get(&key))? {
            let (provider, connection) = (provider.to_owned(), connection.to_owned());
            return Err(Error::AlreadyConnected { provider, connection });
        }
        Ok(())
    }

    /// Whether what was found under a key is a connection that works.
    fn works(&self, key: &str, found: Result<Option<Item>, VaultError>) -> Result<bool, Error> {
        let Some(item) = found? else { return Ok(false) };
        let record: ConnectionRecord = decode(key, item.value.expose())?;
        Ok(record.status_at(self.now()) == ConnectionStatus::Connected)
    }

    /// The metadata of a provider with its key. With `force`, metadata that cannot be read is made anew.
    pub(super) fn metadata(&self, provider: &str, force: bool) -> Result<(String, ProviderMetadata), Error> {
        let key = self.keys().metadata(provider);
        let fresh = || ProviderMetadata::new(self.profile().name(), provider);
        let read = || -> Result<ProviderMetadata, Error> {
            match self.vault()?.get(&key)? {
                Some(item) => Ok(decode(&key, item.value.expose())?),
                None => Ok(fresh()),
            }
        };
        let metadata = match read() {
            Err(Error::EncryptionUnavailable(_) | Error::StoreUnavailable(_)) if force => fresh(),
            read => read?,
        };
        Ok((key, metadata))
    }
}

pub(super) fn apply(exclusive: &Exclusive<'_>, changes: Vec<Change>) -> Result<i64, Error> {
    Ok(exclusive.apply(changes)?)
}

fn fill(
    definition: &ProviderDefinition,
    record: &mut ConnectionRecord,
    field: &FieldSpec,
    given: Option<&Secret<String>>,
) -> Result<(), Error> {
    let given = given.map(|value| without_line_end(value.expose())).filter(|value| !value.is_empty());
    let value = given.or(field.default.as_deref()).unwrap_or_default();
    field.check(value).map_err(|error| failed(definition, &format_args!("{}: {error}", field.label)))?;
    if !value.is_empty() {
        record.set_field(&field.name, Secret::from(value), field.secret);
    }
    Ok(())
}

/// The name of a connection that is to be made.
pub(super) fn connection_name(wanted: Option<&str>) -> Result<&str, Error> {
    let name = wanted.unwrap_or("default");
    home::check_name("connection", name)?;
    if name == PROVIDED {
        return Err(Error::Usage(format!("the name {PROVIDED:?} is kept for keys of the environment")));
    }
    Ok(name)
}

/// Renders every form of the credential once: what cannot be sent is refused now.
pub(super) fn check_placement(
    definition: &ProviderDefinition,
    record: &ConnectionRecord,
) -> Result<(), Error> {
    let placement = &record.binding.placement;
    let slots = placement.variants.values().chain([placement]).flat_map(|placement| &placement.slots);
    for slot in slots {
        slot.value().render(|name| record.field(name)).map_err(|error| failed(definition, &error))?;
    }
    Ok(())
}

pub(super) fn failed(definition: &ProviderDefinition, reason: &dyn std::fmt::Display) -> Error {
    Error::AuthenticationFailed { provider: definition.name().to_owned(), reason: reason.to_string() }
}
