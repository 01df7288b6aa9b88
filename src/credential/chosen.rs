//! Which connections a run uses: the picked one of each provider, or its default.

use std::collections::{BTreeMap, BTreeSet};

use authsome_providers::ProviderDefinition;

use crate::auth::record::ConnectionRecord;
use crate::auth::{AuthService, Connection, Error, Unreadable};

/// Stands for every credential whose definition names no other placeholder.
pub(super) const PLACEHOLDER: &str = "authsome-proxy-managed";

/// A provider's connection of this run.
pub(crate) struct Connected {
    /// Today's definition, unless it is gone.
    pub(crate) definition: Option<ProviderDefinition>,
    pub(crate) record: ConnectionRecord,
}

impl Connected {
    /// What stands for its secrets.
    pub(crate) fn placeholder(&self) -> &str {
        self.definition.as_ref().map_or(PLACEHOLDER, ProviderDefinition::placeholder)
    }
}

/// One connection for each provider, the picked one or the default, and what cannot be read.
pub(crate) struct Chosen {
    pub(crate) connected: Vec<Connected>,
    pub(crate) unreadable: Vec<Unreadable>,
    /// The connections that this run does not use.
    pub(crate) others: Vec<ConnectionRecord>,
    /// Every connection there is, by provider and name.
    all: BTreeSet<(String, String)>,
}

impl Chosen {
    pub(super) fn has(&self, provider: &str, connection: &str) -> bool {
        self.all.contains(&(provider.to_owned(), connection.to_owned()))
    }

    /// Whether every pick names a connection.
    ///
    /// # Errors
    /// The first that does not.
    pub(crate) fn check(&self, picks: &BTreeMap<String, String>) -> Result<(), Error> {
        let missing = picks.iter().find(|(provider, connection)| !self.has(provider, connection));
        missing.map_or(Ok(()), |(provider, connection)| {
            Err(Error::ConnectionNotFound { provider: provider.clone(), connection: connection.clone() })
        })
    }
}

/// Chooses among the profile's connections.
pub(crate) fn chosen(auth: &AuthService, picks: &BTreeMap<String, String>) -> Result<Chosen, Error> {
    let snapshot = auth.snapshot()?;
    let definitions = auth.definitions();
    let named = |record: &ConnectionRecord| (record.provider.clone(), record.connection_name.clone());
    let all = snapshot.connections.iter().map(|connection| named(&connection.record)).collect();
    let wanted = |connection: &Connection| match picks.get(&connection.record.provider) {
        Some(name) => *name == connection.record.connection_name,
        None => connection.is_default,
    };
    let connected = |Connection { record, .. }| {
        let provider = definitions.registry.provider(&record.provider);
        Connected { definition: provider.map(|provider| provider.definition.clone()), record }
    };
    let (used, others): (Vec<_>, Vec<_>) = snapshot.connections.into_iter().partition(wanted);
    let connected = used.into_iter().map(connected).collect();
    let others = others.into_iter().map(|connection| connection.record).collect();
    Ok(Chosen { connected, unreadable: snapshot.unreadable, others, all })
}
