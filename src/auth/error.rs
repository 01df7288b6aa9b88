//! What can go wrong between a person and a connection, with the names and exit codes of the contract.

mod from;

use authsome_providers::{AuthType, DefinitionError, FlowType};

use super::flows::FlowError;
use crate::audit::AuditError;

/// What lies behind an error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be done. [`name`](Self::name) and [`exit_code`](Self::exit_code) are stable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A login failed, or what was typed in cannot be a credential.
    #[error("logging in to {provider} failed: {reason}")]
    AuthenticationFailed {
        /// The provider.
        provider: String,
        /// Why, never with a secret.
        reason: String,
    },
    /// The provider has connections, but none of this name.
    #[error("{provider} has no connection {connection:?}")]
    ConnectionNotFound {
        /// The provider.
        provider: String,
        /// The name.
        connection: String,
    },
    /// The provider has no connection.
    #[error("{provider} is not connected; run: authsome login {provider}")]
    CredentialMissing {
        /// The provider.
        provider: String,
    },
    /// What an authorization server should tell about itself is not to be had.
    #[error("the endpoints of {provider} cannot be discovered")]
    Discovery {
        /// The provider.
        provider: String,
        /// Why.
        source: Cause,
    },
    /// Records cannot be opened or sealed.
    #[error("the vault cannot be unlocked")]
    EncryptionUnavailable(#[source] Cause),
    /// The person gave up, or did not answer in time.
    #[error("cancelled, or nobody answered in time")]
    InputCancelled,
    /// A definition is refused.
    #[error("{file} is no valid provider definition")]
    InvalidProviderSchema {
        /// The file.
        file: String,
        /// Which field, and why.
        source: Cause,
    },
    /// There is no such profile.
    #[error("there is no profile {0:?}; create it with: authsome profile create {0}")]
    ProfileNotFound(String),
    /// There is no such provider.
    #[error("there is no provider {name:?}{}", absence.map_or_else(|| did_you_mean(suggestions), |reason| format!(": {reason}")))]
    ProviderNotFound {
        /// The name.
        name: String,
        /// Why there is none, for some that the Python edition has.
        absence: Option<&'static str>,
        /// Names near it.
        suggestions: Vec<String>,
    },
    /// An access token could not be renewed.
    #[error("refreshing the connection {connection:?} of {provider} failed")]
    RefreshFailed {
        /// The provider.
        provider: String,
        /// The connection.
        connection: String,
        /// Why.
        source: Cause,
    },
    /// The store or the home cannot be used.
    #[error("the vault is not available")]
    StoreUnavailable(#[source] Cause),
    /// An access token has ended and cannot be renewed.
    #[error(
        "the connection {connection:?} of {provider} has expired; run: authsome login {provider} --connection {connection} --force"
    )]
    TokenExpired {
        /// The provider.
        provider: String,
        /// The connection.
        connection: String,
    },
    /// The definition has no such kind of credential.
    #[error("{provider} does not take credentials of the type {}", auth_type.as_str())]
    UnsupportedAuthType {
        /// The provider.
        provider: String,
        /// The kind.
        auth_type: AuthType,
    },
    /// The definition, or this program, has no such flow.
    #[error("the flow {} is not available for {provider}{}", flow.as_str(), reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    UnsupportedFlow {
        /// The provider.
        provider: String,
        /// The flow.
        flow: FlowType,
        /// What the definition says about it.
        reason: Option<String>,
    },
    /// The command line, or a value on it, makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A connection that works would be overwritten.
    #[error("{provider} is already connected as {connection:?}; log out first, or give --force")]
    AlreadyConnected {
        /// The provider.
        provider: String,
        /// The connection.
        connection: String,
    },
    /// A definition of this name exists.
    #[error("there is a provider {0:?} already; give --force to replace it")]
    ProviderExists(String),
    /// A profile of this name exists.
    #[error("there is a profile {0:?} already")]
    ProfileExists(String),
    /// The command is not for what runs under the proxy.
    #[error("authsome {0} is refused inside a run")]
    RefusedInsideRun(String),
    /// Inside a run only a page asks for a credential, and none can be shown.
    #[error("authsome {0} is refused inside a run: no page can be shown from here")]
    NoPageInsideRun(String),
    /// The configuration cannot be read.
    #[error("the configuration cannot be used")]
    Configuration(#[source] Cause),
    /// A proxy cannot be started, or what was run under it cannot.
    #[error("the proxy cannot be used")]
    Proxy(#[source] Cause),
    /// What was done or is to be done cannot be recorded.
    #[error("the audit log cannot be written")]
    Audit(#[from] AuditError),
}

impl Error {
    /// The error's name in machine-readable output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AuthenticationFailed { .. } => "AuthenticationFailedError",
            Self::ConnectionNotFound { .. } => "ConnectionNotFoundError",
            Self::CredentialMissing { .. } => "CredentialMissingError",
            Self::Discovery { .. } => "DiscoveryError",
            Self::EncryptionUnavailable(_) => "EncryptionUnavailableError",
            Self::InputCancelled => "InputCancelledError",
            Self::InvalidProviderSchema { .. } => "InvalidProviderSchemaError",
            Self::ProfileNotFound(_) => "ProfileNotFoundError",
            Self::ProviderNotFound { .. } => "ProviderNotFoundError",
            Self::RefreshFailed { .. } => "RefreshFailedError",
            Self::StoreUnavailable(_) => "StoreUnavailableError",
            Self::TokenExpired { .. } => "TokenExpiredError",
            Self::UnsupportedAuthType { .. } => "UnsupportedAuthTypeError",
            Self::UnsupportedFlow { .. } => "UnsupportedFlowError",
            Self::Usage(_)
            | Self::AlreadyConnected { .. }
            | Self::ProviderExists(_)
            | Self::ProfileExists(_)
            | Self::RefusedInsideRun(_)
            | Self::NoPageInsideRun(_)
            | Self::Configuration(_)
            | Self::Proxy(_)
            | Self::Audit(_) => "AuthsomeError",
        }
    }

    /// The exit code of a command that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ProfileNotFound(_)
            | Self::AlreadyConnected { .. }
            | Self::ProviderExists(_)
            | Self::ProfileExists(_)
            | Self::RefusedInsideRun(_)
            | Self::NoPageInsideRun(_)
            | Self::Configuration(_)
            | Self::Proxy(_)
            | Self::Audit(_) => 1,
            Self::Usage(_)
            | Self::InvalidProviderSchema { .. }
            | Self::UnsupportedFlow { .. }
            | Self::UnsupportedAuthType { .. } => 2,
            Self::ProviderNotFound { .. } => 3,
            Self::AuthenticationFailed { .. } | Self::InputCancelled | Self::Discovery { .. } => 4,
            Self::CredentialMissing { .. } | Self::ConnectionNotFound { .. } => 5,
            Self::RefreshFailed { .. } | Self::TokenExpired { .. } => 6,
            Self::StoreUnavailable(_) | Self::EncryptionUnavailable(_) => 7,
        }
    }

    /// A login that a flow could not bring to its end.
    pub(super) fn flow(provider: &str, error: &FlowError) -> Self {
        let mut reason = chain(error);
        if error.is_about_the_client() {
            reason += "; its id or secret is wrong, or was made anew: --reset asks for them again";
        }
        Self::AuthenticationFailed { provider: provider.to_owned(), reason }
    }

    /// Whether only a new login helps.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::TokenExpired { .. } => true,
            Self::RefreshFailed { source, .. } => super::refresh::is_final(&**source),
            _ => false,
        }
    }

    /// A refused definition, by its file.
    pub fn schema(file: &str, error: DefinitionError) -> Self {
        Self::InvalidProviderSchema { file: file.to_owned(), source: error.into() }
    }
}

/// An error and what lies behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn did_you_mean(suggestions: &[String]) -> String {
    match suggestions {
        [] => "; authsome list shows all".to_owned(),
        names => format!("; did you mean {}?", names.join(", ")),
    }
}
