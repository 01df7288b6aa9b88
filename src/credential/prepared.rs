//! A credential in the form in which it is placed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use authsome_providers::{Placement, PlacementError, Slot, SlotName};
use http::{HeaderName, HeaderValue};
use memchr::memmem::Finder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::auth::record::ConnectionRecord;
use crate::secret::Secret;

/// The unreserved characters of RFC 3986 2.3 stay as they are.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A URL that is quoted in the query of another is encoded twice.
const MAX_ENCODINGS: usize = 3;
/// A shorter value would be found by chance.
const SHORTEST_TRACE: usize = 4;

/// Why a credential cannot be placed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("a header name or value is not valid in HTTP")]
    Header,
    #[error("the stored value is a placeholder, not a credential")]
    Placeholder,
}

/// The fields of a connection.
pub(crate) trait Fields {
    /// The value of a field.
    fn value(&self, name: &str) -> Option<&str>;
    /// The names of those that are secret.
    fn secret_names(&self) -> Vec<&str>;
}

/// How long a credential is good for. Times are in seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Term {
    pub(crate) ends_at: Option<i64>,
    /// When it should be renewed; `None` when it cannot be without a person.
    pub(crate) due_at: Option<i64>,
    /// Whether a refusal by the provider may be answered by renewing it.
    pub(crate) renewable: bool,
    /// The version of its record.
    pub(crate) version: Option<i64>,
    used: AtomicBool,
}

impl Term {
    /// What a connection's record says; `None` when there is nothing to say of it.
    pub(super) fn of(record: &ConnectionRecord, due_at: Option<i64>, version: Option<i64>) -> Option<Self> {
        let (ends_at, renewable) = (record.expires_at, record.is_renewable());
        let term = Self { ends_at, due_at, renewable, version, used: AtomicBool::new(false) };
        (ends_at.is_some() || renewable).then_some(term)
    }

    pub(crate) fn has_ended(&self, now: i64) -> bool {
        self.ends_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.due_at.is_some_and(|at| at <= now)
    }

    /// Notes that it was placed in a request.
    pub(super) fn use_it(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

/// Header and query values, ready to be placed, and what to look for in a response.
pub(crate) struct Prepared {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names with percent-encoded values.
    pub(crate) query: Vec<(String, Secret<String>)>,
    /// How long it is good for; `None` when it has no end.
    pub(crate) term: Option<Term>,
    header_slots: Vec<HeaderName>,
    query_slots: Vec<String>,
    traces: Vec<Finder<'static>>,
    placeholder: Arc<str>,
}

impl Prepared {
    /// Renders a placement with the fields of a connection.
    pub(crate) fn render(
        placement: &Placement,
        fields: &impl Fields,
        placeholder: &str,
        term: Option<Term>,
    ) -> Result<Self, RenderError> {
        let mut prepared = Self {
            headers: Vec::new(),
            query: Vec::new(),
            term,
            header_slots: Vec::new(),
            query_slots: Vec::new(),
            traces: Vec::new(),
            placeholder: placeholder.into(),
        };
        for secret in fields.secret_names().into_iter().filter_map(|name| fields.value(name)) {
            if secret.contains(placeholder) {
                return Err(RenderError::Placeholder);
            }
            prepared.trace(secret.as_bytes());
        }
        for slot in &placement.slots {
            let value = slot.value().render(|name| fields.value(name))?;
            match slot {
                Slot::Header { name, .. } => prepared.add_header(name, &value)?,
                Slot::Query { name, .. } => prepared.add_query(name, &value),
            }
        }
        for cleared in &placement.clear {
            match cleared {
                SlotName::Header(name) => prepared.header_slots.push(header_name(name)?),
                SlotName::Query(name) => prepared.query_slots.push(name.clone()),
            }
        }
        Ok(prepared)
    }

    fn add_header(&mut self, name: &str, text: &Zeroizing<String>) -> Result<(), RenderError> {
        let name = header_name(name)?;
        let mut value = HeaderValue::from_str(text).map_err(|_| RenderError::Header)?;
        value.set_sensitive(true);
        if let Some(pair) = text.strip_prefix("Basic ") {
            self.trace(pair.as_bytes());
        }
        self.header_slots.push(name.clone());
        self.headers.push((name, value));
        Ok(())
    }

    fn add_query(&mut self, name: &str, value: &Zeroizing<String>) {
        let encoded = utf8_percent_encode(value, QUERY_VALUE).to_string();
        self.query_slots.push(name.to_owned());
        self.query.push((name.to_owned(), Secret::new(encoded)));
    }

    fn trace(&mut self, secret: &[u8]) {
        if secret.len() >= SHORTEST_TRACE {
            self.traces.push(Finder::new(secret).into_owned());
        }
    }

    /// The headers in which the credential stands, and those that are emptied besides.
    pub(crate) fn header_slots(&self) -> &[HeaderName] {
        &self.header_slots
    }

    /// Whether a header is the twin of a slot that some servers read as the slot: `_` and `-` exchanged.
    pub(crate) fn is_twin_of_slot(&self, name: &HeaderName) -> bool {
        let folded = |byte: u8| if byte == b'_' { b'-' } else { byte };
        let same = |slot: &HeaderName| {
            let (slot, name) = (slot.as_str(), name.as_str());
            slot.len() == name.len() && slot.bytes().map(folded).eq(name.bytes().map(folded))
        };
        self.header_slots.iter().any(same)
    }

    /// Whether a decoded query parameter is one of the slots, in any case.
    pub(crate) fn has_query_slot(&self, name: &str) -> bool {
        self.query_slots.iter().any(|slot| slot.eq_ignore_ascii_case(name))
    }

    pub(crate) fn touches_query(&self) -> bool {
        !self.query_slots.is_empty()
    }

    /// The bytes with each trace of the secret, percent-encoded or not, replaced by the placeholder; `None` when
    /// there is none.
    pub(crate) fn redacted(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut clean: Option<Vec<u8>> = None;
        let encodings = if memchr::memchr(b'%', bytes).is_some() { MAX_ENCODINGS } else { 0 };
        for depth in 0..=encodings {
            let source = clean.as_deref().unwrap_or(bytes);
            let found = Decoded::of(source, depth).and_then(|decoded| self.replaced(source, &decoded));
            clean = found.or(clean);
        }
        clean
    }

    /// The source with each trace in its decoded text replaced.
    fn replaced(&self, bytes: &[u8], decoded: &Decoded<'_>) -> Option<Vec<u8>> {
        let mut clean = Vec::new();
        let (mut searched, mut copied) = (0, 0);
        while let Some((start, end)) = self.first_trace(&decoded.text, searched) {
            clean.extend_from_slice(&bytes[copied..decoded.source(start)]);
            clean.extend_from_slice(self.placeholder.as_bytes());
            copied = decoded.source(end);
            searched = end;
        }
        if copied == 0 {
            return None;
        }
        clean.extend_from_slice(&bytes[copied..]);
        Some(clean)
    }

    /// The earliest trace from a position on; of two that begin together, the longer.
    fn first_trace(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let rest = text.get(from..)?;
        let found = self.traces.iter().filter_map(|trace| {
            let start = from + trace.find(rest)?;
            Some((start, start + trace.needle().len()))
        });
        found.min_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)))
    }
}

fn header_name(name: &str) -> Result<HeaderName, RenderError> {
    HeaderName::try_from(name).map_err(|_| RenderError::Header)
}

/// Percent-decoded bytes that know where each of them stood.
struct Decoded<'a> {
    text: Cow<'a, [u8]>,
    offsets: Option<Vec<usize>>,
}

impl<'a> Decoded<'a> {
    /// The bytes with so many encodings taken off; `None` when they have fewer.
    fn of(bytes: &'a [u8], depth: usize) -> Option<Self> {
        let plain = Self { text: bytes.into(), offsets: None };
        (0..depth).try_fold(plain, |decoded, _| decoded.once_more())
    }

    fn once_more(&self) -> Option<Self> {
        let bytes = &*self.text;
        if !bytes.contains(&b'%') {
            return None;
        }
        let (mut text, mut offsets) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len() + 1));
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            offsets.push(self.source(at));
            let escaped = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(hex_pair);
            text.push(escaped.unwrap_or(*byte));
            at += if escaped.is_some() { 3 } else { 1 };
        }
        offsets.push(self.source(at));
        Some(Self { text: text.into(), offsets: Some(offsets) })
    }

    /// Where the decoded byte at `index` began.
    fn source(&self, index: usize) -> usize {
        self.offsets.as_ref().map_or(index, |offsets| offsets.get(index).copied().unwrap_or_default())
    }
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.contains('+'))?;
    u8::from_str_radix(text, 16).ok()
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({:?}, {:?})", self.header_slots, self.query_slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authsome_providers::ProviderDefinition;

    struct Pair(&'static str, &'static str);

    impl Fields for Pair {
        fn value(&self, name: &str) -> Option<&str> {
            match name {
                "account" => Some(self.0),
                "api_key" => Some(self.1),
                _ => None,
            }
        }

        fn secret_names(&self) -> Vec<&str> {
            vec!["api_key"]
        }
    }

    fn prepared(fields: &Pair) -> Result<Prepared, RenderError> {
        let definition = r#"{"schema_version":1,"name":"x","display_name":"X","auth_type":"api_key",
            "flow":"api_key","host_url":"api.example.com","api_key":{"header_name":"x-api-key","header_prefix":""}}"#;
        let definition = ProviderDefinition::from_json(definition).unwrap();
        let placement = definition.placement(definition.auth_type());
        Prepared::render(&placement, fields, "authsome-proxy-managed", None)
    }

    fn redacted(text: &str) -> Option<String> {
        let prepared = prepared(&Pair("AC-account", "s/ecret+key")).unwrap();
        prepared.redacted(text.as_bytes()).map(|clean| String::from_utf8(clean).unwrap())
    }

    #[test]
    fn a_secret_is_found_raw_and_in_every_percent_encoding() {
        for (text, clean) in [
            ("a s/ecret+key b s/ecret+key", "a authsome-proxy-managed b authsome-proxy-managed"),
            ("/p?k=s%2Fecret%2Bkey&x=%41", "/p?k=authsome-proxy-managed&x=%41"),
            ("/p?k=s%2fecret+key", "/p?k=authsome-proxy-managed"),
            ("/p?k=%73/ecret%2bke%79%", "/p?k=authsome-proxy-managed%"),
            ("/l?to=%2Fp%3Fk%3Ds%252Fecret%252Bkey%26a", "/l?to=%2Fp%3Fk%3Dauthsome-proxy-managed%26a"),
        ] {
            assert_eq!(redacted(text).as_deref(), Some(clean), "{text}");
        }
        for text in ["", "s/ecret", "AC-account", "%", "%2", "s%2525252Fecret%2Bkey"] {
            assert_eq!(redacted(text), None, "{text}");
        }
    }

    #[test]
    fn a_secret_inside_the_placeholder_ends() {
        let prepared = prepared(&Pair("", "authsome")).unwrap();
        let clean = prepared.redacted(b"x authsome y").unwrap();
        assert_eq!(clean, b"x authsome-proxy-managed y");
    }

    #[test]
    fn a_stored_placeholder_is_no_credential() {
        assert!(matches!(prepared(&Pair("", "authsome-proxy-managed")), Err(RenderError::Placeholder)));
    }
}
