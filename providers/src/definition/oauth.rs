//! The endpoints of the `oauth` block, and what else never receives a credential.

use std::collections::BTreeMap;
use std::fmt;

use super::document::EndpointsEntry;
use super::shape::UrlTemplate;
use super::{DefinitionError, FlowType, OAuth};
use crate::path;
use crate::template::{Template, TemplateError};
use crate::url::{self, HttpsUrl, UrlError};

/// What stands in a revocation URL for the id of the OAuth client, which is known when it is used.
pub const CLIENT_ID: &str = "{client_id}";
const CLIENT_ID_FIELD: &str = "client_id";

/// The endpoints of a definition, their templates unfilled.
#[derive(Debug, Clone, Default)]
pub(super) struct Urls {
    list: Vec<(Role, Template)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Authorization,
    Token,
    Refresh,
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
    /// Where refresh tokens become access tokens, when that is elsewhere.
    pub refresh: Option<String>,
    /// RFC 7009. [`CLIENT_ID`] stands in it where the server wants the client's id in the path.
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
#[non_exhaustive]
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
    /// What a filled URL names. Where a field of its path has no value, all that it could be; nothing where one of its
    /// host has none, since such a host is nobody's.
    pub(super) fn of(template: &Template, values: &BTreeMap<String, String>) -> Option<Self> {
        if let Ok(url) = template.fill(values) {
            return url.parse().ok();
        }
        let (known, _) = template.as_str().split_once('{')?;
        let (folder, _) = known.strip_prefix("https://")?.rsplit_once('/')?;
        format!("https://{folder}").parse().map(Self::with_below).ok()
    }

    /// The same place and what lies below it.
    pub fn with_below(self) -> Self {
        Self { and_below: true, ..self }
    }

    /// Whether some server could take a request's path for this one.
    pub fn may_be(&self, request_path: &str) -> bool {
        let compare = if self.and_below { path::may_be_below } else { path::may_be };
        compare(&self.path, request_path)
    }
}

impl fmt::Display for Endpoint {
    /// The URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            443 => write!(f, "https://{}{}", self.host, self.path),
            port => write!(f, "https://{}:{port}{}", self.host, self.path),
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = UrlError;

    /// Reads a URL, whose query is dropped; not what lies below it.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = url::parse(text)?;
        Ok(Self { host: url.host, port: url.port, path: url.path, and_below: false })
    }
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
        (Role::Refresh, endpoints.refresh_url),
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
        let alone = matches!(flow, FlowType::ClientCredentials | FlowType::TokenExchange);
        // A server that says where its endpoints are (RFC 9728, 8414) need not be described here.
        let discovered = flow == FlowType::DcrPkce && oauth.resource.is_some();
        let device_flow = device || oauth.supports_device_flow;
        let needed = [
            (Role::Token, "token_url", !discovered),
            (Role::Authorization, "authorization_url", !device && !alone && !discovered),
            (Role::DeviceAuthorization, "device_authorization_url", device_flow),
        ];
        let missing = needed.iter().find(|(role, _, needed)| *needed && !self.has(*role));
        missing.map(|(_, key, _)| *key)
    }

    /// The names of all fields in the URLs that a login asks for.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(|(role, template)| {
            template.fields().filter(|name| *role != Role::Revocation || *name != CLIENT_ID_FIELD)
        })
    }

    /// The flows that these endpoints and settings are enough for.
    pub(super) fn flows(&self, oauth: &OAuth) -> impl Iterator<Item = FlowType> {
        let offered = [
            (FlowType::Pkce, true),
            (FlowType::DeviceCode, oauth.supports_device_flow),
            (
                FlowType::DcrPkce,
                oauth.supports_dcr && (self.has(Role::Registration) || oauth.resource.is_some()),
            ),
            (FlowType::ClientCredentials, oauth.supports_client_credentials),
            (FlowType::TokenExchange, oauth.supports_token_exchange),
        ];
        let complete =
            offered.into_iter().filter(|(flow, offered)| *offered && self.lacks(*flow, oauth).is_none());
        complete.map(|(flow, _)| flow)
    }

    pub(super) fn fill(&self, values: &BTreeMap<String, String>) -> Result<AuthUrls, TemplateError> {
        let mut urls = AuthUrls::default();
        for (role, template) in &self.list {
            let place = match role {
                Role::Authorization => &mut urls.authorization,
                Role::Token => &mut urls.token,
                Role::Refresh => &mut urls.refresh,
                Role::Revocation => &mut urls.revocation,
                Role::Introspection => &mut urls.introspection,
                Role::DeviceAuthorization => &mut urls.device_authorization,
                Role::Registration => &mut urls.registration,
            };
            let kept = (*role == Role::Revocation).then_some(CLIENT_ID_FIELD);
            *place = Some(template.fill_but(values, kept)?);
        }
        Ok(urls)
    }

    /// The URLs with stand-ins for all fields.
    pub(super) fn samples(&self) -> impl Iterator<Item = HttpsUrl> {
        self.list.iter().filter_map(|(_, template)| super::hosts::place(template).ok())
    }

    /// Those endpoints whose templates the values fill.
    pub(super) fn endpoints(&self, values: &BTreeMap<String, String>) -> Vec<Endpoint> {
        self.list.iter().filter_map(|(_, template)| Endpoint::of(template, values)).collect()
    }
}
