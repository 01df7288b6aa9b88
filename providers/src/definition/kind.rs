//! The kinds of credential, and the flows that yield them.

use schemars::JsonSchema;

/// The kind of credential.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, JsonSchema,
)]
pub enum AuthType {
    /// An access token, obtained by a flow or typed in.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// A key that the vendor hands out.
    #[serde(rename = "api_key")]
    ApiKey,
}

/// A login protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowType {
    /// Authorization code with PKCE (RFC 7636).
    Pkce,
    /// Device authorization (RFC 8628).
    DeviceCode,
    /// Dynamic client registration (RFC 7591), then PKCE.
    DcrPkce,
    /// A key typed in.
    ApiKey,
    /// A token for the client itself (RFC 6749 4.4).
    ClientCredentials,
    /// A token in exchange for another one (RFC 8693).
    TokenExchange,
}

impl AuthType {
    /// The name in definitions and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::ApiKey => "api_key",
        }
    }

    /// The field of a record that holds this kind of credential.
    pub fn credential_field(self) -> &'static str {
        match self {
            Self::OAuth2 => "access_token",
            Self::ApiKey => "api_key",
        }
    }
}

impl FlowType {
    /// The name in definitions and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pkce => "pkce",
            Self::DeviceCode => "device_code",
            Self::DcrPkce => "dcr_pkce",
            Self::ApiKey => "api_key",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
        }
    }

    /// Whether a browser is sent to the authorization server.
    pub fn has_redirect(self) -> bool {
        matches!(self, Self::Pkce | Self::DcrPkce)
    }

    /// The kind of credential that it yields.
    pub fn auth_type(self) -> AuthType {
        match self {
            Self::ApiKey => AuthType::ApiKey,
            Self::Pkce | Self::DeviceCode | Self::DcrPkce | Self::ClientCredentials | Self::TokenExchange => {
                AuthType::OAuth2
            }
        }
    }
}

/// Whether a field of a record is the credential itself.
pub(super) fn is_credential(field: &str) -> bool {
    [AuthType::OAuth2, AuthType::ApiKey].iter().any(|auth| auth.credential_field() == field)
}
