//! JSON with comments and trailing commas, read strictly: no key twice, bounded size and depth.

use std::fmt;

use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, ast};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The largest definition that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
const MAX_DEPTH: usize = 32;

/// Beyond RFC 8259 only comments and trailing commas are accepted.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Why a text is no JSON document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Counted from 1.
    pub(crate) column: usize,
    pub(crate) problem: String,
}

/// Parses a document.
pub(crate) fn parse(text: &str) -> Result<Value, SyntaxError> {
    check_characters(text)?;
    jsonc_parser::parse_to_serde_value::<Document>(text, &OPTIONS).map(|document| document.0).map_err(
        |error| SyntaxError {
            line: error.line_display(),
            column: error.column_display(),
            problem: lower_first(&error.kind().to_string()),
        },
    )
}

/// The line, counted from 1, of the value at a path such as `oauth.scopes[1]`, or of the nearest thing above it. A key
/// may be written in the second of two spellings.
pub(crate) fn line_of(text: &str, path: &str, spellings: &[(&str, &str)]) -> Option<usize> {
    let tree = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &OPTIONS).ok()?;
    let mut value = tree.value.as_ref()?;
    let mut start = value.range().start;
    let mut rest = path;
    while let Some((step, place, after)) = descend(value, rest, spellings) {
        (value, start, rest) = (step, place, after);
    }
    Some(text[..start].matches('\n').count() + 1)
}

/// The value one step down a path, where it (or its key) starts, and what is left of the path.
fn descend<'a, 'p>(
    value: &'a ast::Value<'a>,
    path: &'p str,
    spellings: &[(&str, &str)],
) -> Option<(&'a ast::Value<'a>, usize, &'p str)> {
    if let Some(index) = path.strip_prefix('[') {
        let (digits, after) = index.split_once(']')?;
        let item = value.as_array()?.elements.get(digits.parse::<usize>().ok()?)?;
        return Some((item, item.range().start, after.strip_prefix('.').unwrap_or(after)));
    }
    let (name, after) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    let theirs = spellings.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs);
    let properties = &value.as_object()?.properties;
    let property = properties.iter().find(|property| [name, theirs].contains(&property.name.as_str()))?;
    Some((&property.value, property.range.start, after.strip_prefix('.').unwrap_or(after)))
}

/// Where a character stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    Text,
    Line,
    Block,
}

/// Refuses what the parser lets pass against RFC 8259: control characters within strings, and white space other than
/// space, tab and line ends outside of them.
fn check_characters(text: &str) -> Result<(), SyntaxError> {
    let mut place = Place::Code;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        let refused = match place {
            Place::Code => {
                !letter.is_ascii() && letter.is_whitespace() || is_control(letter) || letter == '\u{feff}'
            }
            Place::Text => letter.is_ascii_control() && letter != '\u{7f}',
            Place::Line | Place::Block => false,
        };
        if refused {
            return Err(misplaced(&text[..at]));
        }
        let escaped = place == Place::Text && before == '\\';
        let next = match (place, before, letter) {
            (Place::Code, _, '"') => Place::Text,
            (Place::Text, _, '"') if !escaped => Place::Code,
            (Place::Code, '/', '/') => Place::Line,
            (Place::Code, '/', '*') => Place::Block,
            (Place::Line, _, '\n') | (Place::Block, '*', '/') => Place::Code,
            (place, _, _) => place,
        };
        // What was escaped, and what opened or closed a comment, begins nothing further.
        before = if escaped || next != place { ' ' } else { letter };
        place = next;
    }
    Ok(())
}

fn is_control(letter: char) -> bool {
    letter.is_ascii_control() && !matches!(letter, '\t' | '\n' | '\r')
}

fn misplaced(before: &str) -> SyntaxError {
    let line = before.rsplit('\n').next().unwrap_or_default();
    SyntaxError {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        problem: "a control character or unusual white space".into(),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

struct Document(Value);

impl<'de> serde::Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strict::default().deserialize(deserializer).map(Document)
    }
}

/// Builds a value and knows where it stands in the document.
#[derive(Clone, Copy, Default)]
struct Strict<'p> {
    above: Option<&'p Strict<'p>>,
    key: &'p str,
    index: usize,
    depth: usize,
}

impl Strict<'_> {
    /// One step down: to a key, or to the index of a list when there is no key.
    fn inside<'a, E: serde::de::Error>(&'a self, key: &'a str, index: usize) -> Result<Strict<'a>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Strict { above: Some(self), key, index, depth: self.depth + 1 })
    }

    fn path(&self) -> String {
        let Some(above) = self.above else { return String::new() };
        let start = above.path();
        match (self.key, start.as_str()) {
            ("", _) => format!("{start}[{}]", self.index),
            (key, "") => key.to_owned(),
            (key, _) => format!("{start}.{key}"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inside("", list.len())?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let seed = self.inside(&key, 0)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{} is given twice", seed.path())));
            }
            let value = entries.next_value_seed(seed)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_the_only_liberties() {
        let text = "{ // what\n \"a\": [1, 2,], /* why */ \"b\": null, }";
        assert_eq!(parse(text).unwrap(), serde_json::json!({"a": [1, 2], "b": null}));
        for refused in [
            "{'a': 1}",
            "{a: 1}",
            "{\"a\": 0x10}",
            "{\"a\": +1}",
            "{\"a\": .5}",
            "{\"a\": Infinity}",
            "{\"a\": 1e999}",
            "{\"a\": 1 \"b\": 2}",
            "{\"a\": \"\\x41\"}",
            "[1] [2]",
            "{\"a\": }",
            "{\"a\": 1",
            "{,}",
            "[,]",
            "{\"a\": tru}",
        ] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_key_given_twice_is_named_by_its_path() {
        let error = parse("{\n\"oauth\": {\n\"token_url\": 1, \"token\\u005furl\": 2}}").unwrap_err();
        assert_eq!((error.problem.as_str(), error.line), ("oauth.token_url is given twice", 2));
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        assert_eq!(parse("{\n\n\"a\" 1}").unwrap_err().line, 3);
    }

    #[test]
    fn characters_that_json_forbids_are_refused_where_they_stand() {
        for refused in [
            "[\"a\tb\"]",
            "[\"a\nb\"]",
            "[\"\0\"]",
            "\u{c}[1]",
            "\u{a0}[1]",
            "[1]\u{2028}",
            "\u{feff}[1]",
            "[\"\\\t\"]",
        ] {
            assert!(parse(refused).is_err(), "{refused:?}");
        }
        let accepted = "[\"\u{a0}\", \"\\\"//\", // \t\u{a0}\n /*/ \n\t\u{a0} \" */ \"x\"]";
        assert_eq!(parse(accepted).unwrap(), serde_json::json!(["\u{a0}", "\"//", "x"]));
        let error = parse("{\n\"a\":\n\"b\u{1}\"}").unwrap_err();
        assert_eq!((error.line, error.column), (3, 3));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(parse(&nested(MAX_DEPTH + 1)).is_err());
        assert!(parse(&nested(200_000)).is_err());
    }
}
