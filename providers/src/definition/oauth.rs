//! The `oauth` block: endpoints and what a flow needs to know.

use std::collections::BTreeMap;

use super::read::Object;
use super::{DefinitionError, FlowType};
use crate::template::{Template, TemplateError};
use crate::url;

/// The endpoints of a definition, their templates unfilled.
#[derive(Debug, Clone, Default)]
pub(super) struct Urls {
    /// With the JSON path of each, for the error messages.
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

const ROLES: &[(Role, &str)] = &[
    (Role::Authorization, "authorization_url"),
    (Role::Token, "token_url"),
    (Role::Revocation, "revocation_url"),
    (Role::Introspection, "introspection_url"),
    (Role::DeviceAuthorization, "device_authorization_url"),
    (Role::Registration, "registration_endpoint"),
];

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
    /// With its leading slash, without a query. Compare with [`crate::path::may_be`].
    pub path: String,
}

/// What the `oauth` block says besides its URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// Asked for unless the user names others.
    pub scopes: Vec<String>,
    /// Whether the server takes PKCE (RFC 7636).
    pub pkce: bool,
    /// Whether the server has the device flow (RFC 8628).
    pub supports_device_flow: bool,
    /// Whether clients can register themselves (RFC 7591).
    pub supports_dcr: bool,
}

/// Reads the block and, beside it, Python's `registration`.
pub(super) fn read(
    root: &Object<'_>,
    block: &Object<'_>,
    flow: FlowType,
) -> Result<(OAuth, Urls), DefinitionError> {
    let mut urls = Urls::default();
    for (role, key) in ROLES {
        urls.push(*role, block, key)?;
    }
    if let Some(registration) = root.object("registration")?
        && !urls.has(Role::Registration)
    {
        urls.push(Role::Registration, &registration, "registration_endpoint")?;
    }
    let device_flow = block.spelling("supports_device_flow", "supports_device_code")?;
    let oauth = OAuth {
        scopes: block.strings("scopes")?.into_iter().map(str::to_owned).collect(),
        pkce: block.flag("pkce", true)?,
        supports_device_flow: block.flag(device_flow, false)?,
        supports_dcr: block.flag("supports_dcr", false)?,
    };
    urls.require(block, flow, &oauth)?;
    Ok((oauth, urls))
}

impl Urls {
    fn push(&mut self, role: Role, block: &Object<'_>, key: &str) -> Result<(), DefinitionError> {
        let Some(text) = block.string(key)? else { return Ok(()) };
        let template: Template = text.parse().map_err(|error| block.error(key, error))?;
        let sample = super::hosts::sample(&template).map_err(|error| block.error(key, error))?;
        url::parse(&sample).map_err(|error| block.error(key, error))?;
        self.list.push((role, template));
        Ok(())
    }

    fn has(&self, role: Role) -> bool {
        self.list.iter().any(|(own, _)| *own == role)
    }

    fn require(&self, block: &Object<'_>, flow: FlowType, oauth: &OAuth) -> Result<(), DefinitionError> {
        let device = flow == FlowType::DeviceCode;
        let needed = [
            (Role::Token, "token_url", true),
            (Role::Authorization, "authorization_url", !device),
            (Role::DeviceAuthorization, "device_authorization_url", device || oauth.supports_device_flow),
        ];
        match needed.iter().find(|(role, _, needed)| *needed && !self.has(*role)) {
            Some((_, key, _)) => Err(block.error(key, "is required")),
            None => Ok(()),
        }
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
        let filled = self.list.iter().filter_map(|(_, template)| template.fill(values).ok());
        let parsed = filled.filter_map(|text| url::parse(&text).ok());
        parsed.map(|url| Endpoint { host: url.host, port: url.port, path: url.path }).collect()
    }
}
