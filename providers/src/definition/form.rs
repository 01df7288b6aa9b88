//! The part that both ways to authenticate share: how the credential looks and where it is placed.

use std::collections::BTreeMap;

use super::read::Object;
use super::{DefinitionError, environment};
use crate::pattern::ValuePattern;
use crate::placement::{Placement, Slot, SlotName, ValueForm};
use crate::template::Template;

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

/// Reads a block for the credential that stands in `field`.
pub(super) fn read(block: &Object<'_>, field: &str) -> Result<Form, DefinitionError> {
    Ok(Form {
        label: block.owned("label")?,
        env_var: environment::variable(block, "env_var")?,
        pattern: pattern(block)?,
        hint: block.owned("key_pattern_hint")?,
        placement: placement(block, field)?,
    })
}

/// Reads `key_pattern`.
pub(super) fn pattern(block: &Object<'_>) -> Result<Option<ValuePattern>, DefinitionError> {
    let text = block.string("key_pattern")?;
    text.map(ValuePattern::new).transpose().map_err(|error| block.error("key_pattern", error))
}

fn placement(block: &Object<'_>, field: &str) -> Result<Placement, DefinitionError> {
    let mut placement = match block.object("placement")? {
        Some(explicit) => explicit_placement(&explicit)?,
        None => Placement {
            slots: vec![header_slot(block, field)?],
            clear: Vec::new(),
            variants: BTreeMap::new(),
        },
    };
    placement.clear.extend(cleared(block)?);
    check_slots(block, &placement, field)?;
    if let Some(variants) = block.object("variants")? {
        for name in variants.keys() {
            placement.variants.insert(name.to_owned(), variant(&variants, name, field)?);
        }
    }
    Ok(placement)
}

fn variant(variants: &Object<'_>, name: &str, field: &str) -> Result<Placement, DefinitionError> {
    if !crate::template::is_field_name(name) {
        return Err(variants.error(name, "must be named by lower-case letters, digits and `_`"));
    }
    let block = variants.object(name)?.ok_or_else(|| variants.error(name, "must be an object"))?;
    let placement = explicit_placement(&block)?;
    check_slots(&block, &placement, field)?;
    Ok(placement)
}

/// `header_name` and `header_prefix`: a header of one field, behind a scheme's name.
fn header_slot(block: &Object<'_>, field: &str) -> Result<Slot, DefinitionError> {
    let name = block.string("header_name")?.unwrap_or("Authorization");
    let prefix = match block.string("header_prefix")? {
        Some(prefix) => prefix.trim_end(),
        None if block.is_null("header_prefix") => "",
        None => "Bearer",
    };
    let space = if prefix.is_empty() { "" } else { " " };
    let value = header_value(&format!("{prefix}{space}{{{field}}}"))
        .map_err(|problem| block.error("header_prefix", problem))?;
    let name = header_name(name).map_err(|problem| block.error("header_name", problem))?;
    Ok(Slot::Header { name, value: ValueForm::Text(value) })
}

/// `headers`, `query` and `basic`, with `clear` beside them.
fn explicit_placement(block: &Object<'_>) -> Result<Placement, DefinitionError> {
    let mut slots = Vec::new();
    if let Some(headers) = block.object("headers")? {
        for key in headers.keys() {
            let name = header_name(key).map_err(|problem| headers.error(key, problem))?;
            let value =
                header_value(headers.required(key)?).map_err(|problem| headers.error(key, problem))?;
            slots.push(Slot::Header { name, value: ValueForm::Text(value) });
        }
    }
    if let Some(basic) = block.object("basic")? {
        slots.push(Slot::Header { name: "authorization".into(), value: basic_value(&basic)? });
    }
    if let Some(query) = block.object("query")? {
        for key in query.keys() {
            let name = query_name(key).map_err(|problem| query.error(key, problem))?;
            let value = header_value(query.required(key)?).map_err(|problem| query.error(key, problem))?;
            slots.push(Slot::Query { name, value: ValueForm::Text(value) });
        }
    }
    Ok(Placement { slots, clear: cleared(block)?, variants: BTreeMap::new() })
}

fn basic_value(basic: &Object<'_>) -> Result<ValueForm, DefinitionError> {
    let part = |key: &str| {
        let text = basic.string(key)?.unwrap_or_default();
        header_value(text).map_err(|problem| basic.error(key, problem))
    };
    let username = part("username")?;
    if username
        .pieces()
        .iter()
        .any(|piece| matches!(piece, crate::template::Piece::Literal(text) if text.contains(':')))
    {
        return Err(basic.error("username", "must not contain a colon"));
    }
    Ok(ValueForm::Basic { username, password: part("password")? })
}

fn cleared(block: &Object<'_>) -> Result<Vec<SlotName>, DefinitionError> {
    let Some(clear) = block.object("clear")? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for name in clear.strings("headers")? {
        names.push(SlotName::Header(header_name(name).map_err(|problem| clear.error("headers", problem))?));
    }
    for name in clear.strings("query")? {
        names.push(SlotName::Query(query_name(name).map_err(|problem| clear.error("query", problem))?));
    }
    Ok(names)
}

fn check_slots(block: &Object<'_>, placement: &Placement, field: &str) -> Result<(), DefinitionError> {
    let mut names: Vec<SlotName> =
        placement.slots.iter().map(Slot::name).chain(placement.clear.iter().cloned()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(block.error("", "sets or clears one place twice"));
    }
    if placement.slots.iter().any(|slot| slot.value().fields().is_empty()) {
        return Err(block.error("", "sets a place to a text without any field"));
    }
    if !placement.slots.iter().any(|slot| slot.value().fields().contains(&field)) {
        return Err(block.error("", format_args!("places `{{{field}}}` nowhere")));
    }
    Ok(())
}

/// A field name (RFC 9110 5.1) that a credential may stand in, in lower case.
fn header_name(name: &str) -> Result<String, String> {
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
fn header_value(text: &str) -> Result<Template, String> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !visible || text.starts_with(' ') || text.ends_with(' ') {
        return Err("must be visible ASCII, without spaces around it".into());
    }
    text.parse().map_err(|error: crate::template::TemplateSyntaxError| error.to_string())
}
