//! An environment in the making.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::Variables;

/// An environment in the making, and the names that were set in it.
pub(super) struct Building {
    variables: Variables,
    set: Vec<&'static str>,
}

impl Building {
    pub(super) fn new(variables: Variables) -> Self {
        Self { variables, set: Vec::new() }
    }

    /// The environment, in which the names that were set are listed for the preloads: they put these back
    /// into the environments that programs make for their own children.
    pub(super) fn finish(mut self) -> Variables {
        let names = self.set.join(",") + ",AUTHSOME_ENV_KEYS";
        self.replace("AUTHSOME_ENV_KEYS", names);
        self.variables
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    pub(super) fn replace(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.retain(|(key, _)| key != name);
        self.variables.push((name.into(), value.as_ref().to_owned()));
    }

    /// Sets a variable that children with an environment of their own need, too.
    pub(super) fn set(&mut self, name: &'static str, value: impl AsRef<OsStr>) {
        self.replace(name, value);
        self.set.push(name);
    }

    /// Adds an option at the end, unless it is there.
    pub(super) fn append_option(&mut self, name: &'static str, option: &OsStr) {
        let mut value = self.get(name).unwrap_or_default().to_owned();
        if !words(&value).any(|word| word == option.as_bytes()) {
            if !value.is_empty() {
                value.push(" ");
            }
            value.push(option);
        }
        self.set.retain(|set| *set != name);
        self.set(name, value);
    }

    /// Puts a folder first, unless it is.
    pub(super) fn prepend_path(&mut self, name: &'static str, folder: &Path) {
        let folder = folder.as_os_str().as_bytes();
        let mut parts = vec![folder];
        // An empty part would mean the working directory; an empty value has no part.
        let own = self.get(name).filter(|value| !value.is_empty());
        parts.extend(own.into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b':')));
        let mut seen = false;
        parts.retain(|part| *part != folder || !std::mem::replace(&mut seen, true));
        let value = OsString::from_vec(parts.join(&b':'));
        self.set(name, value);
    }

    fn git_config_count(&self) -> usize {
        self.get("GIT_CONFIG_COUNT").and_then(OsStr::to_str).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn has_git_proxy(&self) -> bool {
        (0..self.git_config_count()).any(|index| {
            let key = self.get(&format!("GIT_CONFIG_KEY_{index}"));
            key.is_some_and(|key| key.eq_ignore_ascii_case("http.proxy"))
        })
    }

    /// Adds a setting of git's behind those that are there; the last one wins.
    pub(super) fn add_git_config(&mut self, key: &str, value: &str) {
        let index = self.git_config_count();
        self.replace("GIT_CONFIG_COUNT", (index + 1).to_string());
        self.replace(&format!("GIT_CONFIG_KEY_{index}"), key);
        self.replace(&format!("GIT_CONFIG_VALUE_{index}"), value);
    }
}

/// The options in a value, as Node splits it.
pub(super) fn words(options: &OsStr) -> impl Iterator<Item = &[u8]> {
    options.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}
