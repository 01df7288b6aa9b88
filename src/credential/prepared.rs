//! A credential in the form in which it is placed.

use std::fmt;
use std::sync::Arc;

use authsome_providers::{Placement, PlacementError, Slot, SlotName};
use http::{HeaderName, HeaderValue};
use memchr::memmem::Finder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The unreserved characters of RFC 3986 2.3 stay as they are.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a credential cannot be placed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("a header name or value is not valid in HTTP")]
    Header,
}

/// Header and query values, ready to be placed, and what to look for in a response.
pub(crate) struct Prepared {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names with percent-encoded values.
    pub(crate) query: Vec<(String, Secret<String>)>,
    /// When the credential ends, in seconds since 1970.
    pub(crate) expires_at: Option<i64>,
    header_slots: Vec<HeaderName>,
    query_slots: Vec<String>,
    traces: Vec<Finder<'static>>,
    placeholder: Arc<str>,
}

impl Prepared {
    /// Renders a placement with the fields of a connection.
    pub(crate) fn render<'a>(
        placement: &Placement,
        field: impl Fn(&str) -> Option<&'a str>,
        placeholder: &str,
        expires_at: Option<i64>,
    ) -> Result<Self, RenderError> {
        let mut prepared = Self {
            headers: Vec::new(),
            query: Vec::new(),
            expires_at,
            header_slots: Vec::new(),
            query_slots: Vec::new(),
            traces: Vec::new(),
            placeholder: placeholder.into(),
        };
        for slot in &placement.slots {
            match slot {
                Slot::Header { name, value } => prepared.add_header(name, &value.render(&field)?)?,
                Slot::Query { name, value } => prepared.add_query(name, &value.render(&field)?),
            }
            let secrets = slot.value().fields().into_iter().filter_map(&field).map(str::to_owned);
            secrets.for_each(|secret| prepared.trace(&secret));
        }
        for cleared in &placement.clear {
            match cleared {
                SlotName::Header(name) => {
                    let name = HeaderName::try_from(name).map_err(|_| RenderError::Header)?;
                    prepared.header_slots.push(name);
                }
                SlotName::Query(name) => prepared.query_slots.push(name.to_ascii_lowercase()),
            }
        }
        Ok(prepared)
    }

    fn add_header(&mut self, name: &str, value: &Zeroizing<String>) -> Result<(), RenderError> {
        let name = HeaderName::try_from(name).map_err(|_| RenderError::Header)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| RenderError::Header)?;
        value.set_sensitive(true);
        self.header_slots.push(name.clone());
        self.headers.push((name, value));
        Ok(())
    }

    fn add_query(&mut self, name: &str, value: &Zeroizing<String>) {
        let encoded = utf8_percent_encode(value, QUERY_VALUE).to_string();
        self.query_slots.push(name.to_ascii_lowercase());
        self.query.push((name.to_owned(), Secret::new(encoded)));
    }

    /// Remembers a value to look for in response heads, raw and percent-encoded.
    fn trace(&mut self, secret: &str) {
        // A short value, an account name say, would be found by chance.
        if secret.len() < 8 {
            return;
        }
        self.traces.push(Finder::new(secret).into_owned());
        let encoded = utf8_percent_encode(secret, QUERY_VALUE).to_string();
        if encoded != secret {
            self.traces.push(Finder::new(&encoded).into_owned());
        }
    }

    /// The headers in which the credential stands, and those that are emptied besides.
    pub(crate) fn header_slots(&self) -> &[HeaderName] {
        &self.header_slots
    }

    /// Whether a header is the twin of a slot that some servers read as the slot: `_` in the place of `-`.
    pub(crate) fn is_twin_of_slot(&self, name: &HeaderName) -> bool {
        let folded = |byte: u8| if byte == b'_' { b'-' } else { byte };
        let name = name.as_str();
        name.contains('_')
            && self
                .header_slots
                .iter()
                .any(|slot| name.bytes().map(folded).eq(slot.as_str().bytes().map(folded)))
    }

    /// Whether a decoded query parameter is one of the slots, in any case.
    pub(crate) fn has_query_slot(&self, name: &str) -> bool {
        self.query_slots.iter().any(|slot| slot.eq_ignore_ascii_case(name))
    }

    pub(crate) fn touches_query(&self) -> bool {
        !self.query_slots.is_empty()
    }

    /// The bytes with each trace of the secret replaced by the placeholder; `None` when there is none.
    pub(crate) fn redacted(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut clean: Option<Vec<u8>> = None;
        for trace in &self.traces {
            while let Some(at) = trace.find(clean.as_deref().unwrap_or(bytes)) {
                let text = clean.get_or_insert_with(|| bytes.to_vec());
                text.splice(at..at + trace.needle().len(), self.placeholder.bytes());
            }
        }
        clean
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({:?}, {:?})", self.header_slots, self.query_slots)
    }
}
