//! A request whose token the provider refused: sent once more, with a token that was renewed for it.

use std::sync::Arc;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;

use crate::credential::Prepared;
use crate::proxy::error::Error;
use crate::proxy::exchange::{Grant, Sent, permit};
use crate::proxy::request::{Copy, Inbound};
use crate::proxy::trail::Trail;
use crate::proxy::tunnel::Terminated;
use crate::routes::Route;

/// What sending a request once more takes.
pub(super) struct Spare {
    copy: Copy,
    route: Arc<Route>,
    credential: Arc<Prepared>,
}

impl Spare {
    /// Kept for a token that can be renewed, beside a request that can be repeated.
    pub(super) fn of(inbound: &mut Inbound, grant: &Grant) -> Option<Self> {
        grant.credential.term.as_ref().filter(|term| term.renewable)?;
        let (route, credential) = (Arc::clone(&grant.route), Arc::clone(&grant.credential));
        Some(Self { copy: inbound.copy()?, route, credential })
    }

    /// Whether the provider has refused the token (RFC 9110 11.6.1, RFC 6750 3).
    pub(super) fn is_called_for(&self, sent: &Sent) -> bool {
        let response = &sent.response;
        response.status() == StatusCode::UNAUTHORIZED && response.headers().contains_key(WWW_AUTHENTICATE)
    }

    /// The answer to the request with a new token; the one at hand when there is no new token.
    pub(super) async fn replayed(
        self,
        tunnel: &Arc<Terminated>,
        sent: Sent,
        trail: &mut Trail,
    ) -> Result<Sent, Error> {
        let shared = &tunnel.worker.shared;
        // A body that has not come to its end cannot be repeated, and its token is as it was.
        let Some(inbound) = self.copy.into_inbound() else { return Ok(sent) };
        let renewed = shared.credentials.after_refusal(&self.route, &self.credential).await;
        let Some(credential) = trail.refused_token(renewed) else { return Ok(sent) };
        drop(sent);
        let rules = shared.credentials.current().await?;
        let ready = tunnel.ready().await?;
        let grant = permit(shared, &inbound, self.route)?.with(credential);
        let outbound = inbound.authorize(Some(&grant), &rules, &shared.settings, trail)?;
        trail.sending()?;
        Sent::over(tunnel, ready, outbound, Some(grant)).await
    }
}
