//! Connections: what the vault's records mean, and everything that makes, shows and ends them.

pub mod record;
