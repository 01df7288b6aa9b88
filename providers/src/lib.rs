//! Provider definitions and host matching: data and pure functions, no I/O, no clock.
//!
//! A [`ProviderDefinition`] says where a credential may go ([`Claim`]), how it is placed there ([`Placement`]) and what
//! a login asks for it ([`FieldSpec`]). The [`Registry`] holds the bundled ones and the user's own.

#![forbid(unsafe_code)]

mod bundled;
pub mod claim;
pub mod definition;
mod json;
pub mod path;
pub mod pattern;
pub mod placement;
mod suffix;
mod suggest;
pub mod template;
pub mod url;

use std::collections::BTreeMap;

pub use crate::claim::{Claim, ClaimError, Specificity};
pub use crate::definition::{
    AuthType, AuthUrls, DEFAULT_PLACEHOLDER, DefinitionError, Endpoint, FieldError, FieldSpec, FlowType,
    OAuth, ProviderDefinition,
};
pub use crate::path::{CanonicalPath, PathPrefix, canonical, may_be};
pub use crate::pattern::{HostPattern, PatternError, ValuePattern};
pub use crate::placement::{Placement, PlacementError, Slot, SlotName, ValueForm};
pub use crate::suffix::OpenDomainError;
pub use crate::template::{Template, TemplateError, TemplateSyntaxError};

/// The JSON Schema of a definition (draft 2020-12). It describes the shape; [`ProviderDefinition::from_json`] checks more.
pub const JSON_SCHEMA: &str = include_str!("../schema.json");

/// Where a definition comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Part of the program.
    Bundled,
    /// A file of the user's.
    Custom,
}

/// A definition in the registry.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What it says.
    pub definition: ProviderDefinition,
    /// Where it comes from.
    pub source: Source,
    /// Whether a bundled definition of the same name is hidden by this one.
    pub overrides_bundled: bool,
}

/// A custom definition that could not be read. The others are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {error}")]
pub struct BrokenDefinition {
    /// The file's name, without its folder.
    pub file: String,
    /// What is wrong.
    pub error: DefinitionError,
}

/// All definitions by name: the bundled ones, and the custom ones, which win.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    providers: BTreeMap<String, Provider>,
}

impl Registry {
    /// The definitions that come with the program.
    pub fn bundled() -> Self {
        let definitions =
            bundled::FILES.iter().filter_map(|(_, text)| ProviderDefinition::from_json(text).ok());
        let provider =
            |definition| Provider { definition, source: Source::Bundled, overrides_bundled: false };
        let named = definitions.map(|definition| (definition.name().to_owned(), provider(definition)));
        Self { providers: named.collect() }
    }

    /// The bundled definitions and those of the given files: file name without folder, and text. A definition's name
    /// must be its file's stem. A file that fails is listed, and hides the bundled definition that it was to replace: the
    /// user did not want that one.
    pub fn with_custom(files: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<BrokenDefinition>) {
        let mut registry = Self::bundled();
        let mut broken = Vec::new();
        for (file, text) in files {
            match named_as(&file, &text) {
                Ok(definition) => registry.insert_custom(definition),
                Err(error) => {
                    registry.providers.remove(stem(&file));
                    broken.push(BrokenDefinition { file, error });
                }
            }
        }
        (registry, broken)
    }

    /// The provider of a name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.get(name)
    }

    /// All providers, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// Names near one that does not exist, nearest first, at most three.
    pub fn suggest(&self, name: &str) -> Vec<&str> {
        suggest::nearest(name, self.providers.keys().map(String::as_str))
    }

    fn insert_custom(&mut self, definition: ProviderDefinition) {
        let name = definition.name().to_owned();
        let overrides_bundled = self.providers.contains_key(&name);
        self.providers.insert(name, Provider { definition, source: Source::Custom, overrides_bundled });
    }
}

fn named_as(file: &str, text: &str) -> Result<ProviderDefinition, DefinitionError> {
    let definition = ProviderDefinition::from_json(text)?;
    if definition.name() == stem(file) {
        return Ok(definition);
    }
    let problem = format!("must equal the file's name without `.json`, which is `{}`", stem(file));
    Err(DefinitionError::Field { path: "name".into(), problem })
}

fn stem(file: &str) -> &str {
    file.strip_suffix(".json").unwrap_or(file)
}
