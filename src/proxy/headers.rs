//! What happens to the fields of a message on its way through: pure functions.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::header::{ALT_SVC, CONNECTION, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, request};
use memchr::memmem::Finder;
use percent_encoding::percent_decode_str;

use crate::credential::Prepared;
use crate::proxy::error::Error;

const OUR_NAMESPACE: &str = "authsome-";

/// Removes from a request what concerns the client's connection only, and every field in our own namespace.
/// `Upgrade` goes too: the caller asked [`wants_websocket`] before.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    let trailers = accepts_trailers(headers);
    strip_connection(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes from a response what concerns the server's connection only, and the offer of another protocol.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip_connection(headers);
    headers.remove(ALT_SVC);
}

/// Whether a field belongs to one connection only (RFC 9110 7.6.1), is answered by us, or is in our own namespace.
fn stays_here(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "connection" | "upgrade" | "transfer-encoding" | "te" | "expect" | "keep-alive" | "proxy-connection"
    ) || matches!(name, "proxy-authenticate" | "proxy-authorization" | "proxy-authentication-info")
        || name == "http2-settings"
        || name.starts_with(OUR_NAMESPACE)
}

/// Whether a field may stand in the trailers of a request: what gRPC and checksums use (RFC 9110 6.5.1). Anything
/// else could be merged into the head, a credential's slot above all.
pub(crate) fn may_trail(name: &HeaderName) -> bool {
    let name = name.as_str();
    let sums = ["digest", "checksum", "md5", "crc32", "crc32c", "sha1", "sha256", "sha512", "etag"];
    name.starts_with("grpc-")
        || name.ends_with("-bin")
        || name == "x-amz-trailer-signature"
        || name.split('-').any(|word| sums.contains(&word))
}

/// Refuses any transfer coding but exactly one `chunked` (RFC 9112 6.1): what is framed anew must not have been
/// coded otherwise.
pub(crate) fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Error> {
    let mut codings = tokens(headers, &TRANSFER_ENCODING);
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Error::BadRequest("the only transfer coding is one `chunked`")),
    }
}

fn strip_connection(headers: &mut HeaderMap) {
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        // A client that names Host here asks for a request without one.
        .filter(|name| *name != HOST);
    let gone: Vec<HeaderName> =
        headers.keys().filter(|name| stays_here(name)).cloned().chain(named).collect();
    for name in gone {
        headers.remove(name);
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    has_token(headers, &TE, b"trailers")
}

/// Whether a message asks for, or grants, a WebSocket and nothing else (RFC 6455 4.1, 4.2.2).
pub(crate) fn wants_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = tokens(headers, &UPGRADE);
    let websocket = protocols.next().is_some_and(|token| token.eq_ignore_ascii_case(b"websocket"));
    websocket && protocols.next().is_none() && has_token(headers, &CONNECTION, b"upgrade")
}

/// Puts the two fields of a WebSocket handshake back that [`strip_request`] and [`strip_response`] took.
pub(crate) fn restore_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether a comma-separated field has a token, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// The elements of a comma-separated field.
pub(crate) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// What a client had put where the credential belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Empty,
    /// Our placeholder.
    Placeholder,
    /// A value of the client's own.
    Foreign,
}

/// Looks at the slots of a credential, without changing them.
pub(crate) fn found_in_slots(
    head: &request::Parts,
    credential: &Prepared,
    placeholders: &Placeholders,
) -> Found {
    let slots = credential.header_slots().iter().flat_map(|name| head.headers.get_all(name));
    let twins =
        head.headers.iter().filter(|(name, _)| credential.is_twin_of_slot(name)).map(|(_, value)| value);
    let mut found = Found::Empty;
    for value in slots.chain(twins) {
        found = if placeholders.are_in_header(value) { Found::Placeholder } else { return Found::Foreign };
    }
    let Some(query) = head.uri.query().filter(|_| credential.touches_query()) else { return found };
    for (name, value) in query_pairs(query) {
        if credential.has_query_slot(&name) {
            let ours = placeholders.are_in_text(value);
            found = if ours { Found::Placeholder } else { return Found::Foreign };
        }
    }
    found
}

/// Empties every slot of a credential, in any spelling.
pub(crate) fn empty_slots(head: &mut request::Parts, credential: &Prepared) -> Result<(), TargetTooLong> {
    for name in credential.header_slots() {
        head.headers.remove(name);
    }
    let twins: Vec<HeaderName> =
        head.headers.keys().filter(|name| credential.is_twin_of_slot(name)).cloned().collect();
    for name in twins {
        head.headers.remove(name);
    }
    if let Some(query) = head.uri.query().filter(|_| credential.touches_query()) {
        let foreign = |pair: &&str| !query_pairs(pair).any(|(name, _)| credential.has_query_slot(&name));
        let kept = query.split('&').filter(foreign).collect::<Vec<_>>().join("&");
        replace_query(&mut head.uri, &kept)?;
    }
    Ok(())
}

/// Fills the slots that the definition fills. They were emptied before.
pub(crate) fn fill_slots(head: &mut request::Parts, credential: &Prepared) -> Result<(), TargetTooLong> {
    for (name, value) in &credential.headers {
        head.headers.append(name.clone(), value.clone());
    }
    for (name, value) in &credential.query {
        let query = match head.uri.query() {
            Some(query) if !query.is_empty() => format!("{query}&{name}={}", value.expose()),
            _ => format!("{name}={}", value.expose()),
        };
        replace_query(&mut head.uri, &query)?;
    }
    Ok(())
}

fn query_pairs(query: &str) -> impl Iterator<Item = (String, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(&name.replace('+', " ")).decode_utf8_lossy().into_owned(), value)
    })
}

/// The target with its credential is longer than a URI may be here, 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetTooLong;

/// Sets the query and leaves every other byte of the target as it is.
fn replace_query(uri: &mut Uri, query: &str) -> Result<(), TargetTooLong> {
    let separator = if query.is_empty() { "" } else { "?" };
    let target = format!("{}{separator}{query}", uri.path());
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| TargetTooLong)?);
    *uri = Uri::from_parts(parts).map_err(|_| TargetTooLong)?;
    Ok(())
}

/// The values that stand for credentials in this run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placeholders(Vec<Finder<'static>>);

impl Placeholders {
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut values: Vec<&str> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        Self(values.into_iter().map(|value| Finder::new(value).into_owned()).collect())
    }

    /// Whether a placeholder stands anywhere in the head of a request, also percent-encoded or inside Basic.
    pub(crate) fn are_in(&self, head: &request::Parts) -> bool {
        let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        self.are_in_text(target) || head.headers.values().any(|value| self.are_in_header(value))
    }

    fn are_in_header(&self, value: &HeaderValue) -> bool {
        let bytes = value.as_bytes();
        self.find(bytes) || self.find_decoded(bytes) || basic_pair(bytes).is_some_and(|pair| self.find(&pair))
    }

    fn are_in_text(&self, text: &str) -> bool {
        self.find(text.as_bytes()) || self.find_decoded(text.as_bytes())
    }

    fn find(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|finder| finder.find(bytes).is_some())
    }

    fn find_decoded(&self, bytes: &[u8]) -> bool {
        bytes.contains(&b'%') && self.find(&percent_encoding::percent_decode(bytes).collect::<Vec<u8>>())
    }
}

/// The decoded `user:password` of a Basic value (RFC 7617 2), in either alphabet, padded or not.
fn basic_pair(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let encoded = encoded.trim_ascii();
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(encoded).ok())
}

/// Replaces the placed value, raw or percent-encoded, in the head of a response by the placeholder.
pub(crate) fn redact(headers: &mut HeaderMap, credential: &Prepared) {
    for value in headers.values_mut() {
        if let Some(clean) = credential.redacted(value.as_bytes())
            && let Ok(clean) = HeaderValue::from_bytes(&clean)
        {
            *value = clean;
        }
    }
}

/// Whether a web page made the browser send this request (Fetch Metadata): never injected.
pub(crate) fn started_by_web_page(headers: &HeaderMap) -> bool {
    let sites = headers.get_all("sec-fetch-site");
    sites.iter().any(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"))
}

/// The bearer or Basic password of a `Proxy-Authorization` field.
pub(crate) fn proxy_token(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all(PROXY_AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    if values.next().is_some() {
        return None;
    }
    if let Some(pair) = basic_pair(value) {
        let colon = pair.iter().position(|byte| *byte == b':')?;
        return Some(pair[colon + 1..].to_vec());
    }
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii().to_vec())
}
