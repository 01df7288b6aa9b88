//! What leaves the vault on purpose: values for other programs.

use std::collections::BTreeMap;

use authsome_providers::{Slot, SlotName};

use super::record::{ConnectionRecord, ConnectionStatus};
use super::{AuthService, Connection, Error, Renewal};
use crate::secret::Secret;

/// How variables are written for another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// `KEY=value`, a line each.
    Env,
    /// `export KEY='value'`, a line each, for a POSIX shell.
    Shell,
    /// One JSON object.
    Json,
}

impl ExportFormat {
    /// Writes variables, by name.
    pub fn render(self, variables: &BTreeMap<String, &str>) -> Secret<String> {
        let line = |(name, value): (&String, &&str)| match self {
            Self::Shell => format!("export {name}='{}'\n", value.replace('\'', "'\\''")),
            _ => format!("{name}={value}\n"),
        };
        match self {
            // A map of texts cannot fail.
            Self::Json => Secret::new(serde_json::to_string_pretty(variables).unwrap_or_default() + "\n"),
            _ => Secret::new(variables.iter().map(line).collect()),
        }
    }
}

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
    /// The variables of a provider, or of all that are connected, renewed where that is due. Never a refresh token;
    /// besides the credential itself only fields that are not secret.
    ///
    /// # Errors
    /// As [`renewed`](Self::renewed).
    pub fn export(&self, provider: Option<&str>, connection: Option<&str>) -> Result<Vec<Exported>, Error> {
        if let Some(provider) = provider {
            return self.exported(&self.renewed(provider, connection, Renewal::WhenDue)?);
        }
        let mut exported = Vec::new();
        for Connection { record, is_default, .. } in self.snapshot()?.connections {
            let alive = match record.status_at(self.now()) {
                ConnectionStatus::Connected => true,
                ConnectionStatus::Expired => record.is_renewable(),
                _ => false,
            };
            if alive && is_default {
                let name = Some(record.connection_name.as_str());
                exported.extend(self.exported(&self.renewed(&record.provider, name, Renewal::WhenDue)?)?);
            }
        }
        Ok(exported)
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

    /// The access token or API key of a connection, renewed if that is due.
    ///
    /// # Errors
    /// As [`renewed`](Self::renewed).
    pub fn access_token(&self, provider: &str, connection: Option<&str>) -> Result<Secret<String>, Error> {
        let record = self.renewed(provider, connection, Renewal::WhenDue)?.record;
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
        headers(&self.renewed(provider, connection, Renewal::WhenDue)?.record)
    }
}

/// The headers that authenticate a request, as a record is bound to place them.
pub(super) fn headers(record: &ConnectionRecord) -> Result<Vec<(String, Secret<String>)>, Error> {
    let provider = &record.provider;
    let header = |slot: &Slot| match slot.name() {
        SlotName::Query(name) => {
            Err(Error::Usage(format!("{provider} takes its credential in the query parameter {name:?}")))
        }
        SlotName::Header(name) => {
            let value = slot.value().render(|field| record.field(field)).map_err(|error| {
                Error::AuthenticationFailed { provider: provider.clone(), reason: error.to_string() }
            })?;
            Ok((name, Secret::from(value.as_str())))
        }
    };
    record.binding.placement.slots.iter().map(header).collect()
}
