//! Whose token it is, as the provider tells.

use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::super::record::Account;
use super::super::token_endpoint::{Request, TokenEndpoint};
use super::FlowError;
use super::tokens::document;
use crate::secret::Secret;

/// No identifier or name is longer, in letters.
const MAX_TEXT: usize = 200;

/// Asks a provider whose credential these headers carry. Pointers by RFC 6901.
///
/// # Errors
/// When the provider refuses, or does not answer in JSON.
pub(crate) fn account(
    http: &dyn TokenEndpoint,
    url: &str,
    headers: &[(String, Secret<String>)],
    pointers: (&str, Option<&str>),
) -> Result<Account, FlowError> {
    let mut request = Request::get(url);
    for (name, value) in headers {
        let header = |_| FlowError::Malformed("cannot be asked for: a header is not valid");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| header(()))?;
        let mut value = HeaderValue::try_from(value.expose().as_str()).map_err(|_| header(()))?;
        value.set_sensitive(true);
        request.headers.push((name, value));
    }
    let answer = Value::Object(document(http.send(request)?, headers.iter().map(|(_, value)| value))?);
    Ok(account_in(&answer, pointers))
}

/// Id and label in an answer.
pub(crate) fn account_in(answer: &Value, (id, label): (&str, Option<&str>)) -> Account {
    Account {
        id: text(answer, id),
        label: label.and_then(|pointer| text(answer, pointer)),
        ..Account::default()
    }
}

fn text(answer: &Value, pointer: &str) -> Option<String> {
    let found = match answer.pointer(pointer)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let clean: String = found.chars().filter(|letter| !letter.is_control()).take(MAX_TEXT).collect();
    (!clean.is_empty()).then_some(clean)
}
