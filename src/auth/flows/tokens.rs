//! Token requests and their answers (RFC 6749 5), as servers really write them.

use std::fmt;
use std::time::Duration;

use authsome_providers::definition::RequestBody;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::token_endpoint::{Request, Response};
use super::error::{self, FlowError};
use super::{OAuthClient, Parameters, Server, parameter};
use crate::secret::Secret;

/// A token that ends sooner, or later, is taken to end then, in seconds: a server's mistake makes no refresh storm.
const SHORTEST: i64 = 30;
const LONGEST: i64 = 365 * 24 * 3600;
/// No server is left alone for longer.
const LONGEST_RETRY: u64 = 3600;

/// What a token endpoint gave.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access_token: Secret<String>,
    pub(crate) refresh_token: Option<Secret<String>>,
    pub(crate) id_token: Option<Secret<String>>,
    pub(crate) token_type: Option<String>,
    /// What was granted, when the server says so; else what was asked for (RFC 6749 5.1).
    pub(crate) scopes: Option<Vec<String>>,
    /// Seconds until the access token ends; `None` when the server does not say.
    pub(crate) expires_in: Option<i64>,
    /// The rest of the answer: whose token it is, for some.
    pub(crate) rest: Value,
}

impl fmt::Debug for Tokens {
    /// The rest may hold tokens too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Server<'_> {
    /// Sends a grant to the token endpoint.
    pub(super) fn token(&self, client: &OAuthClient, grant: Parameters) -> Result<Tokens, FlowError> {
        self.token_at(self.token_url()?, client, grant)
    }

    /// Sends a grant to one of the server's endpoints.
    pub(super) fn token_at(
        &self,
        url: &str,
        client: &OAuthClient,
        mut parameters: Parameters,
    ) -> Result<Tokens, FlowError> {
        let credentials = client.authenticate(
            client.authentication,
            self.issuer.unwrap_or(url),
            self.clock,
            &mut parameters,
        )?;
        parameters.extend(self.settings.token_params.iter().map(|(name, value)| parameter(name, value)));
        let body = self.settings.token_body.unwrap_or(RequestBody::Form);
        let accept = self.settings.token_accept.as_deref();
        let response = self.http.send(request(
            url,
            Written { method: Method::POST, body, accept },
            &parameters,
            credentials,
        )?)?;
        self.read(response, &parameters, client)
    }

    fn read(&self, response: Response, sent: &Parameters, client: &OAuthClient) -> Result<Tokens, FlowError> {
        let secrets = sent.iter().map(|(_, value)| value).chain(&client.secret);
        let mut document = Value::Object(document(response, secrets)?);
        let pointer = self.settings.token_pointer.as_deref().unwrap_or_default();
        let has_token = |value: &Value| value.get("access_token").is_some_and(Value::is_string);
        // A refresh is answered at the top by servers that nest their first answer.
        let inner = document.pointer(pointer).filter(|inner| has_token(inner)).cloned();
        let mut top = document.as_object_mut().map(std::mem::take).unwrap_or_default();
        let mut tokens = match inner {
            Some(Value::Object(inner)) => inner,
            _ => std::mem::take(&mut top),
        };
        let access_token =
            take_text(&mut tokens, "access_token").ok_or(FlowError::Malformed("has no access token"))?;
        Ok(Tokens {
            access_token: access_token.into(),
            refresh_token: take_text(&mut tokens, "refresh_token").map(Secret::new),
            id_token: take_text(&mut tokens, "id_token").map(Secret::new),
            token_type: take_text(&mut tokens, "token_type"),
            scopes: self.scopes(tokens.get("scope")),
            expires_in: tokens.get("expires_in").and_then(seconds),
            rest: Value::Object(if top.is_empty() { tokens } else { top }),
        })
    }

    fn scopes(&self, value: Option<&Value>) -> Option<Vec<String>> {
        let separator = self.settings.scope_separator.as_deref().unwrap_or(" ");
        let split = |letter: char| letter.is_whitespace() || letter == ',' || separator.contains(letter);
        let scopes: Vec<String> = match value? {
            Value::String(text) => text.split(split).map(str::to_owned).collect(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => return None,
        };
        Some(scopes.into_iter().filter(|scope| !scope.is_empty()).collect())
    }
}

/// How a request is written.
pub(super) struct Written<'a> {
    pub(super) method: Method,
    pub(super) body: RequestBody,
    /// The media type to ask for, when it is not JSON.
    pub(super) accept: Option<&'a str>,
}

/// A request to one of the server's endpoints.
pub(super) fn request(
    url: &str,
    written: Written<'_>,
    parameters: &Parameters,
    credentials: Option<(HeaderName, HeaderValue)>,
) -> Result<Request, FlowError> {
    let Written { method, body, accept } = written;
    let accept = HeaderValue::from_str(accept.unwrap_or("application/json"))
        .map_err(|_| FlowError::Malformed("is asked for in a media type that no header can carry"))?;
    let (media, body) = match body {
        RequestBody::Json => ("application/json", json(parameters)),
        _ => ("application/x-www-form-urlencoded", form(parameters)),
    };
    let mut headers = vec![(ACCEPT, accept), (CONTENT_TYPE, HeaderValue::from_static(media))];
    headers.extend(credentials);
    Ok(Request { method, url: url.to_owned(), headers, body })
}

/// Room for everything from the beginning: growth would leave copies behind.
fn form(parameters: &Parameters) -> Zeroizing<Vec<u8>> {
    let length: usize =
        parameters.iter().map(|(name, value)| 3 * (name.len() + value.expose().len()) + 2).sum();
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(length));
    for (name, value) in parameters {
        form.append_pair(name, value.expose());
    }
    Zeroizing::new(form.finish().into_bytes())
}

fn json(parameters: &Parameters) -> Zeroizing<Vec<u8>> {
    let map: std::collections::BTreeMap<&str, &str> =
        parameters.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    // A map of texts cannot fail.
    Zeroizing::new(serde_json::to_vec(&map).unwrap_or_default())
}

/// The members of a successful answer; an error in any of its forms is one.
pub(super) fn document<'a>(
    response: Response,
    secrets: impl Iterator<Item = &'a Secret<String>>,
) -> Result<Map<String, Value>, FlowError> {
    let Response { status, headers, body } = response;
    if (300..400).contains(&status) {
        return Err(FlowError::Redirect(status));
    }
    let retry_after = retry_after(&headers);
    let Some(document) = parsed(&headers, &body) else {
        return Err(match status {
            200..300 => FlowError::Malformed("is neither JSON nor a form"),
            _ => FlowError::Status { status, retry_after },
        });
    };
    if let Some((code, description)) = refusal(&document) {
        let description = description.and_then(|text| error::description(&text, secrets));
        return Err(FlowError::Refused { code: error::code(&code), description, retry_after });
    }
    if !(200..300).contains(&status) {
        return Err(FlowError::Status { status, retry_after });
    }
    Ok(document)
}

/// JSON, or what some servers answer in its place: a form, whatever its media type says.
fn parsed(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(document)) = serde_json::from_slice(body) {
        return Some(document);
    }
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_form = media.contains("form-urlencoded") || media.starts_with("text/plain") || media.is_empty();
    if !is_form || !text.contains('=') || text.starts_with(['<', '{', '[']) {
        return None;
    }
    let pairs = form_urlencoded::parse(text.as_bytes());
    Some(pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
}

/// Code and text of an error: by RFC 6749 5.2, as an object, or as `"ok": false`.
fn refusal(document: &Map<String, Value>) -> Option<(String, Option<String>)> {
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let description = text(document.get("error_description")).or_else(|| text(document.get("message")));
    match document.get("error") {
        Some(Value::String(code)) if !code.is_empty() => Some((code.clone(), description)),
        Some(Value::Object(error)) => {
            let code = text(error.get("code")).or_else(|| text(error.get("type")));
            Some((code.unwrap_or_else(|| "error".to_owned()), text(error.get("message")).or(description)))
        }
        _ if document.get("ok") == Some(&Value::Bool(false)) => Some(("error".to_owned(), description)),
        _ => None,
    }
}

fn take_text(document: &mut Map<String, Value>, name: &str) -> Option<String> {
    match document.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Whom an ID token is about (OpenID Connect Core 2). Its signature adds nothing: it came from the token endpoint itself.
pub(crate) fn subject(id_token: &Secret<String>) -> Option<String> {
    let claims = id_token.expose().split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

/// A lifetime in seconds, be it a number or a text; nothing when it is absent, not positive or no number.
fn seconds(value: &Value) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    }?;
    // A saturating cast: a huge lifetime is a long one.
    (number > 0.0).then(|| (number as i64).clamp(SHORTEST, LONGEST))
}

/// `Retry-After` in seconds (RFC 9110 10.2.3). One that names a date is left aside: clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_RETRY)))
}
