//! A try-out of the main job without an account and without the internet: a TLS API on loopback under a name
//! that nobody can own (RFC 6761 6.2), a temporary home that holds its key, and agents that call it.

mod agent;
mod api;
mod client;
mod scene;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::auth::{self, AuthService, Login};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::vault::MasterKeySource;

pub(crate) use agent::{Agent, act};
pub(crate) use api::{Api, ApiError, Received};
pub(crate) use client::{Ask, ClientError};
pub(crate) use scene::{Played, Scene};

/// The definition, as a user would write it.
const DEFINITION: &str = include_str!("demo/definition.json");
const PROVIDER: &str = "demo";
const HOST: &str = "api.demo.test";
/// What the agents ask for.
pub(crate) const URL: &str = "https://api.demo.test/v1/hello";
/// Where an agent expects its key.
pub(crate) const VARIABLE: &str = "DEMO_API_KEY";
/// Letters and digits of the key after its prefix.
const KEY_LENGTH: usize = 12;

/// Why nothing can be tried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error("no temporary folder can be made in {}", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    #[error("no key can be made up")]
    Random(#[from] getrandom::Error),
    #[error("the embedded API does not start")]
    Api(#[from] ApiError),
    #[error("the embedded API's key cannot be stored")]
    Store(#[from] auth::Error),
}

/// Where a try-out happens. What it put on disk goes with the value.
pub(crate) struct Stage {
    api: Api,
    key: Secret<String>,
    folder: TempDir,
}

impl Stage {
    /// Makes up a key, starts the API that wants it, and stores it in a temporary home below `base`.
    pub(crate) fn set(base: &Path, clock: &Arc<dyn Clock>) -> Result<Self, StageError> {
        let failed = |error| StageError::Folder(base.to_owned(), error);
        let folder = tempfile::Builder::new().prefix("authsome-demo-").tempdir_in(base).map_err(failed)?;
        let key = made_up()?;
        let api = Api::start(HOST, &key, clock.since_epoch())?;
        let stage = Self { api, key, folder };
        fs::write(stage.upstream_ca(), stage.api.authority_pem()).map_err(failed)?;
        stage.store_key(clock)?;
        Ok(stage)
    }

    fn store_key(&self, clock: &Arc<dyn Clock>) -> Result<(), auth::Error> {
        let auth = AuthService::builder()
            .home(self.home())
            .master_key(MasterKeySource::File)
            .clock(Arc::clone(clock))
            .build()?;
        auth.register_provider("demo.json", DEFINITION, false)?;
        let values = BTreeMap::from([("api_key".to_owned(), self.key.clone())]);
        auth.login(&Login { provider: PROVIDER, values, ..Login::default() })?;
        Ok(())
    }

    /// Ends the API and removes what is on disk.
    ///
    /// # Errors
    /// When something stays behind.
    pub(crate) fn strike(self) -> io::Result<()> {
        drop(self.api);
        self.folder.close()
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// The key that was made up for this try-out.
    pub(crate) fn key(&self) -> &Secret<String> {
        &self.key
    }

    /// The temporary home.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The file with the authority that vouches for the API.
    pub(crate) fn upstream_ca(&self) -> PathBuf {
        self.folder.path().join("api-ca.pem")
    }

    /// Where the API's name is dialled, as `--connect-to` takes it.
    pub(crate) fn connect_to(&self) -> String {
        format!("{HOST}:443:{}", self.api.address())
    }
}

/// A key that opens nothing but the embedded API.
fn made_up() -> Result<Secret<String>, getrandom::Error> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; KEY_LENGTH];
    getrandom::fill(&mut random)?;
    let letters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(Secret::new(format!("sk-demo-{}", letters.collect::<String>())))
}
