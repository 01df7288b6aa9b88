//! OAuth clients: the applications registered at providers, one a provider and profile.

use authsome_providers::definition::ClientAuthentication;
use serde_json::Map;

use super::flows::OAuthClient;
use super::record::{ClientRecord, ClientSource, SCHEMA_VERSION, decode, encode};
use super::{AuthService, Error};
use crate::secret::Secret;
use crate::vault::Change;

/// Where [`ClientRecord::metadata`] keeps how the client authenticates, by its name in RFC 7591.
const METHOD: &str = "token_endpoint_auth_method";

/// An OAuth client as a person or the environment gives it.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Public.
    pub id: String,
    /// A secret, or a private key in PEM for `private_key_jwt`; absent for public clients.
    pub secret: Option<Secret<String>>,
    /// Where it came from.
    pub source: ClientSource,
}

impl AuthService {
    /// The OAuth client that is stored for a provider.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn client(&self, provider: &str) -> Result<Option<ClientRecord>, Error> {
        let key = self.keys().client(provider);
        let item = self.vault()?.get(&key)?;
        item.map(|item| Ok(decode(&key, item.value.expose())?)).transpose()
    }

    /// Stores the OAuth client of a provider. Connections that were made with another one cannot be refreshed then.
    ///
    /// # Errors
    /// When there is no such provider, the id is empty, or the vault cannot be written.
    pub fn set_client(&self, provider: &str, client: &ClientCredentials) -> Result<(), Error> {
        self.definitions().provider(provider)?;
        if client.id.is_empty() {
            return Err(Error::Usage("the id of an OAuth client is not empty".to_owned()));
        }
        self.vault()?.apply(vec![self.client_change(&self.client_record(provider, client))])?;
        Ok(())
    }

    /// Forgets the OAuth client of a provider; says whether there was one.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub fn remove_client(&self, provider: &str) -> Result<bool, Error> {
        Ok(self.vault()?.delete(&self.keys().client(provider))?)
    }

    pub(super) fn client_record(&self, provider: &str, client: &ClientCredentials) -> ClientRecord {
        ClientRecord {
            schema_version: SCHEMA_VERSION,
            profile: self.profile().name().to_owned(),
            provider: provider.to_owned(),
            client_id: client.id.clone(),
            client_secret: client.secret.clone().filter(|secret| !secret.expose().is_empty()),
            source: client.source,
            token_url: None,
            metadata: Map::new(),
            rest: Map::new(),
        }
    }

    pub(super) fn client_change(&self, client: &ClientRecord) -> Change {
        Change::put(self.keys().client(&client.provider), encode(client))
    }
}

impl ClientRecord {
    /// Notes how a client that registered itself authenticates.
    pub(super) fn note_authentication(&mut self, authentication: ClientAuthentication) {
        self.metadata.insert(METHOD.to_owned(), name_of(authentication).into());
    }

    /// The client as flows take it. The definition says how it authenticates, else the client's own registration, else
    /// what the server offers.
    pub(super) fn for_flows(&self, wanted: Option<ClientAuthentication>, offered: &[String]) -> OAuthClient {
        let registered = self.metadata.get(METHOD).and_then(|name| by_name(name.as_str()?));
        let usual = || match self.client_secret {
            Some(_) if offered.iter().any(|name| name == name_of(ClientAuthentication::Basic)) => {
                ClientAuthentication::Basic
            }
            Some(_) if offered.iter().any(|name| name == name_of(ClientAuthentication::Post)) => {
                ClientAuthentication::Post
            }
            // Every server takes Basic (RFC 6749 2.3.1).
            Some(_) => ClientAuthentication::Basic,
            None => ClientAuthentication::None,
        };
        OAuthClient {
            id: self.client_id.clone(),
            secret: self.client_secret.clone(),
            authentication: wanted.or(registered).unwrap_or_else(usual),
        }
    }
}

const METHODS: [(ClientAuthentication, &str); 4] = [
    (ClientAuthentication::None, "none"),
    (ClientAuthentication::Basic, "client_secret_basic"),
    (ClientAuthentication::Post, "client_secret_post"),
    (ClientAuthentication::PrivateKeyJwt, "private_key_jwt"),
];

/// The name in the registry of RFC 7591 4.2.
pub(super) fn name_of(authentication: ClientAuthentication) -> &'static str {
    METHODS.iter().find(|(own, _)| *own == authentication).map_or("none", |(_, name)| name)
}

pub(super) fn by_name(name: &str) -> Option<ClientAuthentication> {
    METHODS.iter().find(|(_, own)| *own == name).map(|(authentication, _)| *authentication)
}
