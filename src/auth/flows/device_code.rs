//! Device authorization (RFC 8628).

use std::time::Duration;

use authsome_providers::Endpoint;
use authsome_providers::definition::RequestBody;
use http::Method;
use serde_json::Value;

use super::tokens::{Written, document, request};
use super::{FlowError, OAuthClient, Parameters, Server, Tokens, parameter};
use crate::secret::Secret;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What holds when the server does not say, and what it may say at most, in seconds.
const INTERVAL: u64 = 5;
const MAX_INTERVAL: u64 = 60;
const LIFETIME: u64 = 900;
const MAX_LIFETIME: u64 = 1800;

/// What `slow_down` adds between two questions.
pub(crate) const SLOW_DOWN: Duration = Duration::from_secs(5);

/// What a person enters where, and what we ask with meanwhile.
#[derive(Debug)]
pub(crate) struct DeviceAuthorization {
    device_code: Secret<String>,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    pub(crate) verification_uri_complete: Option<String>,
    pub(crate) expires_in: Duration,
    pub(crate) interval: Duration,
}

/// What a question yields.
#[derive(Debug)]
pub(crate) enum Poll {
    /// The person has agreed.
    Done(Box<Tokens>),
    /// Not yet.
    Pending,
    /// Not yet, and we ask too often, or the server is not to be had: 5 s more between questions (RFC 8628 3.5).
    SlowDown,
}

/// Asks for a code.
///
/// # Errors
/// When the server refuses, or its answer leads to no https page.
pub(crate) fn begin_device(
    server: Server<'_>,
    client: &OAuthClient,
    scopes: &[String],
) -> Result<DeviceAuthorization, FlowError> {
    let url = server.urls.device_authorization.as_deref();
    let url = url.ok_or(FlowError::NoEndpoint("device_authorization_url"))?;
    let mut parameters: Parameters = server.scope(scopes).into_iter().collect();
    parameters.extend(server.settings.resource.iter().map(|resource| parameter("resource", resource)));
    let audience = server.issuer.unwrap_or(url);
    let credentials = client.authenticate(client.authentication, audience, server.clock, &mut parameters)?;
    if !parameters.iter().any(|(name, _)| name == "client_id") {
        parameters.push(parameter("client_id", &client.id));
    }
    let accept = server.settings.token_accept.as_deref();
    let asked = request(
        url,
        Written { method: Method::POST, body: RequestBody::Form, accept },
        &parameters,
        credentials,
    )?;
    let secrets = parameters.iter().map(|(_, value)| value).chain(&client.secret);
    let answer = document(server.http.send(asked)?, secrets)?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |name: &str| match answer.get(name)? {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    };
    let page = text("verification_uri").or_else(|| text("verification_url"));
    let page = page.filter(|page| is_page(page)).ok_or(FlowError::Malformed("names no https page"))?;
    Ok(DeviceAuthorization {
        device_code: text("device_code").ok_or(FlowError::Malformed("has no device code"))?.into(),
        user_code: text("user_code")
            .filter(|code| is_code(code))
            .map(str::to_owned)
            .ok_or(FlowError::Malformed("has no code that a person could enter"))?,
        verification_uri: page.to_owned(),
        verification_uri_complete: text("verification_uri_complete")
            .filter(|page| is_page(page))
            .map(str::to_owned),
        expires_in: Duration::from_secs(number("expires_in").unwrap_or(LIFETIME).clamp(1, MAX_LIFETIME)),
        interval: Duration::from_secs(number("interval").unwrap_or(INTERVAL).clamp(1, MAX_INTERVAL)),
    })
}

/// Asks once whether the person has agreed.
///
/// # Errors
/// When the person has said no, the code has expired, or the server refuses for another reason.
pub(crate) fn poll_device(
    server: Server<'_>,
    client: &OAuthClient,
    device: &DeviceAuthorization,
) -> Result<Poll, FlowError> {
    let grant = vec![parameter("grant_type", GRANT), ("device_code".to_owned(), device.device_code.clone())];
    match server.token(client, grant) {
        Ok(tokens) => Ok(Poll::Done(Box::new(tokens))),
        Err(error) => match error.code() {
            Some("authorization_pending") => Ok(Poll::Pending),
            Some("slow_down") => Ok(Poll::SlowDown),
            Some("access_denied" | "authorization_declined") => Err(FlowError::Denied),
            Some("expired_token" | "code_expired") => Err(FlowError::Expired),
            None if error.is_passing() => Ok(Poll::SlowDown),
            _ => Err(error),
        },
    }
}

/// Only what a browser can be sent to without harm is shown.
fn is_page(text: &str) -> bool {
    text.parse::<Endpoint>().is_ok()
}

fn is_code(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|letter| !letter.is_control())
}
