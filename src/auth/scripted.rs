//! An authorization server that says what a test tells it to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::token_endpoint::{EndpointError, Request, Response, TokenEndpoint};

pub(super) type Reply = Result<Response, EndpointError>;
type Rule = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Seen {
    /// The value of a form's parameter.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// Answers by its rule, else from its queue.
#[derive(Default)]
pub(super) struct Scripted {
    queue: Mutex<VecDeque<Reply>>,
    rule: Mutex<Option<Rule>>,
    seen: Mutex<Vec<Seen>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Scripted {
    pub(super) fn say(&self, reply: Reply) {
        lock(&self.queue).push_back(reply);
    }

    /// Answers every request from now on.
    pub(super) fn rule(&self, rule: impl FnMut(&Seen) -> Reply + Send + 'static) {
        *lock(&self.rule) = Some(Box::new(rule));
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    pub(super) fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }
}

impl TokenEndpoint for Scripted {
    fn send(&self, request: Request) -> Reply {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let seen = Seen {
            method: request.method.to_string(),
            url: request.url,
            headers: request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8(request.body.to_vec()).unwrap(),
        };
        lock(&self.seen).push(seen.clone());
        if let Some(rule) = &mut *lock(&self.rule) {
            return rule(&seen);
        }
        lock(&self.queue).pop_front().expect("no answer is left for this request")
    }
}

/// An answer in JSON.
pub(super) fn json(status: u16, body: &str) -> Reply {
    answer(status, &[("content-type", "application/json")], body)
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    Ok(Response { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()) })
}

/// The request was sent, and no answer came.
pub(super) fn broken() -> Reply {
    Err(EndpointError::Exchange { origin: "auth.example.com:443".into(), source: "it was cut off".into() })
}

/// Nothing was sent.
pub(super) fn unreachable() -> Reply {
    Err(EndpointError::Dial { origin: "auth.example.com:443".into(), source: "no route".into() })
}
