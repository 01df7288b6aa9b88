//! The `oauth` block: endpoints and what a flow needs to know.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::document::EndpointsEntry;
use super::shape::{UrlTemplate, line, lines, off, on, url_template};
use super::{DefinitionError, FlowType};
use crate::template::{Template, TemplateError};
use crate::{path, url};

/// The endpoints of a definition, their templates unfilled.
#[derive(Debug, Clone, Default)]
pub(super) struct Urls {
    list: Vec<(Role, Template)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Authorization,
    Token,
    Revocation,
    Introspection,
    DeviceAuthorization,
    Registration,
}

/// The URLs of a provider's authorization server (RFC 8414), filled for one connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthUrls {
    /// Where the browser is sent.
    pub authorization: Option<String>,
    /// Where codes and refresh tokens become access tokens.
    pub token: Option<String>,
    /// RFC 7009.
    pub revocation: Option<String>,
    /// RFC 7662.
    pub introspection: Option<String>,
    /// RFC 8628.
    pub device_authorization: Option<String>,
    /// RFC 7591.
    pub registration: Option<String>,
}

/// A host, port and path that never receive an injected credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Lower-case.
    pub host: String,
    /// 443 unless the URL says otherwise.
    pub port: u16,
    /// With its leading slash, without a query.
    pub path: String,
    /// Whether what lies below the path is meant too.
    pub and_below: bool,
}

impl Endpoint {
    /// What a filled URL names; nothing where a field of the template has no value.
    pub(super) fn of(
        template: &Template,
        values: &BTreeMap<String, String>,
        and_below: bool,
    ) -> Option<Self> {
        let url = url::parse(&template.fill(values).ok()?).ok()?;
        Some(Self { host: url.host, port: url.port, path: url.path, and_below })
    }

    /// Whether some server could take a request's path for this one.
    pub fn may_be(&self, request_path: &str) -> bool {
        let compare = if self.and_below { path::may_be_below } else { path::may_be };
        compare(&self.path, request_path)
    }
}

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
    #[serde(default = "yes", deserialize_with = "on")]
    pub pkce: bool,
    /// Whether the server has the device flow (RFC 8628).
    #[serde(alias = "supports_device_code", deserialize_with = "off")]
    pub supports_device_flow: bool,
    /// Whether clients can register themselves (RFC 7591).
    #[serde(deserialize_with = "off")]
    pub supports_dcr: bool,
    /// How the token endpoint wants the client's id and secret.
    pub client_authentication: Option<ClientAuthentication>,
    /// What becomes of a refresh token when it is used.
    pub refresh_tokens: Option<RefreshTokens>,
    /// Further parameters of the authorization request.
    pub authorize_params: BTreeMap<String, String>,
    /// Where in the token response the tokens stand (RFC 6901), when not at the top.
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
    /// A request that tells whose token it is.
    pub account: Option<Account>,
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

/// A request that tells whose token it is. Pointers into the JSON answer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `url` and `id`")]
#[non_exhaustive]
pub struct Account {
    /// Within the hosts of the definition; fields may stand in it as in the endpoints.
    pub url: String,
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

fn yes() -> bool {
    true
}

impl OAuth {
    /// What a type alone cannot say.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let named =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if let Some(name) = self.authorize_params.keys().find(|name| FLOW_PARAMS.contains(&name.as_str())) {
            return Err(("authorize_params", format!("`{name}` belongs to the flow itself")));
        }
        if self
            .authorize_params
            .iter()
            .any(|(name, value)| !named(name) || value.chars().any(char::is_control))
        {
            return Err(("authorize_params", "are plain names and texts of one line".into()));
        }
        if self.scope_param.as_deref().is_some_and(|name| !named(name) || name.is_empty()) {
            return Err(("scope_param", "must be a plain name".into()));
        }
        if let Some(pointer) = &self.token_pointer
            && !is_pointer(pointer)
        {
            return Err(("token_pointer", "must be a JSON pointer".into()));
        }
        if let Some(account) = &self.account {
            url_template(account.url.clone()).map_err(|problem| ("account.url", problem))?;
            let pointers = std::iter::once(&account.id).chain(&account.label);
            if pointers.into_iter().any(|pointer| !is_pointer(pointer)) {
                return Err(("account", "holds a text that is no JSON pointer".into()));
            }
        }
        Ok(())
    }
}

fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && !text.chars().any(char::is_control)
}

/// Makes the block's settings and endpoints; `registration` is the Python edition's place of one of them.
pub(super) fn build(
    settings: OAuth,
    endpoints: EndpointsEntry,
    registration: Option<UrlTemplate>,
    flow: FlowType,
) -> Result<(OAuth, Urls), DefinitionError> {
    let failed = |key: &str, problem: String| DefinitionError::field(format!("oauth.{key}"), problem);
    let given = [
        (Role::Authorization, endpoints.authorization_url),
        (Role::Token, endpoints.token_url),
        (Role::Revocation, endpoints.revocation_url),
        (Role::Introspection, endpoints.introspection_url),
        (Role::DeviceAuthorization, endpoints.device_authorization_url),
        (Role::Registration, endpoints.registration_endpoint.or(registration)),
    ];
    let list = given.into_iter().filter_map(|(role, url)| Some((role, url?.0))).collect();
    let urls = Urls { list };
    if let Some(key) = urls.lacks(flow, &settings) {
        return Err(failed(key, "is required".into()));
    }
    settings.check().map_err(|(key, problem)| failed(key, problem))?;
    Ok((settings, urls))
}

impl Urls {
    fn has(&self, role: Role) -> bool {
        self.list.iter().any(|(own, _)| *own == role)
    }

    fn lacks(&self, flow: FlowType, oauth: &OAuth) -> Option<&'static str> {
        let device = flow == FlowType::DeviceCode;
        // A server that says where its endpoints are (RFC 9728, 8414) need not be described here.
        let discovered = flow == FlowType::DcrPkce && oauth.resource.is_some();
        let device_flow = device || oauth.supports_device_flow;
        let needed = [
            (Role::Token, "token_url", !discovered),
            (Role::Authorization, "authorization_url", !device && !discovered),
            (Role::DeviceAuthorization, "device_authorization_url", device_flow),
        ];
        let missing = needed.iter().find(|(role, _, needed)| *needed && !self.has(*role));
        missing.map(|(_, key, _)| *key)
    }

    /// The names of all fields in the URLs.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(|(_, template)| template.fields())
    }

    pub(super) fn fill(&self, values: &BTreeMap<String, String>) -> Result<AuthUrls, TemplateError> {
        let mut urls = AuthUrls::default();
        for (role, template) in &self.list {
            let place = match role {
                Role::Authorization => &mut urls.authorization,
                Role::Token => &mut urls.token,
                Role::Revocation => &mut urls.revocation,
                Role::Introspection => &mut urls.introspection,
                Role::DeviceAuthorization => &mut urls.device_authorization,
                Role::Registration => &mut urls.registration,
            };
            *place = Some(template.fill(values)?);
        }
        Ok(urls)
    }

    /// Those endpoints whose templates the values fill.
    pub(super) fn endpoints(&self, values: &BTreeMap<String, String>) -> Vec<Endpoint> {
        self.list.iter().filter_map(|(_, template)| Endpoint::of(template, values, false)).collect()
    }
}
