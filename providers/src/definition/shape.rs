//! The kinds of text in a definition: each is checked as it is read, so that serde names the field that failed.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{environment, hosts};
use crate::pattern::ValuePattern;
use crate::template::Template;
use crate::url;

/// Types of text: what each is, the pattern in the schema, the value that is kept, and the check that yields it.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($kept:ty), $pattern:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(try_from = "String")]
        pub(super) struct $name(pub(super) $kept);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(String) -> Result<$kept, String> = $check;
                check(plain(text)?).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}

texts! {
    /// Any text on one line.
    Text(String), r"^[^\u0000-\u001f\u007f]*$", Ok;
    /// A text that is not empty.
    NonEmpty(String), r"^[^\u0000-\u001f\u007f]+$", non_empty;
    /// The name of a provider.
    Name(String), "^[a-z0-9][a-z0-9_-]{0,63}$", name;
    /// The name of a field.
    FieldName(String), "^[a-z][a-z0-9_]{0,63}$", field_name;
    /// What stands for a secret.
    Placeholder(String), "^[A-Za-z0-9_-]{16,256}$", placeholder;
    /// An environment variable.
    Variable(String), "^[A-Za-z_][A-Za-z0-9_]{0,127}$", variable;
    /// A header field that a credential may stand in, in lower case.
    HeaderName(String), "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$", |text| super::form::header_name(&text);
    /// A value with `{field}` in it, for a header or query parameter.
    ValueTemplate(Template), "^[!-~]([ -~]*[!-~])?$|^$", |text| super::form::header_value(&text);
    /// A regular expression over a whole value.
    KeyPattern(ValuePattern), "^.*$", |text| ValuePattern::new(&text).map_err(display);
    /// A canonical base URL.
    BaseUrl(String), "^https://[^?#@]+$", |text| url::check_base(&text).map_err(display);
    /// An https URL with `{field}` in it.
    UrlTemplate(Template), r"^(https://|\{base_url\})", url_template;
}

fn display(error: impl fmt::Display) -> String {
    error.to_string()
}

pub(super) fn plain(text: String) -> Result<String, String> {
    if text.chars().any(char::is_control) { Err("contains a control character".into()) } else { Ok(text) }
}

fn non_empty(text: String) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".into()) } else { Ok(text) }
}

fn name(text: String) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let starts = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if text.len() > 64 || !starts || !text.bytes().all(inner) {
        return Err(
            "must be up to 64 lower-case letters, digits, `-` and `_`, not starting with these two".into()
        );
    }
    Ok(text)
}

fn field_name(text: String) -> Result<String, String> {
    if crate::template::is_field_name(&text) {
        Ok(text)
    } else {
        Err("must start with a letter, then lower-case letters, digits and `_`".into())
    }
}

fn placeholder(text: String) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (16..=256).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text)
    } else {
        Err("must be at least 16 (and at most 256) letters, digits, `_` and `-`".into())
    }
}

fn variable(text: String) -> Result<String, String> {
    environment::check(&text).map(|()| text.clone()).map_err(|problem| format!("`{text}` {problem}"))
}

pub(super) fn url_template(text: String) -> Result<Template, String> {
    let template: Template = text.parse().map_err(display)?;
    hosts::place(&template)?;
    Ok(template)
}

/// Reads a text of one line into a `String`.
pub(super) fn line<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Text>::deserialize(from)?.map(|text| text.0))
}

/// Reads one text or several.
pub(super) fn lines<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(List::<Text>::deserialize(from)?.0.into_iter().map(|text| text.0).collect())
}

/// Tells `null` from absence.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A list; one item alone counts as a list of one.
#[derive(Debug, Clone, Serialize)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one item or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(StrDeserializer::new(text))?]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
        Ok(List(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [item, { "type": "array", "items": item }] })
    }
}

/// An object: serde would take a list for a struct, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<T> std::ops::Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
