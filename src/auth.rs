//! Connections: what the vault's records mean, and everything that makes, shows and ends them.

mod error;
mod provided;
pub mod record;

pub use error::{Cause, Error};
pub use provided::{CONNECTION as PROVIDED_CONNECTION, ProvidedKey, ProvidedKeys, without_line_end};
