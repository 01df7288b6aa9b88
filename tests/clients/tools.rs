//! What `scripts/install-test-clients` installed, and what the machine has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Something that a client needs on this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A program on the `PATH`.
    Program(&'static str),
    /// A module of Python's, from the test's own environment.
    Python(&'static str),
    /// A package of Node's.
    Node(&'static str),
    /// A file that the script puts into `target/clients`.
    Installed(&'static str),
}

impl Need {
    /// What is missing, in words.
    pub(crate) fn missing(self) -> Option<String> {
        let (present, what) = match self {
            Self::Program(name) => (program(name).is_some(), name.to_owned()),
            Self::Python(name) => (python_module(name), format!("the Python package {name}")),
            Self::Node(name) => {
                (installed("node_modules").join(name).is_dir(), format!("the npm package {name}"))
            }
            Self::Installed(path) => (installed(path).exists(), path.to_owned()),
        };
        (!present).then(|| format!("{what} is not installed"))
    }
}

/// The project's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn installed(what: &str) -> PathBuf {
    root().join("target/clients").join(what)
}

/// Where `require` finds packages.
pub(crate) fn node_path() -> PathBuf {
    installed("node_modules")
}

/// The `PATH` of clients: what was installed for them wins.
pub(crate) fn path() -> OsString {
    let own = [installed("venv/bin"), installed("node20/node_modules/.bin")];
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&inherited))).unwrap()
}

/// Where a program is.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn python_module(name: &str) -> bool {
    let Ok(versions) = std::fs::read_dir(installed("venv/lib")) else { return false };
    versions.flatten().any(|version| version.path().join("site-packages").join(name).is_dir())
}
