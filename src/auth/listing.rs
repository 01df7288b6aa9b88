//! What can be seen of providers and connections without their secrets.

use authsome_providers::{AuthType, Provider};

use super::record::{ConnectionRecord, ConnectionStatus};
use super::{AuthService, Error, Snapshot};

/// How far a provider is, derived from the records and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderStanding {
    /// There is a definition.
    Available,
    /// An OAuth client is stored.
    Configured,
    /// A connection works.
    Connected,
}

impl ProviderStanding {
    /// The word in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Configured => "configured",
            Self::Connected => "connected",
        }
    }
}

/// A provider with its connections.
#[derive(Debug, Clone)]
pub struct ListedProvider {
    /// Its definition.
    pub provider: Provider,
    /// How far it is.
    pub standing: ProviderStanding,
    /// Its connections, by name.
    pub connections: Vec<ListedConnection>,
}

/// A connection without its secrets.
#[derive(Debug, Clone)]
pub struct ListedConnection {
    /// The provider's name.
    pub provider: String,
    /// The connection's name.
    pub name: String,
    /// What it holds; unknown when the record does not open.
    pub auth_type: Option<AuthType>,
    /// How it stands.
    pub status: ConnectionStatus,
    /// The scopes that were granted.
    pub scopes: Option<Vec<String>>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// Whether it is used when none is named.
    pub is_default: bool,
}

impl AuthService {
    /// All providers, sorted by name. Where the vault is sealed, the names of connections are shown all the same.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_providers(&self) -> Result<Vec<ListedProvider>, Error> {
        let connections = self.list_connections(None)?;
        let clients = self.names_in_store(&self.keys().all())?;
        let definitions = self.definitions();
        let listed = definitions.registry.iter().map(|provider| {
            let name = provider.definition.name();
            let own = connections.iter().filter(|connection| connection.provider == name);
            let connections: Vec<ListedConnection> = own.cloned().collect();
            let standing = if connections.iter().any(|one| one.status == ConnectionStatus::Connected) {
                ProviderStanding::Connected
            } else if clients.contains(&self.keys().client(name)) {
                ProviderStanding::Configured
            } else {
                ProviderStanding::Available
            };
            ListedProvider { provider: provider.clone(), standing, connections }
        });
        Ok(listed.collect())
    }

    /// The connections of a provider, or of all, sorted by provider and name.
    ///
    /// # Errors
    /// When there is no such provider, or the store cannot be read.
    pub fn list_connections(&self, provider: Option<&str>) -> Result<Vec<ListedConnection>, Error> {
        if let Some(name) = provider {
            self.definitions().provider(name)?;
        }
        let mut listed = match self.snapshot() {
            Ok(snapshot) => self.shown(&snapshot),
            Err(Error::EncryptionUnavailable(_)) => self.sealed()?,
            Err(error) => return Err(error),
        };
        listed.retain(|connection| provider.is_none_or(|name| connection.provider == name));
        listed.sort_by(|one, other| (&one.provider, &one.name).cmp(&(&other.provider, &other.name)));
        Ok(listed)
    }

    fn shown(&self, snapshot: &Snapshot) -> Vec<ListedConnection> {
        let readable = snapshot.connections.iter().map(|one| self.listed(&one.record, one.is_default));
        let unreadable = snapshot.unreadable.iter();
        readable.chain(unreadable.map(|one| hidden(&one.provider, &one.connection))).collect()
    }

    fn listed(&self, record: &ConnectionRecord, is_default: bool) -> ListedConnection {
        ListedConnection {
            provider: record.provider.clone(),
            name: record.connection_name.clone(),
            auth_type: Some(record.auth_type),
            status: record.status_at(self.now()),
            scopes: record.scopes.clone(),
            expires_at: record.expires_at,
            is_default,
        }
    }

    fn sealed(&self) -> Result<Vec<ListedConnection>, Error> {
        let keys = self.names_in_store(&self.keys().all())?;
        let named = keys.iter().filter_map(|key| self.keys().parse_connection(key));
        Ok(named.map(|(provider, name)| hidden(provider, name)).collect())
    }
}

fn hidden(provider: &str, name: &str) -> ListedConnection {
    ListedConnection {
        provider: provider.to_owned(),
        name: name.to_owned(),
        auth_type: None,
        status: ConnectionStatus::Sealed,
        scopes: None,
        expires_at: None,
        is_default: false,
    }
}
