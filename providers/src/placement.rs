//! How a credential is placed in a request: which header or query parameter, in which form.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::claim::Claim;
use crate::template::{Piece, Template};

/// Why a value cannot be placed. Never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The record lacks a field, or it is empty.
    #[error("the field `{0}` has no value")]
    Missing(String),
    /// CR, LF, NUL, a space or another character that a header value or credential cannot carry.
    #[error("the field `{0}` contains a character that cannot be sent")]
    Character(String),
    /// A colon in the user of a Basic credential (RFC 7617 2).
    #[error("the user of a Basic credential contains a colon, from the field `{0}`")]
    Colon(String),
}

/// Where and how a provider's credential stands in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// What is set, whatever the client sent there.
    pub slots: Vec<Slot>,
    /// What is emptied besides, so that a value of the client's cannot compete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<SlotName>,
    /// The placements of claims that name a variant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Placement>,
}

/// One value in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// A header field.
    Header {
        /// In lower case.
        name: String,
        /// What stands there.
        value: ValueForm,
    },
    /// A query parameter.
    Query {
        /// As it stands in the URL, percent-decoded.
        name: String,
        /// What stands there, before percent-encoding.
        value: ValueForm,
    },
}

/// The place of a slot alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotName {
    /// A header field, in lower case.
    Header(String),
    /// A query parameter, percent-decoded.
    Query(String),
}

/// How fields become a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueForm {
    /// The filled template: `Bearer {api_key}`.
    Text(Template),
    /// `Basic` and the base64 of `username:password` (RFC 7617).
    Basic {
        /// The user, perhaps empty.
        username: Template,
        /// The password, perhaps empty.
        password: Template,
    },
}

impl Placement {
    /// The placement for a request that `claim` matched: its variant's, or this one.
    pub fn at(&self, claim: &Claim) -> &Placement {
        claim.variant.as_ref().and_then(|name| self.variants.get(name)).unwrap_or(self)
    }

    /// The names of all fields that are placed, variants included, sorted.
    pub fn fields(&self) -> Vec<&str> {
        let own = self.slots.iter().flat_map(|slot| slot.value().fields());
        let mut names: Vec<&str> = own.chain(self.variants.values().flat_map(Placement::fields)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Slot {
    /// The place.
    pub fn name(&self) -> SlotName {
        match self {
            Self::Header { name, .. } => SlotName::Header(name.clone()),
            Self::Query { name, .. } => SlotName::Query(name.clone()),
        }
    }

    /// The form of the value.
    pub fn value(&self) -> &ValueForm {
        match self {
            Self::Header { value, .. } | Self::Query { value, .. } => value,
        }
    }
}

impl ValueForm {
    /// Fills in the fields. The result is visible ASCII and spaces; a query parameter is yet to be percent-encoded.
    ///
    /// # Errors
    /// [`PlacementError`] when a field is missing or empty, or has a character that must not be sent.
    pub fn render<'a>(
        &self,
        field: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Zeroizing<String>, PlacementError> {
        match self {
            Self::Text(template) => fill(template, &field, |letter| letter.is_ascii_graphic()),
            Self::Basic { username, password } => basic(username, password, &field),
        }
    }

    /// The names of the fields in it.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Text(template) => template.fields().collect(),
            Self::Basic { username, password } => username.fields().chain(password.fields()).collect(),
        }
    }
}

fn basic<'a>(
    username: &Template,
    password: &Template,
    field: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Zeroizing<String>, PlacementError> {
    let printable = |letter: char| !letter.is_control();
    let user = fill(username, field, printable)?;
    if let Some(name) = username.fields().find(|name| field(name).is_some_and(|value| value.contains(':'))) {
        return Err(PlacementError::Colon(name.into()));
    }
    let secret = fill(password, field, printable)?;
    let mut pair = Zeroizing::new(String::with_capacity(user.len() + secret.len() + 1));
    pair.push_str(&user);
    pair.push(':');
    pair.push_str(&secret);
    let mut value = Zeroizing::new(String::with_capacity("Basic ".len() + pair.len().div_ceil(3) * 4));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    Ok(value)
}

/// Fills a template into a buffer that is large enough from the start: growth would leave copies behind.
fn fill<'a>(
    template: &Template,
    field: &impl Fn(&str) -> Option<&'a str>,
    allowed: impl Fn(char) -> bool,
) -> Result<Zeroizing<String>, PlacementError> {
    let mut parts = Vec::with_capacity(template.pieces().len());
    for piece in template.pieces() {
        parts.push(match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Field(name) => present(name, field(name), &allowed)?,
        });
    }
    let mut filled = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| filled.push_str(part));
    Ok(filled)
}

fn present<'a>(
    name: &str,
    value: Option<&'a str>,
    allowed: &impl Fn(char) -> bool,
) -> Result<&'a str, PlacementError> {
    let value =
        value.filter(|value| !value.is_empty()).ok_or_else(|| PlacementError::Missing(name.into()))?;
    if value.chars().all(allowed) { Ok(value) } else { Err(PlacementError::Character(name.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    fn basic_of(username: &str, password: &str) -> ValueForm {
        ValueForm::Basic { username: template(username), password: template(password) }
    }

    fn fields(name: &str) -> Option<&'static str> {
        match name {
            "api_key" => Some("s3cret"),
            "email" => Some("ann@example.com"),
            "broken" => Some("a\r\nx-evil: 1"),
            "nul" => Some("a\0b"),
            "colon" => Some("a:b"),
            "spaced" => Some("a b"),
            "accent" => Some("é"),
            "empty" => Some(""),
            _ => None,
        }
    }

    #[test]
    fn forms_are_rendered() {
        for (form, value) in [
            (ValueForm::Text(template("Bearer {api_key}")), "Bearer s3cret"),
            (ValueForm::Text(template("{api_key}")), "s3cret"),
            (basic_of("{api_key}", ""), "Basic czNjcmV0Og=="),
            (basic_of("", "{api_key}"), "Basic OnMzY3JldA=="),
            (basic_of("{email}/token", "{api_key}"), "Basic YW5uQGV4YW1wbGUuY29tL3Rva2VuOnMzY3JldA=="),
        ] {
            assert_eq!(*form.render(fields).unwrap(), value);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_being_shown() {
        for name in ["broken", "nul", "spaced", "accent"] {
            let error = ValueForm::Text(template(&format!("Bearer {{{name}}}"))).render(fields).unwrap_err();
            assert_eq!(error, PlacementError::Character(name.into()));
        }
        for name in ["broken", "nul"] {
            assert_eq!(
                basic_of("", &format!("{{{name}}}")).render(fields),
                Err(PlacementError::Character(name.into()))
            );
        }
        assert_eq!(basic_of("{colon}", "").render(fields), Err(PlacementError::Colon("colon".into())));
        assert!(basic_of("", "{colon}").render(fields).is_ok());
        for name in ["empty", "absent"] {
            assert_eq!(
                basic_of("", &format!("{{{name}}}")).render(fields),
                Err(PlacementError::Missing(name.into()))
            );
        }
    }

    #[test]
    fn a_placement_survives_storage() {
        let slot = |value| Slot::Header { name: "authorization".into(), value };
        let variant = Placement {
            slots: vec![slot(basic_of("git", "{api_key}"))],
            clear: vec![],
            variants: BTreeMap::new(),
        };
        let placement = Placement {
            slots: vec![slot(ValueForm::Text(template("Bearer {api_key}")))],
            clear: vec![SlotName::Query("key".into())],
            variants: BTreeMap::from([("git".into(), variant.clone())]),
        };
        let text = serde_json::to_string(&placement).unwrap();
        assert_eq!(serde_json::from_str::<Placement>(&text).unwrap(), placement);
        assert_eq!(placement.at(&"x.com:443/#git".parse().unwrap()), &variant);
        assert_eq!(placement.at(&"x.com:443/".parse().unwrap()), &placement);
        assert_eq!(placement.fields(), ["api_key"]);
    }
}
