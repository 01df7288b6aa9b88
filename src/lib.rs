//! `authsome` puts API credentials into an agent's HTTPS requests, so that the agent never holds them.

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
mod routes;
mod run;

#[doc(hidden)]
pub mod cli;

#[cfg(fuzzing)]
pub mod fuzzing;

#[cfg(feature = "measure")]
#[doc(hidden)]
pub mod measure;
