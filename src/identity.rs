//! Who acts: the agent, for a user.

use std::fmt;
use std::sync::Arc;

/// An agent's identity. Until agents have keys of their own there is one for each profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The agent of a profile on this machine.
    pub fn local(profile: &str) -> Self {
        Self(format!("agent://local/{profile}").into())
    }

    /// The identity's URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
