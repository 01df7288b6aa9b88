//! `authsome` puts API credentials into an agent's HTTPS requests, so that the agent never holds them.

pub mod clock;
pub mod home;
pub mod origin;
mod run;
pub mod secret;
pub mod vault;
