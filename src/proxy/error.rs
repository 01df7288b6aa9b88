//! What can go wrong between a request and its response, and the only maker of synthetic responses.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::credential::CredentialError;
use crate::dial::DialError;
use crate::origin::{Origin, ParseError};
use crate::proxy::body::{BoxError, ResponseBody};
use crate::proxy::headers::TargetTooLong;

/// A refusal, or a failure on the way to the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the caller did not prove that it belongs to this run")]
    ProxyAuthentication,
    #[error("the CONNECT target is not host:port")]
    BadAuthority(#[source] ParseError),
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("the tunnel to {0} carries something other than TLS, and nothing is injected on cleartext")]
    Cleartext(Origin),
    #[error("the request names two hosts")]
    HostConflict,
    #[error("the request names another host than the tunnel, {0}")]
    Misdirected(Origin),
    #[error("the method {0} is not allowed on a host that gets credentials")]
    Method(http::Method),
    #[error("no route for this path of {origin}, but the request carries a placeholder")]
    NoRouteForPath { origin: Origin, providers: String },
    #[error("{providers} claim this URL equally")]
    Ambiguous { providers: String },
    #[error("a placeholder stands where no credential belongs")]
    PlaceholderMisplaced,
    #[error("the request brings a credential of its own for {provider}")]
    ForeignCredential { provider: String },
    #[error("policy denied the request: {0}")]
    Policy(String),
    #[error("{0} has no route, and hosts without one are refused")]
    Unmatched(Origin),
    #[error("{0} gained a route after this run started and its certificate authority does not cover it")]
    OutsideRunCa(Origin),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("{origin} could not be dialled")]
    Dial { origin: Origin, source: DialError },
    #[error("the certificate of {origin} was not accepted")]
    UpstreamCertificate { origin: Origin, source: rustls::Error },
    #[error("the TLS handshake with {origin} failed")]
    UpstreamHandshake { origin: Origin, source: std::io::Error },
    #[error("{0} did not answer in time")]
    UpstreamTimeout(Origin),
    #[error("{0} does not speak the protocol of this tunnel")]
    UpstreamProtocol(Origin),
    #[error("the exchange with {origin} failed")]
    UpstreamExchange { origin: Origin, source: BoxError },
    #[error("{0} asked for proxy credentials")]
    UpstreamProxyChallenge(Origin),
    #[error("the audit log cannot take another event now")]
    AuditFull,
    #[error("the audit log cannot be written")]
    AuditFailed,
}

/// How an error looks from outside.
struct Answer {
    status: StatusCode,
    reason: &'static str,
    provider: Option<String>,
    fix: Option<String>,
}

impl Error {
    /// The machine-readable reason, as in the header `authsome-error` and in the audit log.
    pub(crate) fn reason(&self) -> &'static str {
        self.answer().reason
    }

    /// The response that an agent gets: a status, `authsome-error: <reason>`, and a JSON body to act on.
    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let Answer { status, reason, provider, fix } = self.answer();
        let mut body = json!({ "error": reason, "message": chain(&self) });
        for (key, value) in [("provider", provider), ("fix", fix)] {
            if let Some(value) = value {
                body[key] = value.into();
            }
        }
        let text = Bytes::from(format!("{body}\n"));
        let mut response = Response::new(ResponseBody::text(text.clone()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert("authsome-error", HeaderValue::from_static(reason));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, text.len().into());
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"authsome\""));
        }
        if self.ends_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Whether the client's framing or intent is in doubt, so that nothing more is read from an HTTP/1 socket.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(
            self,
            Error::BadRequest(_) | Error::BadAuthority(_) | Error::HostConflict | Error::Misdirected(_)
        ) || matches!(self, Error::Cleartext(_) | Error::UpstreamProtocol(_))
    }

    fn answer(&self) -> Answer {
        use StatusCode as S;
        match self {
            Error::ProxyAuthentication => plain(S::PROXY_AUTHENTICATION_REQUIRED, "proxy-authentication-required")
                .fix("use the proxy URL from HTTPS_PROXY, with its user and password"),
            Error::BadAuthority(_) => plain(S::BAD_REQUEST, "bad-authority"),
            Error::BadRequest(_) => plain(S::BAD_REQUEST, "bad-request"),
            Error::Cleartext(_) => plain(S::BAD_REQUEST, "cleartext").fix("use https"),
            Error::HostConflict => plain(S::BAD_REQUEST, "host-conflict"),
            Error::Misdirected(_) => plain(S::MISDIRECTED_REQUEST, "misdirected"),
            Error::Method(_) => plain(S::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Error::NoRouteForPath { providers, .. } => plain(S::FORBIDDEN, "no-route-for-path")
                .provider(providers)
                .fix("request a path that the provider's definition covers, or leave the placeholder out"),
            Error::Ambiguous { providers } => plain(S::FORBIDDEN, "ambiguous-route")
                .provider(providers)
                .fix("choose one with `prefer` in config.json, or log the others out"),
            Error::PlaceholderMisplaced => plain(S::FORBIDDEN, "placeholder-misplaced")
                .fix("send the placeholder only where the API takes its key, over https, to the provider's own host"),
            Error::ForeignCredential { provider } => plain(S::FORBIDDEN, "foreign-credential")
                .provider(provider)
                .fix("leave the key out or send the placeholder"),
            Error::Policy(_) => plain(S::FORBIDDEN, "policy-denied"),
            Error::Unmatched(_) => plain(S::FORBIDDEN, "unmatched-host"),
            Error::OutsideRunCa(_) => plain(S::BAD_GATEWAY, "outside-run-ca").fix("start a new run"),
            Error::Credential(error) => credential(error),
            Error::Dial { source, .. } => dial(source),
            Error::UpstreamCertificate { .. } => plain(S::BAD_GATEWAY, "upstream-certificate")
                .fix("if this is a private API, name its CA with --upstream-ca"),
            Error::UpstreamHandshake { .. } | Error::UpstreamExchange { .. } => {
                plain(S::BAD_GATEWAY, "upstream-unreachable")
            }
            Error::UpstreamTimeout(_) => plain(S::GATEWAY_TIMEOUT, "upstream-timeout"),
            Error::UpstreamProtocol(_) | Error::UpstreamProxyChallenge(_) => {
                plain(S::BAD_GATEWAY, "upstream-protocol")
            }
            Error::AuditFull => plain(S::SERVICE_UNAVAILABLE, "audit-full"),
            Error::AuditFailed => plain(S::SERVICE_UNAVAILABLE, "audit-failed")
                .fix("make audit.log writable, then check with `authsome doctor`"),
        }
    }
}

fn plain(status: StatusCode, reason: &'static str) -> Answer {
    Answer { status, reason, provider: None, fix: None }
}

impl Answer {
    fn provider(mut self, provider: &str) -> Self {
        self.provider = Some(provider.to_owned());
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

fn credential(error: &CredentialError) -> Answer {
    use StatusCode as S;
    let provider = error.provider().unwrap_or_default();
    let answer = match error {
        CredentialError::NotConnected { .. } => {
            plain(S::UNAUTHORIZED, "not-connected").fix(format!("authsome login {provider}"))
        }
        CredentialError::Expired { .. } => {
            plain(S::UNAUTHORIZED, "credential-expired").fix(format!("authsome login {provider} --force"))
        }
        // Refused for good, or only for now: the cause says which command repairs it.
        CredentialError::NotRenewed { source, .. } if source.is_final() => {
            plain(S::UNAUTHORIZED, "credential-expired").fix(format!("authsome login {provider} --force"))
        }
        CredentialError::NotRenewed { .. } => plain(S::BAD_GATEWAY, "refresh-failed")
            .fix(format!("try again later; if it stays so, authsome login {provider} --force")),
        CredentialError::RenewalTimeout { .. } => {
            plain(S::GATEWAY_TIMEOUT, "refresh-failed").fix("try again later")
        }
        CredentialError::BindingChanged { .. } => plain(S::BAD_GATEWAY, "binding-changed")
            .fix(format!("check the definition, then authsome login {provider} --rebind")),
        CredentialError::Unusable { .. } => {
            plain(S::BAD_GATEWAY, "credential-unusable").fix(format!("authsome login {provider} --force"))
        }
        CredentialError::Vault(_)
        | CredentialError::VaultTimeout
        | CredentialError::VaultBusy
        | CredentialError::VaultStopped => {
            return plain(S::SERVICE_UNAVAILABLE, "vault-unavailable").fix("authsome doctor");
        }
    };
    answer.provider(provider)
}

fn dial(error: &DialError) -> Answer {
    use StatusCode as S;
    match error {
        DialError::Resolve(_) | DialError::Connect(_) | DialError::UpstreamProxy(_) => {
            plain(S::BAD_GATEWAY, "upstream-unreachable")
        }
        DialError::Timeout => plain(S::GATEWAY_TIMEOUT, "upstream-timeout"),
        DialError::Metadata => plain(S::FORBIDDEN, "metadata-address"),
        DialError::OwnListener => plain(S::FORBIDDEN, "own-listener"),
        DialError::Private => plain(S::FORBIDDEN, "private-address"),
    }
}

/// The error and its causes in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let next = inner.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = inner.source();
    }
    text
}

impl From<TargetTooLong> for Error {
    fn from(_: TargetTooLong) -> Self {
        Error::BadRequest("the target is too long")
    }
}
