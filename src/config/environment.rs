//! The environment: read once, and kept.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::secret::Secret;

/// Environment variables; a map in tests.
pub trait Strings {
    /// All of them.
    fn all(&self) -> Vec<(OsString, OsString)>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Strings for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    fn all(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }
}

impl Strings for BTreeMap<String, String> {
    fn all(&self) -> Vec<(OsString, OsString)> {
        self.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// The environment as it was at the start, for prompts that a variable answers and for a child's own.
#[derive(Clone, Default)]
pub struct Environment {
    pub(super) variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// All variables, in the order of the process.
    pub fn all(&self) -> &[(OsString, OsString)] {
        &self.variables
    }

    /// The value of a variable that is set, not empty and UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.raw(name)?.to_str()
    }

    pub(super) fn raw(&self, name: &str) -> Option<&OsString> {
        let found = self.variables.iter().find(|(known, _)| known.as_os_str() == name);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    pub(super) fn first_secret(&self, names: &[&str]) -> Option<Secret<String>> {
        names.iter().find_map(|name| self.text(name)).map(Secret::from)
    }
}
