//! What leaves the vault on purpose: values for other programs.

use authsome_providers::{Slot, SlotName};

use super::record::ConnectionStatus;
use super::{AuthService, Connection, Error};
use crate::secret::Secret;

/// One variable for another program.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The provider.
    pub provider: String,
    /// The connection.
    pub connection: String,
    /// The environment variable.
    pub variable: String,
    /// The record's field.
    pub field: String,
    /// Its value.
    pub value: Secret<String>,
    /// Whether the value is secret.
    pub secret: bool,
}

impl AuthService {
    /// The variables of a provider, or of all that are connected. Never a refresh token; besides the
    /// credential itself only fields that are not secret.
    ///
    /// # Errors
    /// When there is no such connection, or it has expired.
    pub fn export(&self, provider: Option<&str>, connection: Option<&str>) -> Result<Vec<Exported>, Error> {
        match provider {
            Some(provider) => self.exported(&self.usable(provider, connection)?),
            None => {
                let snapshot = self.snapshot()?;
                let connected = snapshot.connections.iter().filter(|connection| {
                    connection.is_default
                        && connection.record.status_at(self.now()) == ConnectionStatus::Connected
                });
                let lists: Vec<Vec<Exported>> =
                    connected.map(|connection| self.exported(connection)).collect::<Result<_, _>>()?;
                Ok(lists.into_iter().flatten().collect())
            }
        }
    }

    /// The variables that one connection sets.
    ///
    /// # Errors
    /// When its provider has no definition any more.
    pub fn exported(&self, connection: &Connection) -> Result<Vec<Exported>, Error> {
        let record = &connection.record;
        let definitions = self.definitions();
        let definition = &definitions.provider(&record.provider)?.definition;
        let specs = definition.fields(record.auth_type);
        let mut exported = Vec::new();
        for (field, variables) in definition.exports() {
            let credential = field == record.auth_type.credential_field();
            let secret = credential || specs.iter().any(|spec| spec.name == *field && spec.secret);
            let Some(value) = record.field(field).filter(|_| credential || !secret) else { continue };
            exported.extend(variables.iter().map(|variable| Exported {
                provider: record.provider.clone(),
                connection: record.connection_name.clone(),
                variable: variable.clone(),
                field: field.clone(),
                value: value.into(),
                secret,
            }));
        }
        Ok(exported)
    }

    /// The access token or API key of a connection.
    ///
    /// # Errors
    /// When there is no such connection, or it has expired.
    pub fn access_token(&self, provider: &str, connection: Option<&str>) -> Result<Secret<String>, Error> {
        let record = self.usable(provider, connection)?.record;
        let value = record.field(record.auth_type.credential_field());
        value.map(Secret::from).ok_or_else(|| Error::CredentialMissing { provider: provider.to_owned() })
    }

    /// The headers that authenticate a request, as the connection is bound to place them.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token), and where the credential belongs into the query.
    pub fn auth_headers(
        &self,
        provider: &str,
        connection: Option<&str>,
    ) -> Result<Vec<(String, Secret<String>)>, Error> {
        let record = self.usable(provider, connection)?.record;
        let header = |slot: &Slot| match slot.name() {
            SlotName::Query(name) => {
                Err(Error::Usage(format!("{provider} takes its credential in the query parameter {name:?}")))
            }
            SlotName::Header(name) => {
                let value = slot.value().render(|field| record.field(field)).map_err(|error| {
                    Error::AuthenticationFailed { provider: provider.to_owned(), reason: error.to_string() }
                })?;
                Ok((name, Secret::from(value.as_str())))
            }
        };
        record.binding.placement.slots.iter().map(header).collect()
    }

    /// A connection that can be used now.
    fn usable(&self, provider: &str, name: Option<&str>) -> Result<Connection, Error> {
        let connection = self.connection(provider, name)?;
        match connection.record.status_at(self.now()) {
            ConnectionStatus::Connected => Ok(connection),
            ConnectionStatus::Expired => Err(Error::TokenExpired {
                provider: provider.to_owned(),
                connection: connection.record.connection_name,
            }),
            _ => Err(Error::CredentialMissing { provider: provider.to_owned() }),
        }
    }
}
