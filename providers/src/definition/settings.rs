//! The settings of the `oauth` block: what an authorization server wants that the RFCs leave open.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{line, lines, url_template};

/// What the `oauth` block says besides its URLs: what an authorization server wants that RFC 6749 leaves open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[non_exhaustive]
pub struct OAuth {
    /// Asked for unless the user names others.
    #[serde(deserialize_with = "lines")]
    pub scopes: Vec<String>,
    /// What stands between scopes; a space (RFC 6749 3.3) unless said otherwise.
    #[serde(deserialize_with = "line")]
    pub scope_separator: Option<String>,
    /// The parameter that carries the scopes, when it is not `scope`.
    #[serde(deserialize_with = "line")]
    pub scope_param: Option<String>,
    /// Whether the server takes PKCE (RFC 7636); it does unless said otherwise.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Whether the server has the device flow (RFC 8628).
    pub supports_device_flow: bool,
    /// Whether clients can register themselves (RFC 7591).
    pub supports_dcr: bool,
    /// Whether a client gets tokens for itself (RFC 6749 4.4).
    pub supports_client_credentials: bool,
    /// Whether the server exchanges tokens (RFC 8693).
    pub supports_token_exchange: bool,
    /// What the token to be exchanged is (RFC 8693 3); an access token unless said otherwise.
    #[serde(deserialize_with = "line")]
    pub subject_token_type: Option<String>,
    /// The server's identifier (RFC 8414 2), where it is on another host than its endpoints.
    #[serde(deserialize_with = "line")]
    pub issuer: Option<String>,
    /// How the token endpoint wants the client's id and secret.
    pub client_authentication: Option<ClientAuthentication>,
    /// Whether clients without a secret are taken too (RFC 6749 2.1), where `client_authentication` names a way to send one.
    pub public_clients: bool,
    /// What becomes of a refresh token when it is used.
    pub refresh_tokens: Option<RefreshTokens>,
    /// Further parameters of the authorization request.
    pub authorize_params: BTreeMap<String, String>,
    /// Further parameters of every token request.
    pub token_params: BTreeMap<String, String>,
    /// Codes by which the server says that a refresh token will never do again, besides `invalid_grant`.
    #[serde(deserialize_with = "lines")]
    pub refresh_token_errors: Vec<String>,
    /// Where in the token response the tokens stand (RFC 6901), when not at the top. The top is
    /// looked at where nothing stands there.
    #[serde(deserialize_with = "line")]
    pub token_pointer: Option<String>,
    /// The media type that the token endpoint must be asked for.
    #[serde(deserialize_with = "line")]
    pub token_accept: Option<String>,
    /// How the token request is written; a form (RFC 6749 4.1.3) unless said otherwise.
    pub token_body: Option<RequestBody>,
    /// How a token is revoked, where it differs from RFC 7009.
    pub revocation: Option<Revocation>,
    /// The resource that the token is for (RFC 8707).
    #[serde(deserialize_with = "line")]
    pub resource: Option<String>,
    /// Which redirect URIs the vendor accepts, when not loopback ones (RFC 8252 7.3).
    pub redirect: Option<Redirect>,
    /// What tells whose token it is.
    pub account: Option<Account>,
    /// Why no flow can be used here, when none can.
    #[serde(deserialize_with = "line")]
    pub unsupported: Option<String>,
}

/// Client authentication at the token endpoint (RFC 6749 2.3, RFC 7523).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// A public client: its id alone.
    None,
    /// `Authorization: Basic`.
    Basic,
    /// `client_secret` in the body.
    Post,
    /// A signed assertion.
    PrivateKeyJwt,
}

/// What becomes of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshTokens {
    /// There are none.
    None,
    /// The same one is used again.
    Reusable,
    /// Each use yields a new one, and the old one ends.
    Rotating,
}

/// How a request to the authorization server is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestBody {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

/// Which redirect URIs a vendor accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Redirect {
    /// `http` on a loopback address or `localhost`.
    Loopback,
    /// `http` on `localhost`, and on no address.
    Localhost,
    /// Only `https`: the answer has to be pasted.
    HttpsOnly,
}

/// How a token is revoked, where it differs from RFC 7009.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, expecting = "an object")]
#[non_exhaustive]
pub struct Revocation {
    /// The method, when it is not POST.
    #[serde(deserialize_with = "line")]
    pub method: Option<String>,
    /// How the client shows who it is, when otherwise than at the token endpoint.
    pub client_authentication: Option<ClientAuthentication>,
    /// What the parameter with the token is called, when not `token`.
    #[serde(deserialize_with = "line")]
    pub token_param: Option<String>,
    /// How the request is written, when not as a form.
    pub body: Option<RequestBody>,
}

/// What tells whose token it is: a request, or the token response itself. Pointers into its JSON (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `id`")]
#[non_exhaustive]
pub struct Account {
    /// On a host of the definition or of its endpoints; fields may stand in it as in these. Without it, the token response
    /// tells.
    #[serde(default, deserialize_with = "line")]
    pub url: Option<String>,
    /// Headers of the request besides the credential's.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Where the account's id stands.
    pub id: String,
    /// Where a name for people stands.
    #[serde(default, deserialize_with = "line")]
    pub label: Option<String>,
}

/// Parameters of the authorization request that belong to the flow itself (RFC 6749 4.1.1, 7636, 8707, OpenID Connect).
const FLOW_PARAMS: &[&str] = &[
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Parameters of a token request that belong to the grant itself, or show who the client is.
const GRANT_PARAMS: &[&str] = &[
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
];

fn yes() -> bool {
    true
}

impl OAuth {
    /// What a type alone cannot say.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        further("authorize_params", &self.authorize_params, FLOW_PARAMS)?;
        further("token_params", &self.token_params, GRANT_PARAMS)?;
        if self.scope_param.as_deref().is_some_and(|name| !is_named(name) || name.is_empty()) {
            return Err(("scope_param", "must be a plain name".into()));
        }
        if let Some(pointer) = &self.token_pointer
            && !is_pointer(pointer)
        {
            return Err(("token_pointer", "must be a JSON pointer".into()));
        }
        if let Some(resource) = &self.resource {
            url_template(resource.clone()).map_err(|problem| ("resource", problem))?;
        }
        let method = self.revocation.as_ref().and_then(|revocation| revocation.method.as_ref());
        if method.is_some_and(|name| {
            !(3..=10).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_uppercase())
        }) {
            return Err(("revocation.method", "must be the name of a method such as DELETE".into()));
        }
        let media =
            |text: &String| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+.-".contains(&byte));
        if self.token_accept.as_ref().is_some_and(|accept| !media(accept)) {
            return Err(("token_accept", "must be a media type".into()));
        }
        if let Some(issuer) = &self.issuer {
            url_template(issuer.clone()).map_err(|problem| ("issuer", problem))?;
        }
        if let Some(kind) = &self.subject_token_type
            && !kind.starts_with("urn:")
        {
            return Err(("subject_token_type", "must be a URN of RFC 8693 3".into()));
        }
        if let Some(account) = &self.account {
            if let Some(url) = &account.url {
                url_template(url.clone()).map_err(|problem| ("account.url", problem))?;
            }
            further("account.headers", &account.headers, &[])?;
            let pointers = std::iter::once(&account.id).chain(&account.label);
            if pointers.into_iter().any(|pointer| !is_pointer(pointer)) {
                return Err(("account", "holds a text that is no JSON pointer".into()));
            }
        }
        Ok(())
    }
}

/// Checks parameters that a definition adds to a request.
fn further(
    key: &'static str,
    parameters: &BTreeMap<String, String>,
    reserved: &[&str],
) -> Result<(), (&'static str, String)> {
    if let Some(name) = parameters.keys().find(|name| reserved.contains(&name.as_str())) {
        return Err((key, format!("`{name}` belongs to the flow itself")));
    }
    let plain = |name: &str, value: &str| is_named(name) && !value.chars().any(char::is_control);
    if parameters.iter().all(|(name, value)| plain(name, value)) {
        return Ok(());
    }
    Err((key, "are plain names and texts of one line".into()))
}

fn is_named(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && !text.chars().any(char::is_control)
}
