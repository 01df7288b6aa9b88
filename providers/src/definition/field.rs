//! What a login asks: the fields that a definition declares and those that its templates imply.

use super::document::FieldEntry;
use super::{DefinitionError, form};
use crate::pattern::ValuePattern;
use crate::template::{BASE_URL, is_tenant};
use crate::url;

/// One value that login asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    /// The name in the record, in templates and in exports.
    pub name: String,
    /// What a person reads.
    pub label: String,
    /// Whether the value is sealed, masked and replaced by the placeholder inside a run.
    pub secret: bool,
    /// The environment variable that login takes the value from when it is set.
    pub env_var: Option<String>,
    /// What the whole value must match.
    pub pattern: Option<ValuePattern>,
    /// What to say when it does not.
    pub hint: Option<String>,
    /// Taken when nothing is given.
    pub default: Option<String>,
    /// Whether it may stay empty.
    pub optional: bool,
}

/// Why a value is refused at login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Nothing was given.
    #[error("a value is required")]
    Empty,
    /// A line break or another control character.
    #[error("the value contains a control character")]
    Control,
    /// The definition's pattern.
    #[error("{0}")]
    Pattern(String),
    /// A base URL that is refused.
    #[error("the base URL {0}")]
    BaseUrl(#[from] url::UrlError),
    /// A tenant that is no label.
    #[error("a tenant is one label of lower-case letters, digits and `-`")]
    Tenant,
}

impl FieldSpec {
    fn plain(name: &str, label: &str) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            secret: false,
            env_var: None,
            pattern: None,
            hint: None,
            default: None,
            optional: false,
        }
    }

    pub(super) fn credential(name: &str, default_label: &str, form: &form::Form) -> Self {
        Self {
            secret: true,
            env_var: form.env_var.clone(),
            pattern: form.pattern.clone(),
            hint: form.hint.clone(),
            ..Self::plain(name, form.label.as_deref().unwrap_or(default_label))
        }
    }

    pub(super) fn base_url() -> Self {
        Self::plain(BASE_URL, "Base URL")
    }

    pub(super) fn tenant() -> Self {
        Self::plain("tenant", "Tenant")
    }

    /// Checks a value that a person or a file gave.
    ///
    /// # Errors
    /// [`FieldError`]; it never holds the value.
    pub fn check(&self, value: &str) -> Result<(), FieldError> {
        if value.is_empty() {
            return if self.optional { Ok(()) } else { Err(FieldError::Empty) };
        }
        if value.chars().any(char::is_control) {
            return Err(FieldError::Control);
        }
        if self.name == BASE_URL {
            url::check_base(value)?;
        }
        if self.name == "tenant" && !is_tenant(value) {
            return Err(FieldError::Tenant);
        }
        match &self.pattern {
            Some(pattern) if !pattern.matches(value) => Err(FieldError::Pattern(self.refusal(pattern))),
            _ => Ok(()),
        }
    }

    fn refusal(&self, pattern: &ValuePattern) -> String {
        self.hint.clone().unwrap_or_else(|| format!("the value does not match {}", pattern.as_str()))
    }
}

/// Makes the declared fields.
pub(super) fn build(entries: Vec<FieldEntry>) -> Result<Vec<FieldSpec>, DefinitionError> {
    let mut fields: Vec<FieldSpec> = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let path = |key: &str| format!("fields[{at}].{key}");
        let field = build_one(entry).map_err(|(key, problem)| DefinitionError::field(path(key), problem))?;
        if fields.iter().any(|known| known.name == field.name) {
            return Err(DefinitionError::field(path("name"), "is declared twice"));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn build_one(entry: FieldEntry) -> Result<FieldSpec, (&'static str, String)> {
    let name = entry.name.0;
    if super::kind::is_credential(&name)
        || matches!(name.as_str(), "refresh_token" | "id_token" | "client_id" | "client_secret")
    {
        return Err(("name", format!("`{name}` exists already")));
    }
    let field = FieldSpec {
        label: entry.label.map_or_else(|| name.clone(), |label| label.0),
        name,
        secret: entry.secret.unwrap_or(false),
        env_var: entry.env_var.map(|variable| variable.0),
        pattern: entry.key_pattern.map(|pattern| pattern.0),
        hint: entry.key_pattern_hint.map(|hint| hint.0),
        default: entry.default.map(|default| default.0),
        optional: entry.optional.unwrap_or(false),
    };
    match &field.default {
        Some(default) => field.check(default).map_err(|error| ("default", error.to_string()))?,
        None if field.secret && field.optional => {
            return Err(("optional", "a secret field cannot be optional".into()));
        }
        None => {}
    }
    Ok(field)
}
