//! `authsome` puts API credentials into an agent's HTTPS requests, so that the agent never holds them.

pub mod audit;
pub mod auth;
pub mod clock;
pub mod config;
pub mod home;
pub mod identity;
pub mod origin;
pub mod policy;
mod run;
pub mod secret;
pub mod vault;
