//! The audit trail of one exchange: a line before the request leaves, one when the response has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::{Method, Request, StatusCode};

use crate::audit::{AuditError, Event, EventName, Exchange, Party};
use crate::credential::{CredentialError, Prepared, Vault};
use crate::proxy::error::Error;
use crate::proxy::tunnel::Terminated;
use crate::routes::Route;

/// What else is worth knowing about an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// A web page started it: not injected.
    WebPage,
    /// Several providers claim it equally: not injected.
    Ambiguous,
    /// The client's own credential was replaced.
    ForeignReplaced,
    /// The client's own credential was kept: not injected.
    ForeignKept,
}

impl Note {
    fn as_str(self) -> &'static str {
        match self {
            Self::WebPage => "web-page",
            Self::Ambiguous => "ambiguous-route",
            Self::ForeignReplaced => "foreign-replaced",
            Self::ForeignKept => "foreign-kept",
        }
    }
}

/// So much of a method's name is logged.
const MAX_METHOD: usize = 32;

/// The facts of one exchange, as they become known.
pub(crate) struct Trail {
    tunnel: Arc<Terminated>,
    id: u64,
    started: Instant,
    method: Method,
    route: Option<Arc<Route>>,
    vault: Option<Vault>,
    /// What became of a refresh, if there was one.
    refresh: Option<&'static str>,
    note: Option<Note>,
    injected: bool,
    status: Option<StatusCode>,
    /// The line before was written, the one at the end was not.
    open: bool,
}

/// Joins the two lines of an exchange within one process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Trail {
    pub(crate) fn start<B>(tunnel: &Arc<Terminated>, request: &Request<B>) -> Self {
        tunnel.pace.begin();
        Self {
            tunnel: Arc::clone(tunnel),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            started: Instant::now(),
            method: request.method().clone(),
            route: None,
            vault: None,
            refresh: None,
            note: None,
            injected: false,
            status: None,
            open: false,
        }
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.note = Some(note);
    }

    pub(crate) fn injected(&mut self) {
        self.injected = true;
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Notes the outcome of asking for a credential.
    pub(crate) fn credential(
        &mut self,
        route: &Arc<Route>,
        outcome: Result<(Arc<Prepared>, Vault), CredentialError>,
    ) -> Result<Arc<Prepared>, CredentialError> {
        self.route = Some(Arc::clone(route));
        if let Err(CredentialError::NotRenewed { .. } | CredentialError::RenewalTimeout { .. }) = &outcome {
            self.refresh = Some("failed");
        }
        let (prepared, vault) = outcome?;
        self.refresh = (vault == Vault::Renewed).then_some("ok");
        self.vault = Some(vault);
        Ok(prepared)
    }

    /// Notes what renewing a refused token has brought.
    pub(crate) fn refused_token(&mut self, renewed: Option<Arc<Prepared>>) -> Option<Arc<Prepared>> {
        self.refresh = Some(if renewed.is_some() { "replayed" } else { "failed" });
        renewed
    }

    /// The provider whose route the exchange took.
    pub(crate) fn provider(&self) -> String {
        self.route.as_ref().map(|route| route.provider.to_string()).unwrap_or_default()
    }

    /// The line before anything leaves. Without it, nothing does.
    pub(crate) fn sending(&mut self) -> Result<(), Error> {
        self.record(EventName::Exchange, Some("sending"), None, self.exchange()).map_err(refusal)?;
        self.open = true;
        Ok(())
    }

    /// The line at the end of the response.
    pub(crate) fn ended(mut self, sent: u64, received: u64, complete: bool) {
        self.end(sent, received, complete);
    }

    fn end(&mut self, sent: u64, received: u64, complete: bool) {
        self.open = false;
        let exchange = Exchange {
            status: self.status.map(|status| status.as_u16()),
            bytes_sent: Some(sent),
            bytes_received: Some(received),
            ms: Some(self.elapsed()),
            ..self.exchange()
        };
        let outcome = if complete { "complete" } else { "cut-short" };
        if let Err(error) = self.record(EventName::Exchange, Some(outcome), None, exchange) {
            tracing::error!(%error, "the end of an exchange is missing from the audit log");
        }
    }

    /// The line of a request that got our answer instead of the server's.
    pub(crate) fn refused(mut self, error: &Error) {
        self.open = false;
        let reason = error.reason();
        tracing::info!(origin = %self.tunnel.origin, reason, "refused");
        let exchange = Exchange { ms: Some(self.elapsed()), ..self.exchange() };
        if let Err(error) = self.record(EventName::Refused, Some("refused"), Some(reason), exchange) {
            tracing::error!(%error, "a refusal is missing from the audit log");
        }
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange {
            id: Some(self.id),
            method: self.method.as_str().get(..MAX_METHOD).unwrap_or(self.method.as_str()),
            host: self.tunnel.shown.as_str(),
            policy: Some("permit"),
            vault: self.vault.map(Vault::as_str),
            refresh: self.refresh,
            injected: self.injected.then_some("yes"),
            ..Exchange::default()
        }
    }

    fn record(
        &self,
        name: EventName,
        outcome: Option<&str>,
        reason: Option<&str>,
        exchange: Exchange<'_>,
    ) -> Result<(), AuditError> {
        let shared = &self.tunnel.worker.shared;
        let (actor, profile) = (shared.identity.as_str(), &*shared.profile);
        let event = Event {
            outcome,
            reason: reason.or(self.note.map(Note::as_str)),
            exchange: Some(exchange),
            ..Event::new(name)
        };
        shared.audit.record(&match &self.route {
            None => Event { actor: Some(actor), profile: Some(profile), ..event },
            Some(route) => {
                let party = || Party::new(actor, profile, &route.provider, &route.connection);
                Event { party: Some(route.party.get_or_init(party)), ..event }
            }
        })
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        // The client went away while the server was asked.
        if self.open {
            self.end(0, 0, false);
        }
        self.tunnel.pace.end();
    }
}

fn refusal(error: AuditError) -> Error {
    match error {
        AuditError::Full => Error::AuditFull,
        _ => Error::AuditFailed,
    }
}
