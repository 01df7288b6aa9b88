//! Giving tokens back (RFC 7009), and asking about them (RFC 7662).

use authsome_providers::definition::{CLIENT_ID, ClientAuthentication, RequestBody, Revocation};
use http::Method;
use serde_json::{Map, Value};

use super::tokens::{Written, document, request};
use super::{FlowError, OAuthClient, Parameters, Server, parameter};
use crate::secret::Secret;

/// Tells the server that a token is not needed any more. One that it does not know is as good as revoked.
///
/// # Errors
/// When the server has no such endpoint, refuses or does not answer.
pub(crate) fn revoke(
    server: Server<'_>,
    client: &OAuthClient,
    token: &Secret<String>,
    hint: &str,
) -> Result<(), FlowError> {
    let url = server.urls.revocation.as_deref().ok_or(FlowError::NoEndpoint("revocation_url"))?;
    let id: String = form_urlencoded::byte_serialize(client.id.as_bytes()).collect();
    let url = url.replace(CLIENT_ID, &id);
    let ways = server.settings.revocation.clone().unwrap_or_default();
    let mut parameters: Parameters =
        vec![(ways.token_param.clone().unwrap_or_else(|| "token".to_owned()), token.clone())];
    if ways == Revocation::default() {
        parameters.push(parameter("token_type_hint", hint));
    }
    let authentication = ways.client_authentication.unwrap_or(client.authentication);
    let method = ways.method.as_deref().and_then(|name| name.parse().ok()).unwrap_or(Method::POST);
    let body = ways.body.unwrap_or(RequestBody::Form);
    let response = send(server, client, (authentication, method, &url, body), &mut parameters)?;
    if (200..300).contains(&response.status) && response.body.is_empty() || response.status == 404 {
        return Ok(());
    }
    let secrets = parameters.iter().map(|(_, value)| value).chain(&client.secret);
    match document(response, secrets) {
        // Whatever a successful answer says, it is one.
        Ok(_) | Err(FlowError::Malformed(_)) => Ok(()),
        Err(FlowError::Refused { code, .. }) if code == "invalid_token" => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks what the server knows of a token.
///
/// # Errors
/// When the server has no such endpoint, refuses or does not answer.
pub(crate) fn introspect(
    server: Server<'_>,
    client: &OAuthClient,
    token: &Secret<String>,
) -> Result<Map<String, Value>, FlowError> {
    let url = server.urls.introspection.as_deref().ok_or(FlowError::NoEndpoint("introspection_url"))?;
    let mut parameters: Parameters =
        vec![("token".to_owned(), token.clone()), parameter("token_type_hint", "access_token")];
    let way = (client.authentication, Method::POST, url, RequestBody::Form);
    let response = send(server, client, way, &mut parameters)?;
    let secrets = parameters.iter().map(|(_, value)| value).chain(&client.secret);
    let answer = document(response, secrets)?;
    if answer.get("active").is_some_and(Value::is_boolean) {
        return Ok(answer);
    }
    Err(FlowError::Malformed("does not say whether the token is active"))
}

fn send(
    server: Server<'_>,
    client: &OAuthClient,
    (authentication, method, url, body): (ClientAuthentication, Method, &str, RequestBody),
    parameters: &mut Parameters,
) -> Result<super::super::token_endpoint::Response, FlowError> {
    let credentials =
        client.authenticate(authentication, server.issuer.unwrap_or(url), server.clock, parameters)?;
    Ok(server.http.send(request(url, Written { method, body, accept: None }, parameters, credentials)?)?)
}
