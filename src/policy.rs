//! Who may use which connection for what. It sees no credential.

use crate::identity::Identity;
use crate::origin::Origin;

/// What is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// The provider whose credential is wanted.
    pub provider: &'a str,
    /// The connection.
    pub connection: &'a str,
    /// Where the request goes.
    pub origin: &'a Origin,
    /// The request's method.
    pub method: &'a str,
    /// The request's path, without its query.
    pub path: &'a str,
}

/// Leave to place a credential in one request. Only [`Policy::decide`] makes one.
#[derive(Debug)]
#[must_use = "what was permitted is to be authorized"]
pub struct Permit(());

/// What was decided.
#[derive(Debug)]
pub enum Decision {
    /// Go on.
    Permit(Permit),
    /// Refuse.
    Deny {
        /// For the audit log and the agent, a lower-case fragment.
        reason: String,
    },
}

/// The rules in force. There are none yet: everything is permitted.
#[derive(Debug, Clone, Default)]
pub struct Policy;

impl Policy {
    /// Decides on one request.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        tracing::trace!(provider = question.provider, connection = question.connection, "permitted");
        Decision::Permit(Permit(()))
    }
}
