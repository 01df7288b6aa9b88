//! Provider definitions: those of the program and the user's files in `providers/`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use authsome_providers::{DefinitionError, Provider, ProviderDefinition, Registry};

use super::error::{Cause, Error};
use crate::home::files::{self, io_error};

/// The largest definition that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// All definitions as of one moment.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Those that can be used.
    pub registry: Registry,
    /// Those that cannot. The others are not affected.
    pub broken: Vec<Broken>,
    stamp: Stamp,
}

/// A file in `providers/` that is no usable definition.
#[derive(Debug)]
pub struct Broken {
    /// The file's name.
    pub file: String,
    /// Why.
    pub error: Cause,
}

/// What tells whether a file was changed: name, device time, size, inode.
type Stamp = Vec<(String, i64, i64, u64, u64)>;

impl Definitions {
    /// The definitions of the program and of a folder, which may be missing.
    pub(super) fn load(folder: &Path) -> Result<Self, Error> {
        let stamp = stamp(folder)?;
        let mut unreadable = BTreeMap::new();
        let mut texts = Vec::new();
        for (file, ..) in &stamp {
            let text = read(&folder.join(file)).unwrap_or_else(|error| {
                unreadable.insert(file.clone(), error);
                String::new()
            });
            texts.push((file.clone(), text));
        }
        let (registry, broken) = Registry::with_custom(texts);
        let broken = broken.into_iter().map(|broken| {
            let error = unreadable.remove(&broken.file).unwrap_or_else(|| broken.error.into());
            Broken { file: broken.file, error }
        });
        Ok(Self { registry, broken: broken.collect(), stamp })
    }

    /// Definitions that no file changes.
    pub(super) fn fixed(registry: Registry) -> Self {
        Self { registry, ..Self::default() }
    }

    pub(super) fn is_current(&self, folder: &Path) -> Result<bool, Error> {
        Ok(stamp(folder)? == self.stamp)
    }

    /// The provider of a name.
    pub(super) fn provider(&self, name: &str) -> Result<&Provider, Error> {
        self.registry.provider(name).ok_or_else(|| Error::ProviderNotFound {
            name: name.to_owned(),
            absence: Registry::explain_absence(name),
            suggestions: self.registry.suggest(name).into_iter().map(str::to_owned).collect(),
        })
    }
}

/// The file of a provider.
pub(super) fn file_of(folder: &Path, provider: &str) -> PathBuf {
    folder.join(format!("{provider}.json"))
}

/// Stores the text of a definition, as it was written, under the definition's name.
pub(super) fn store(
    folder: &Path,
    definition: &ProviderDefinition,
    text: &str,
    force: bool,
) -> Result<(), Error> {
    let path = file_of(folder, definition.name());
    if force {
        return Ok(files::replace(&path, text.as_bytes())?);
    }
    match files::create(&path, text.as_bytes())? {
        true => Ok(()),
        false => Err(Error::ProviderExists(definition.name().to_owned())),
    }
}

/// Removes the file of a provider; says whether there was one.
pub(super) fn remove(folder: &Path, provider: &str) -> Result<bool, Error> {
    let path = file_of(folder, provider);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("remove", &path)(error).into()),
    }
}

/// Parses the text of a definition that stands in `file`.
pub(super) fn parse(file: &str, text: &str) -> Result<ProviderDefinition, Error> {
    ProviderDefinition::from_json(text).map_err(|error: DefinitionError| Error::schema(file, error))
}

fn read(path: &Path) -> Result<String, Cause> {
    let content = files::read(path, LIMIT)?.ok_or("it is gone")?;
    Ok(std::str::from_utf8(&content)?.to_owned())
}

fn stamp(folder: &Path) -> Result<Stamp, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Stamp::new()),
        Err(error) => return Err(io_error("list", folder)(error).into()),
    };
    let mut stamp: Stamp = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let metadata = fs::symlink_metadata(entry.path()).ok()?;
            let relevant = name.ends_with(".json") && !name.starts_with('.');
            relevant.then(|| (name, metadata.mtime(), metadata.mtime_nsec(), metadata.size(), metadata.ino()))
        })
        .collect();
    stamp.sort();
    Ok(stamp)
}
