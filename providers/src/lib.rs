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
mod suspect;
pub mod template;
mod unknown;
pub mod url;

use std::collections::{BTreeMap, BTreeSet};

pub use crate::claim::{Claim, ClaimError, Specificity};
pub use crate::definition::{
    AuthType, AuthUrls, DEFAULT_PLACEHOLDER, DefinitionError, Endpoint, Evidence, FieldError, FieldSpec,
    FlowType, Gap, OAuth, ProviderDefinition, Reference, SCHEMA_VERSION, json_schema,
};
pub use crate::path::{CanonicalPath, PathPrefix, canonical};
pub use crate::pattern::{HostPattern, PatternError, ValuePattern};
pub use crate::placement::{Placement, PlacementError, Slot, SlotName, ValueForm};
pub use crate::suffix::OpenDomainError;
pub use crate::template::{Template, TemplateError, TemplateSyntaxError};

/// Providers of the Python edition that have no definition, and why.
const ABSENT: &[(&str, &str)] = &[
    (
        "linkedin-browser",
        "it would capture the cookies of a person's LinkedIn session, which are no API credential",
    ),
    ("x-browser", "it would capture the cookies of a person's X session; `x` is the API"),
];

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

/// All definitions by name: the bundled ones, and the custom ones, which win. A bundled one is parsed when it is first
/// asked for.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    custom: BTreeMap<String, Provider>,
    /// Bundled ones whose replacement is broken.
    hidden: BTreeSet<String>,
}

impl Registry {
    /// The definitions that come with the program.
    pub fn bundled() -> Self {
        Self::default()
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
                    registry.hidden.insert(stem(&file).to_owned());
                    broken.push(BrokenDefinition { file, error });
                }
            }
        }
        (registry, broken)
    }

    /// The provider of a name. Records are matched by it.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        let bundled = || bundled::named(name).filter(|_| !self.hidden.contains(name))?.provider();
        self.custom.get(name).or_else(bundled)
    }

    /// The provider of a name, or else of an alias: what a person typed.
    pub fn resolve(&self, name: &str) -> Option<&Provider> {
        self.provider(name).or_else(|| self.aliased(name))
    }

    /// All providers, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.names().into_iter().filter_map(|name| self.provider(name))
    }

    /// The dNSName subtrees (RFC 5280 4.2.1.10) that cover every host which a definition claims by itself.
    pub fn suffixes(&self) -> BTreeSet<String> {
        let bundled = self.shown().flat_map(|entry| entry.suffixes).map(|name| (*name).to_owned());
        let claims = self.custom.values().flat_map(|provider| provider.definition.fixed_claims());
        let mut names: BTreeSet<String> = bundled.collect();
        for claim in claims.filter(Claim::is_routable) {
            names.extend(claim.permitted_suffix().into_iter().map(str::to_owned));
        }
        names
    }

    /// Names near one that does not exist, nearest first, at most three.
    pub fn suggest(&self, name: &str) -> Vec<&str> {
        suggest::nearest(name, self.names().into_iter())
    }

    /// What a person should be told about a custom definition: a name or hosts that another one has. Nothing about one
    /// that replaces a bundled definition openly, by its name.
    pub fn suspicions(&self, definition: &ProviderDefinition) -> Vec<String> {
        suspect::suspicions(self, definition)
    }

    /// Why a provider that the Python edition has is not among these.
    pub fn explain_absence(name: &str) -> Option<&'static str> {
        ABSENT.iter().find(|(absent, _)| *absent == name).map(|(_, reason)| *reason)
    }

    /// The provider of an alias that was never a name: not of a definition whose replacement is broken either.
    fn aliased(&self, alias: &str) -> Option<&Provider> {
        if self.hidden.contains(alias) {
            return None;
        }
        let bundled = self.shown().find(|entry| entry.aliases.contains(&alias));
        let owns = |provider: &&Provider| provider.definition.aliases().iter().any(|own| own == alias);
        bundled.and_then(bundled::Entry::provider).or_else(|| self.custom.values().find(owns))
    }

    /// The bundled ones that no file replaces.
    fn shown(&self) -> impl Iterator<Item = &'static bundled::Entry> {
        let replaced = |name: &str| self.custom.contains_key(name) || self.hidden.contains(name);
        bundled::all().iter().filter(move |entry| !replaced(entry.name))
    }

    /// The names of all providers.
    pub fn names(&self) -> BTreeSet<&str> {
        self.shown().map(|entry| entry.name).chain(self.custom.keys().map(String::as_str)).collect()
    }

    fn insert_custom(&mut self, definition: ProviderDefinition) {
        let name = definition.name().to_owned();
        let overrides_bundled = bundled::named(&name).is_some();
        self.custom.insert(name, Provider { definition, source: Source::Custom, overrides_bundled });
    }
}

fn named_as(file: &str, text: &str) -> Result<ProviderDefinition, DefinitionError> {
    let definition = ProviderDefinition::from_json(text)?;
    if definition.name() == stem(file) {
        return Ok(definition);
    }
    let problem = format!("must equal the file's name without `.json`, which is `{}`", stem(file));
    Err(DefinitionError::field("name", problem).in_text(text))
}

fn stem(file: &str) -> &str {
    file.strip_suffix(".json").unwrap_or(file)
}
