//! The definitions that come with the program: a table made from `definitions/`, each entry parsed when it is asked for.

use std::sync::OnceLock;

use crate::{Provider, ProviderDefinition, Source};

/// A bundled definition.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    /// The names that cover its fixed hosts.
    pub(crate) suffixes: &'static [&'static str],
    text: &'static str,
    parsed: OnceLock<Option<Provider>>,
}

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// All of them, sorted by name.
pub(crate) fn all() -> &'static [Entry] {
    &TABLE
}

/// The one of a name.
pub(crate) fn named(name: &str) -> Option<&'static Entry> {
    TABLE.binary_search_by(|entry| entry.name.cmp(name)).ok().map(|at| &TABLE[at])
}

impl Entry {
    const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        suffixes: &'static [&'static str],
        text: &'static str,
    ) -> Self {
        Self { name, aliases, suffixes, text, parsed: OnceLock::new() }
    }

    /// The definition. A test holds every entry to be one.
    pub(crate) fn provider(&self) -> Option<&Provider> {
        let parse = || {
            let definition = ProviderDefinition::from_json(self.text).ok()?;
            Some(Provider { definition, source: Source::Bundled, overrides_bundled: false })
        };
        self.parsed.get_or_init(parse).as_ref()
    }
}
