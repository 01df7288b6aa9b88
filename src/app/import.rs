//! Taking over a home of the Python edition: into a home of ours, or in the place of the old one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::App;
use crate::audit::{self, Event, EventName};
use crate::auth::{self, AuthService, Left, TakenOver};
use crate::home::files;
use crate::home::{Home, is_name};
use crate::run;
use crate::vault::{MasterKeySource, PythonDefinitions, PythonHome, PythonProfile};

/// In a home that is being made and not yet in its place.
const MARK: &str = ".new-import";

/// What came of an import.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// Where the old home is now, when ours has taken its place.
    pub(crate) kept: Option<PathBuf>,
    /// The definitions that were taken.
    pub(crate) definitions: Vec<String>,
    /// Each profile with what was taken.
    pub(crate) profiles: Vec<(String, TakenOver)>,
    /// What was left, with the profile where it belongs to one.
    pub(crate) left: Vec<(Option<String>, Left)>,
}

impl App {
    /// Takes over a home of the Python edition. When it stands where ours is to be, ours is made beside it and the two are
    /// exchanged in one step.
    pub(crate) fn import(&self, source: &Path, force: bool) -> Result<Imported> {
        let here = |path: &Path| fs::canonicalize(path).ok();
        if here(source).is_some() && here(source) == here(&self.config.home) {
            return self.import_in_place();
        }
        let home = self.home()?;
        let python = PythonHome::read(source, home.root()).map_err(auth::Error::from)?;
        self.transfer(python, &home, &self.config.master_key, force)
    }

    fn import_in_place(&self) -> Result<Imported> {
        let target = fs::canonicalize(&self.config.home).context("the home cannot be found")?;
        let beside = beside(&target)?;
        clear_unfinished(&beside)?;
        files::make_folder(&beside).map_err(auth::Error::from)?;
        files::create(&beside.join(MARK), b"").map_err(auth::Error::from)?;
        let outcome = self.build_and_exchange(&target, &beside);
        if outcome.is_err() {
            // What was begun is of no use; the next attempt would remove it too.
            let _ = clear_unfinished(&beside);
        }
        outcome
    }

    fn build_and_exchange(&self, target: &Path, beside: &Path) -> Result<Imported> {
        let python = PythonHome::read(target, beside).map_err(auth::Error::from)?;
        let home = Home::open(beside, &*self.clock).map_err(auth::Error::from)?;
        let mode = python.mode;
        let default = python.profiles.iter().any(|profile| profile.name == python.default_profile);
        let default = default.then(|| python.default_profile.clone()).filter(|name| is_name(name));
        home.change_settings(|settings| {
            settings.encryption.mode = mode;
            settings.default_profile = default.unwrap_or_else(|| settings.default_profile.clone());
        })
        .map_err(auth::Error::from)?;
        let mut imported = self.transfer(python, &home, &self.config.master_key, false)?;
        run::exchange(target, beside).with_context(|| {
            let (target, beside) = (target.display(), beside.display());
            format!("{target} and {beside} cannot be exchanged here; name another home with --home")
        })?;
        files::sync_folder(target).map_err(auth::Error::from)?;
        let _ = fs::remove_file(target.join(MARK));
        imported.kept = Some(beside.to_owned());
        Ok(imported)
    }

    /// Stores everything that ours can have.
    fn transfer(
        &self,
        python: PythonHome,
        home: &Home,
        key: &MasterKeySource,
        force: bool,
    ) -> Result<Imported> {
        let service = |profile: &str| {
            AuthService::builder()
                .home(home.root())
                .profile(profile)
                .master_key(key.clone())
                .clock(self.clock.clone())
                .build()
        };
        let mut imported = Imported::default();
        let refused = take_definitions(&service("default")?, python.definitions, force, &mut imported)?;
        for PythonProfile { name, description, records } in python.profiles {
            if !is_name(&name) {
                imported
                    .left
                    .push((None, Left::new("profile", name, "a profile cannot have this name here")));
                continue;
            }
            match home.create_profile(&name, description.as_deref(), &*self.clock) {
                Ok(_) | Err(crate::home::Error::ProfileExists(_)) => {}
                Err(error) => return Err(auth::Error::from(error).into()),
            }
            let mut taken = service(&name)?.take_over(&name, records, &refused, force)?;
            let left = std::mem::take(&mut taken.left).into_iter();
            imported.left.extend(left.map(|left| (Some(name.clone()), left)));
            let reason = format!("import: {} connections", taken.connections.len());
            let event = Event {
                profile: Some(&name),
                outcome: Some("ok"),
                reason: Some(&reason),
                ..Event::new(EventName::Vault)
            };
            audit::append(home, &*self.clock, &event).map_err(auth::Error::from)?;
            imported.profiles.push((name, taken));
        }
        Ok(imported)
    }
}

/// The path with `.python` behind it.
fn beside(target: &Path) -> Result<PathBuf> {
    let mut name = target.file_name().context("the home has no name")?.to_owned();
    name.push(".python");
    Ok(target.with_file_name(name))
}

/// Removes what an import left that was killed; refuses anything else that stands there.
fn clear_unfinished(beside: &Path) -> Result<()> {
    if fs::symlink_metadata(beside).is_err() {
        return Ok(());
    }
    if !is_unfinished(beside) {
        let beside = beside.display();
        let reason = format!("{beside} exists, where the old home is to be kept; move it away first");
        bail!(auth::Error::Usage(reason));
    }
    remove(beside).with_context(|| format!("cannot remove {}", beside.display()))
}

/// Whether a folder has the mark, or nothing but what comes before it.
fn is_unfinished(folder: &Path) -> bool {
    let passing = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b".new-"))
    };
    folder.join(MARK).is_file() || fs::read_dir(folder).is_ok_and(|mut entries| entries.all(passing))
}

/// Removes a folder, the mark last.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == MARK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?
        } else {
            fs::remove_file(entry.path())?
        }
    }
    fs::remove_dir_all(folder)
}

/// Stores their definitions; returns those that are not in force here, with the reason.
fn take_definitions(
    auth: &AuthService,
    definitions: PythonDefinitions,
    force: bool,
    imported: &mut Imported,
) -> Result<BTreeMap<String, String>> {
    let mut refused = BTreeMap::new();
    for (file, text) in definitions {
        let name = file.trim_end_matches(".json").to_owned();
        match taken(auth, &file, text, force)? {
            Ok(()) => imported.definitions.push(name),
            Err(reason) => {
                imported.left.push((None, Left::new("definition", name.clone(), reason.clone())));
                refused.insert(name, reason);
            }
        }
    }
    Ok(refused)
}

fn taken(
    auth: &AuthService,
    file: &str,
    text: Result<String, files::FileError>,
    force: bool,
) -> Result<Result<(), String>> {
    let text = match text {
        Ok(text) => text,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let path = auth.home().providers_folder().join(file);
    let same = fs::read_to_string(&path).is_ok_and(|present| present == text);
    if path.exists() && !same && !force {
        return Ok(Err("another one of this name stands here; --force replaces it".to_owned()));
    }
    match auth.register_provider(file, &text, true) {
        Ok(definition) if file == format!("{}.json", definition.name()) => Ok(Ok(())),
        Ok(definition) => Ok(Err(format!("it is stored as {}", definition.name()))),
        Err(error @ auth::Error::InvalidProviderSchema { .. }) => {
            Ok(Err(format!("{:#}", anyhow::Error::from(error))))
        }
        Err(error) => Err(error.into()),
    }
}
