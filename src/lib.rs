//! `authsome` puts API credentials into an agent's HTTPS requests, so that the agent never holds them.
//!
//! [`Context`] is where a program begins: its [`AuthService`] logs in and gives tokens, its proxy serves agents.
//! All calls block; a refresh may take as long as its network does, 15 s at most.
//!
//! ```no_run
//! # fn main() -> Result<(), authsome::Error> {
//! let context = authsome::Context::create()?;
//! let token = context.auth().access_token("github", None)?;
//! let proxy = context.proxy().start()?;
//! let mut agent = std::process::Command::new("node");
//! let status = proxy.run(agent.arg("agent.js"))?;
//! proxy.shutdown();
//! # drop((token, status));
//! # Ok(())
//! # }
//! ```

pub mod clock;
pub mod origin;
pub mod secret;

pub mod audit;
pub mod auth;
pub mod config;
pub mod home;
pub mod identity;
pub mod policy;
pub mod vault;

mod app;
mod credential;
mod demo;
mod dial;
mod local;
mod process;
mod proxy;
mod roots;
mod routes;
mod run;

pub use app::{Context, ContextBuilder, ProxyBuilder, ProxyHandle};
pub use auth::record::{ConnectionRecord, ConnectionStatus};
pub use auth::{AuthService, Error, ExportFormat};
pub use authsome_providers::{AuthType, FlowType, ProviderDefinition};
pub use home::ProfileMetadata;
pub use secret::Secret;
pub use vault::Vault;

/// The same as [`AuthService`], by the name that the Python edition has for it too. Its
/// [`connection`](AuthService::connection) and [`vault`](AuthService::vault) read and never renew.
pub type AuthLayer = AuthService;

#[doc(hidden)]
pub mod cli;

#[cfg(fuzzing)]
pub mod fuzzing;

#[cfg(feature = "measure")]
#[doc(hidden)]
pub mod measure;
