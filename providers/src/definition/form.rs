//! The part that both ways to authenticate share: how the credential looks and where it is placed.

use std::collections::BTreeMap;

use super::DefinitionError;
use super::document::{BasicEntry, ClearEntry, FormEntry, PlacementEntry};
use super::shape::ValueTemplate;
use crate::pattern::ValuePattern;
use crate::placement::{Placement, Slot, SlotName, ValueForm};
use crate::template::{Piece, Template};

/// Fields that the exchange itself owns (RFC 9110 7.6.1, 7.2, 8.6, 11.7): no credential stands there.
const REFUSED_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "range",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "via",
];
const REFUSED_HEADER_PREFIXES: &[&str] = &["proxy-", "authsome-", "sec-", "access-control-", "x-forwarded-"];

/// What a definition says of one kind of credential.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) label: Option<String>,
    pub(super) env_var: Option<String>,
    pub(super) pattern: Option<ValuePattern>,
    pub(super) hint: Option<String>,
    pub(super) placement: Placement,
}

/// Makes the form of the credential that stands in `field` from the block at `path`.
pub(super) fn build(path: &str, entry: FormEntry, field: &str) -> Result<Form, DefinitionError> {
    let placement = placement(path, &entry, field)?;
    Ok(Form {
        label: entry.label.map(|label| label.0),
        env_var: entry.env_var.map(|variable| variable.0),
        pattern: entry.key_pattern.map(|pattern| pattern.0),
        hint: entry.key_pattern_hint.map(|hint| hint.0),
        placement,
    })
}

fn placement(path: &str, entry: &FormEntry, field: &str) -> Result<Placement, DefinitionError> {
    let mut placement = match entry.placement.as_deref() {
        Some(explicit) => explicit_placement(&format!("{path}.placement"), explicit)?,
        None => Placement {
            slots: vec![header_slot(path, entry, field)?],
            clear: Vec::new(),
            variants: BTreeMap::new(),
        },
    };
    placement.clear.extend(cleared(path, entry.clear.as_deref())?);
    check_slots(path, &placement, field)?;
    for (name, variant) in entry.variants.iter().flatten() {
        let path = format!("{path}.variants.{name}");
        if !crate::template::is_field_name(name) {
            return Err(DefinitionError::field(path, "must be named by lower-case letters, digits and `_`"));
        }
        let variant = explicit_placement(&path, variant)?;
        check_slots(&path, &variant, field)?;
        placement.variants.insert(name.clone(), variant);
    }
    Ok(placement)
}

/// `header_name` and `header_prefix`: a header of one field, behind a scheme's name.
fn header_slot(path: &str, entry: &FormEntry, field: &str) -> Result<Slot, DefinitionError> {
    let name = entry.header_name.as_ref().map_or("authorization", |name| &name.0);
    let prefix = match &entry.header_prefix {
        Some(Some(prefix)) => prefix.0.trim_end(),
        Some(None) => "",
        None => "Bearer",
    };
    if prefix.ends_with('=') {
        let problem = "is followed by a space; write a value such as `Token token={api_key}` as a placement";
        return Err(DefinitionError::field(format!("{path}.header_prefix"), problem));
    }
    let space = if prefix.is_empty() { "" } else { " " };
    let value = header_value(&format!("{prefix}{space}{{{field}}}"))
        .map_err(|problem| DefinitionError::field(format!("{path}.header_prefix"), problem))?;
    Ok(Slot::Header { name: name.into(), value: ValueForm::Text(value) })
}

/// `headers`, `query` and `basic`, with `clear` beside them.
fn explicit_placement(path: &str, entry: &PlacementEntry) -> Result<Placement, DefinitionError> {
    let mut slots = Vec::new();
    for (key, ValueTemplate(value)) in entry.headers.iter().flatten() {
        let name = header_name(key)
            .map_err(|problem| DefinitionError::field(format!("{path}.headers.{key}"), problem))?;
        slots.push(Slot::Header { name, value: ValueForm::Text(value.clone()) });
    }
    if let Some(basic) = &entry.basic {
        slots.push(Slot::Header { name: "authorization".into(), value: basic_value(path, basic)? });
    }
    for (key, ValueTemplate(value)) in entry.query.iter().flatten() {
        let name = query_name(key)
            .map_err(|problem| DefinitionError::field(format!("{path}.query.{key}"), problem))?;
        slots.push(Slot::Query { name, value: ValueForm::Text(value.clone()) });
    }
    Ok(Placement { slots, clear: cleared(path, entry.clear.as_deref())?, variants: BTreeMap::new() })
}

fn basic_value(path: &str, entry: &BasicEntry) -> Result<ValueForm, DefinitionError> {
    let part =
        |text: &Option<ValueTemplate>| text.as_ref().map_or_else(Template::default, |text| text.0.clone());
    let username = part(&entry.username);
    let colon = |piece: &Piece| matches!(piece, Piece::Literal(text) if text.contains(':'));
    if username.pieces().iter().any(colon) {
        return Err(DefinitionError::field(format!("{path}.basic.username"), "must not contain a colon"));
    }
    Ok(ValueForm::Basic { username, password: part(&entry.password) })
}

fn cleared(path: &str, entry: Option<&ClearEntry>) -> Result<Vec<SlotName>, DefinitionError> {
    let Some(clear) = entry else { return Ok(Vec::new()) };
    let headers = clear.headers.0.iter().map(|text| (header_name(&text.0).map(SlotName::Header), "headers"));
    let query = clear.query.0.iter().map(|text| (query_name(&text.0).map(SlotName::Query), "query"));
    let named = |(name, list): (Result<SlotName, String>, &str)| {
        name.map_err(|problem| DefinitionError::field(format!("{path}.clear.{list}"), problem))
    };
    headers.chain(query).map(named).collect()
}

fn check_slots(path: &str, placement: &Placement, field: &str) -> Result<(), DefinitionError> {
    let mut names: Vec<SlotName> =
        placement.slots.iter().map(Slot::name).chain(placement.clear.iter().cloned()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(DefinitionError::field(path, "sets or clears one place twice"));
    }
    if placement.slots.iter().any(|slot| slot.value().fields().is_empty()) {
        return Err(DefinitionError::field(path, "sets a place to a text without any field"));
    }
    if !placement.slots.iter().any(|slot| slot.value().fields().contains(&field)) {
        return Err(DefinitionError::field(path, format_args!("places `{{{field}}}` nowhere")));
    }
    Ok(())
}

/// A field name (RFC 9110 5.1) that a credential may stand in, in lower case.
pub(super) fn header_name(name: &str) -> Result<String, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    if !(1..=128).contains(&name.len()) || !name.bytes().all(token) {
        return Err(format!("`{name}` is no header name"));
    }
    let refused = REFUSED_HEADERS.contains(&lower.as_str())
        || REFUSED_HEADER_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if refused {
        Err(format!("`{name}` belongs to the exchange itself and cannot be set"))
    } else {
        Ok(lower)
    }
}

fn query_name(name: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]$".contains(&byte);
    if (1..=128).contains(&name.len()) && name.bytes().all(plain) {
        Ok(name.into())
    } else {
        Err(format!("`{name}` is no plain name of a query parameter"))
    }
}

/// A template whose literal parts a header value can carry (RFC 9110 5.5).
pub(super) fn header_value(text: &str) -> Result<Template, String> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !visible || text.starts_with(' ') || text.ends_with(' ') {
        return Err("must be visible ASCII, without spaces around it".into());
    }
    text.parse().map_err(|error: crate::template::TemplateSyntaxError| error.to_string())
}
