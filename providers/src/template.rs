//! Texts with `{field}` in them, and what a field's value must be to stand in a host or URL.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::url::{self, UrlError};

/// The field that stands for a whole origin with an optional path: `https://gitlab.example.com`.
pub const BASE_URL: &str = "base_url";

/// Why a template is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateSyntaxError {
    /// A brace without its partner.
    #[error("a brace is not closed, or was never opened")]
    Brace,
    /// What stands in the braces is no field name.
    #[error("`{{{0}}}` is no field name: lower-case letters, digits and `_`")]
    Name(String),
}

/// Why a template cannot be filled with the given values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No value and no default.
    #[error("`{0}` has no value")]
    Missing(String),
    /// A value was given for a field that the definition does not have.
    #[error("the definition has no `{0}`")]
    Undeclared(String),
    /// A value that is no single label of lower-case letters, digits and hyphens.
    #[error("`{0}` must be one label of lower-case letters, digits and `-`")]
    Label(String),
    /// A base URL that is refused.
    #[error("`base_url` {0}")]
    BaseUrl(#[from] UrlError),
    /// The filled text is no host, URL or pattern.
    #[error("`{text}` is no host that can be claimed: {reason}")]
    Host {
        /// The filled text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A text with `{field}` placeholders. Serialized as that text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Literal(String),
    /// The value of a field.
    Field(String),
}

impl Template {
    /// The parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The names of the fields in it, in order, perhaps repeated.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Fills a host or URL: a base URL is checked and loses its trailing slash, every other value is one label.
    ///
    /// # Errors
    /// [`TemplateError`] when a value is missing or refused.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<String, TemplateError> {
        self.fill_but(values, None)
    }

    /// The same, with one field left as it was written.
    pub(crate) fn fill_but(
        &self,
        values: &BTreeMap<String, String>,
        kept: Option<&str>,
    ) -> Result<String, TemplateError> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Field(name) if kept == Some(name) => filled.extend(["{", name, "}"]),
                Piece::Field(name) => filled.push_str(&checked(name, values)?),
            }
        }
        Ok(filled)
    }
}

fn checked(name: &str, values: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    let value = values.get(name).ok_or_else(|| TemplateError::Missing(name.into()))?;
    if name == BASE_URL {
        return Ok(url::check_base(value)?);
    }
    if is_tenant(value) { Ok(value.clone()) } else { Err(TemplateError::Label(name.into())) }
}

/// Whether a value is one DNS label of lower-case letters, digits and inner hyphens.
pub(crate) fn is_tenant(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&value.len())
        && value.bytes().all(inner)
        && !value.starts_with('-')
        && !value.ends_with('-')
}

/// Whether a text can name a field.
pub(crate) fn is_field_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&name.len())
        && name.bytes().all(inner)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
}

impl std::str::FromStr for Template {
    type Err = TemplateSyntaxError;

    fn from_str(text: &str) -> Result<Self, TemplateSyntaxError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, opened) = rest.split_at(at);
            let (name, after) = opened
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .ok_or(TemplateSyntaxError::Brace)?;
            if !is_field_name(name) {
                return Err(TemplateSyntaxError::Name(name.into()));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            pieces.push(Piece::Field(name.into()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.into()));
        }
        Ok(Self { text: text.into(), pieces })
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateSyntaxError;

    fn try_from(text: String) -> Result<Self, TemplateSyntaxError> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, name: &str, value: &str) -> Result<String, TemplateError> {
        template.parse::<Template>().unwrap().fill(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn a_tenant_is_one_label() {
        assert_eq!(fill("{tenant}.zendesk.com", "tenant", "acme-1").unwrap(), "acme-1.zendesk.com");
        for refused in [
            "",
            "evil.test/",
            "evil.test#",
            "a.b",
            "Acme",
            "acme_1",
            "-a",
            "a-",
            "a@b",
            "a:1",
            "a\n",
            "é",
            "*",
            "{x}",
        ] {
            assert_eq!(
                fill("{tenant}.zendesk.com", "tenant", refused),
                Err(TemplateError::Label("tenant".into())),
                "{refused}"
            );
        }
        assert_eq!(fill("{tenant}.x.com", "other", "a"), Err(TemplateError::Missing("tenant".into())));
    }

    #[test]
    fn a_base_url_is_checked() {
        assert_eq!(
            fill("{base_url}/api", BASE_URL, "https://git.example.com/").unwrap(),
            "https://git.example.com/api"
        );
        assert!(fill("{base_url}/api", BASE_URL, "http://git.example.com").is_err());
    }

    #[test]
    fn braces_are_field_names() {
        for refused in ["{", "}", "a{b", "{}", "{A}", "{a b}", "{{a}}", "{a}}", "{1a}"] {
            assert!(refused.parse::<Template>().is_err(), "{refused}");
        }
    }
}
