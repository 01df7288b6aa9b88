//! Reading JSON objects so that every complaint names its field.

use serde_json::{Map, Value};

use super::DefinitionError;

/// An object of the document and its path there. `null` counts as absent.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    map: &'a Map<String, Value>,
    path: Path<'a>,
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Below(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, &'a str, usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Below(Path::Root, key) => (*key).to_owned(),
            Path::Below(parent, key) => format!("{}.{key}", parent.text()),
            Path::Item(parent, key, index) => format!("{}[{index}]", Path::Below(parent, key).text()),
        }
    }
}

impl<'a> Object<'a> {
    pub(super) fn root(value: &'a Value) -> Result<Self, DefinitionError> {
        match value {
            Value::Object(map) => Ok(Self { map, path: Path::Root }),
            _ => Err(DefinitionError::NotAnObject),
        }
    }

    /// The complaint about one of this object's fields; about the object itself when `key` is empty.
    pub(super) fn error(&self, key: &str, problem: impl ToString) -> DefinitionError {
        let path = if key.is_empty() { self.path.text() } else { Path::Below(&self.path, key).text() };
        DefinitionError::Field { path, problem: problem.to_string() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there, be it as `null`.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map.keys().map(String::as_str)
    }

    /// The one of two spellings that is used; both at once are an error.
    pub(super) fn spelling(&self, ours: &'a str, theirs: &'a str) -> Result<&'a str, DefinitionError> {
        match (self.get(ours), self.get(theirs)) {
            (Some(_), Some(_)) => {
                Err(self.error(theirs, format_args!("means the same as `{ours}`, which is given too")))
            }
            (None, Some(_)) => Ok(theirs),
            _ => Ok(ours),
        }
    }

    pub(super) fn string(&self, key: &str) -> Result<Option<&'a str>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().any(char::is_control) => {
                Err(self.error(key, "contains a control character"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(key, "must be a string")),
        }
    }

    pub(super) fn owned(&self, key: &str) -> Result<Option<String>, DefinitionError> {
        Ok(self.string(key)?.map(str::to_owned))
    }

    pub(super) fn required(&self, key: &str) -> Result<&'a str, DefinitionError> {
        match self.string(key)? {
            Some("") => Err(self.error(key, "must not be empty")),
            Some(text) => Ok(text),
            None => Err(self.error(key, "is required")),
        }
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, DefinitionError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.error(key, "must be true or false")),
        }
    }

    /// A list of strings; one string alone counts as a list of one.
    pub(super) fn strings(&self, key: &str) -> Result<Vec<&'a str>, DefinitionError> {
        match self.get(key) {
            Some(Value::Array(items)) => {
                items.iter().enumerate().map(|(at, item)| self.text_item(key, at, item)).collect()
            }
            Some(Value::String(_)) => Ok(self.string(key)?.into_iter().collect()),
            None => Ok(Vec::new()),
            Some(_) => Err(self.error(key, "must be a string or a list of strings")),
        }
    }

    fn text_item(&self, key: &str, at: usize, item: &'a Value) -> Result<&'a str, DefinitionError> {
        let text = item.as_str().filter(|text| !text.chars().any(char::is_control));
        text.ok_or_else(|| self.error(&format!("{key}[{at}]"), "must be a string without control characters"))
    }

    pub(super) fn object(&'a self, key: &'a str) -> Result<Option<Object<'a>>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Object { map, path: Path::Below(&self.path, key) })),
            Some(_) => Err(self.error(key, "must be an object")),
        }
    }

    /// The items of a list; a string or object alone counts as a list of one.
    pub(super) fn items(&'a self, key: &'a str) -> Result<Vec<Item<'a>>, DefinitionError> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().enumerate().map(|(at, item)| self.item(key, at, item)).collect()
            }
            Some(item) => Ok(vec![self.item(key, 0, item)?]),
        }
    }

    fn item(&'a self, key: &'a str, at: usize, value: &'a Value) -> Result<Item<'a>, DefinitionError> {
        match value {
            Value::String(_) => self.text_item(key, at, value).map(Item::Text),
            Value::Object(map) => Ok(Item::Object(Object { map, path: Path::Item(&self.path, key, at) })),
            _ => Err(self.error(&format!("{key}[{at}]"), "must be a string or an object")),
        }
    }
}

/// An item of a list that holds strings, objects, or both.
pub(super) enum Item<'a> {
    Text(&'a str),
    Object(Object<'a>),
}
