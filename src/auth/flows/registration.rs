//! Dynamic client registration (RFC 7591).

use authsome_providers::definition::ClientAuthentication;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::token_endpoint::Request;
use super::tokens::document;
use super::{FlowError, OAuthClient, Server};
use crate::secret::Secret;

/// Registers this program as a client of the server: a public one, unless the server gives a secret.
///
/// # Errors
/// When the server has no registration, refuses, or answers without a client id.
pub(crate) fn register(
    server: Server<'_>,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<OAuthClient, FlowError> {
    let url = server.urls.registration.as_deref().ok_or(FlowError::NoEndpoint("registration_endpoint"))?;
    let wanted = server.settings.client_authentication.unwrap_or(ClientAuthentication::None);
    let mut metadata = json!({
        "client_name": "authsome",
        "software_id": "authsome",
        "software_version": env!("CARGO_PKG_VERSION"),
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method(wanted),
    });
    if !scopes.is_empty() {
        metadata["scope"] = server.joined(scopes).into();
    }
    let json = HeaderValue::from_static("application/json");
    let answer = document(
        server.http.send(Request {
            method: Method::POST,
            url: url.to_owned(),
            headers: vec![(ACCEPT, json.clone()), (CONTENT_TYPE, json)],
            body: Zeroizing::new(metadata.to_string().into_bytes()),
        })?,
        std::iter::empty(),
    )?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text("client_id").ok_or(FlowError::Malformed("has no client id"))?.to_owned();
    let secret = text("client_secret").map(Secret::from);
    let authentication = match text("token_endpoint_auth_method") {
        Some("client_secret_basic") => ClientAuthentication::Basic,
        Some("client_secret_post") => ClientAuthentication::Post,
        Some(_) => ClientAuthentication::None,
        // Without a word it is Basic for a client with a secret (RFC 7591 2).
        None if secret.is_some() => ClientAuthentication::Basic,
        None => ClientAuthentication::None,
    };
    Ok(OAuthClient { id, secret, authentication })
}

/// The name in the registry of RFC 7591 4.2.
fn method(authentication: ClientAuthentication) -> &'static str {
    match authentication {
        ClientAuthentication::Basic => "client_secret_basic",
        ClientAuthentication::Post => "client_secret_post",
        _ => "none",
    }
}
