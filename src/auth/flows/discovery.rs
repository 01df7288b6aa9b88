//! Where an authorization server has its endpoints: from the resource (RFC 9728) to the server (RFC 8414, OpenID).

use authsome_providers::{AuthUrls, Endpoint};
use http::header::WWW_AUTHENTICATE;
use serde_json::{Map, Value};

use super::super::token_endpoint::{Request, TokenEndpoint};
use super::FlowError;
use super::tokens::document;

const RESOURCE: &str = "oauth-protected-resource";
const SERVER: &str = "oauth-authorization-server";
const OPENID: &str = "openid-configuration";

/// What a server says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Discovered {
    pub(crate) issuer: String,
    pub(crate) urls: AuthUrls,
    /// Whether it names itself in each answer of a browser (RFC 9207 3).
    pub(crate) names_itself: bool,
    /// The resource by the name that its own metadata gives it (RFC 8707).
    pub(crate) resource: Option<String>,
    /// How clients may authenticate, by their names in RFC 7591; empty when nothing is said.
    pub(crate) authentication: Vec<String>,
    /// Scopes that the resource is used with.
    pub(crate) scopes: Vec<String>,
}

/// Finds the authorization server of a resource.
///
/// # Errors
/// When neither says where its endpoints are, what they say does not hold together, or PKCE is not offered.
pub(crate) fn discover(http: &dyn TokenEndpoint, resource: &str) -> Result<Discovered, FlowError> {
    let place = Place::of(resource)?;
    let metadata = resource_metadata(http, resource, &place)?;
    let named =
        metadata.as_ref().and_then(|metadata| metadata.get("authorization_servers")?.get(0)?.as_str());
    // Without metadata the server of the resource's own host is asked.
    let issuer = named.map_or_else(|| place.origin.clone(), str::to_owned);
    let mut discovered = server(http, &issuer)?;
    discovered.resource = metadata.as_ref().and_then(|metadata| text(metadata, "resource"));
    if let Some(metadata) = &metadata {
        discovered.scopes = texts(metadata, "scopes_supported");
    }
    Ok(discovered)
}

/// Reads the metadata of an authorization server, which must name itself as it was asked for (RFC 8414 3.3).
fn server(http: &dyn TokenEndpoint, issuer: &str) -> Result<Discovered, FlowError> {
    let place = Place::of(issuer)?;
    let urls = [
        format!("{}/.well-known/{SERVER}{}", place.origin, place.path),
        format!("{}{}/.well-known/{OPENID}", place.origin, place.path),
        format!("{}/.well-known/{OPENID}{}", place.origin, place.path),
    ];
    let mut failure = FlowError::Malformed("is missing: it tells nothing about itself");
    for url in urls {
        match http
            .send(Request::get(&url))
            .map_err(FlowError::from)
            .and_then(|answer| document(answer, std::iter::empty()))
        {
            Ok(metadata) => return read(&metadata, issuer),
            Err(FlowError::Status { status: 400..500, .. } | FlowError::Refused { .. }) => {}
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn read(metadata: &Map<String, Value>, issuer: &str) -> Result<Discovered, FlowError> {
    let own = text(metadata, "issuer").unwrap_or_default();
    if own.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(FlowError::Mismatch(format!("the metadata of {issuer} names another issuer")));
    }
    let challenges = texts(metadata, "code_challenge_methods_supported");
    if !challenges.is_empty() && !challenges.iter().any(|method| method == "S256") {
        return Err(FlowError::Unsafe("does not offer PKCE with S256"));
    }
    let endpoint = |name: &str| match text(metadata, name) {
        Some(url) if url.parse::<Endpoint>().is_err() => {
            Err(FlowError::Mismatch(format!("the {name} of {issuer} is no https URL of a named host")))
        }
        url => Ok(url),
    };
    let urls = AuthUrls {
        authorization: endpoint("authorization_endpoint")?,
        token: endpoint("token_endpoint")?,
        revocation: endpoint("revocation_endpoint")?,
        introspection: endpoint("introspection_endpoint")?,
        device_authorization: endpoint("device_authorization_endpoint")?,
        registration: endpoint("registration_endpoint")?,
        ..AuthUrls::default()
    };
    if urls.token.is_none() {
        return Err(FlowError::Malformed("names no token endpoint"));
    }
    let authentication = texts(metadata, "token_endpoint_auth_methods_supported");
    let names_itself =
        metadata.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true));
    Ok(Discovered { issuer: own, urls, names_itself, resource: None, authentication, scopes: Vec::new() })
}

/// The resource's own metadata (RFC 9728 3): at its well-known place, or where its refusal points.
fn resource_metadata(
    http: &dyn TokenEndpoint,
    resource: &str,
    place: &Place,
) -> Result<Option<Map<String, Value>>, FlowError> {
    let mut urls = vec![format!("{}/.well-known/{RESOURCE}{}", place.origin, place.path)];
    urls.extend(pointed_to(http, resource, place)?);
    for url in urls {
        let answer = http.send(Request::get(&url))?;
        let Ok(metadata) = document(answer, std::iter::empty()) else { continue };
        let named = text(&metadata, "resource").unwrap_or_default();
        if !covers(&named, resource) {
            return Err(FlowError::Mismatch(format!("the metadata of {resource} is about another resource")));
        }
        return Ok(Some(metadata));
    }
    Ok(None)
}

/// What `WWW-Authenticate` of a refusal names, on the resource's own host (RFC 9728 5.1).
fn pointed_to(http: &dyn TokenEndpoint, resource: &str, place: &Place) -> Result<Option<String>, FlowError> {
    let refusal = http.send(Request::get(resource))?;
    let challenge = refusal.header(WWW_AUTHENTICATE).unwrap_or_default();
    let Some((_, rest)) = challenge.split_once("resource_metadata=") else { return Ok(None) };
    let url = rest.trim_start_matches('"').split(['"', ',', ' ']).next().unwrap_or_default();
    let same_host = Place::of(url).is_ok_and(|other| other.origin == place.origin);
    Ok(same_host.then(|| url.to_owned()))
}

/// Whether metadata for one resource speaks for another: the same, or a folder above it on the same host.
fn covers(named: &str, resource: &str) -> bool {
    let named = named.trim_end_matches('/');
    let rest = resource.trim_end_matches('/').strip_prefix(named);
    !named.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An https URL as origin and path, the path without its last slash.
struct Place {
    origin: String,
    path: String,
}

impl Place {
    fn of(url: &str) -> Result<Self, FlowError> {
        let refused = |_| FlowError::Mismatch(format!("{url} is no https URL of a named host"));
        let Endpoint { host, port, path, .. } = url.parse().map_err(refused)?;
        let origin = if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") };
        Ok(Self { origin, path: path.trim_end_matches('/').to_owned() })
    }
}

fn text(document: &Map<String, Value>, name: &str) -> Option<String> {
    document.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(document: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = document.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
