//! What a user may decide about routing, for a whole run.

use crate::home::{Foreign, Unsettled};
use crate::origin::Origin;

/// Decisions beside the routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Hosts without a route.
    pub(crate) unmatched: Unsettled,
    /// Requests that several providers claim equally.
    pub(crate) ambiguous: Unsettled,
    /// A credential of the client's own in the slot.
    pub(crate) foreign: Foreign,
    /// Hosts that are never intercepted, by name.
    pub(crate) no_intercept: Vec<String>,
    /// Origins that pass although hosts without a route are refused.
    pub(crate) allow: Vec<Origin>,
}

impl Settings {
    /// Whether the user wants an origin passed through although it has a route.
    pub(crate) fn passes(&self, origin: &Origin) -> bool {
        origin.name().is_some_and(|name| self.no_intercept.iter().any(|host| host.eq_ignore_ascii_case(name)))
    }

    /// Whether an origin without a route is refused.
    pub(crate) fn refuses(&self, origin: &Origin) -> bool {
        self.unmatched == Unsettled::Deny && !self.allow.contains(origin)
    }
}
