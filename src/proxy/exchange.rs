//! The life of an exchange: one request, one response.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::credential::Prepared;
use crate::policy::{Decision, Permit, Question};
use crate::proxy::Shared;
use crate::proxy::body::ResponseBody;
use crate::proxy::error::Error;
use crate::proxy::replay::Spare;
use crate::proxy::request::{Account, Inbound, Outbound};
use crate::proxy::response::Answer;
use crate::proxy::trail::Trail;
use crate::proxy::tunnel::Terminated;
use crate::proxy::upstream::{Reserved, ServerBody};
use crate::routes::Route;

/// Answers one request of a terminated tunnel: with the server's response, or with the reason why there is none.
///
/// What needs no waiting is done before the future exists, which keeps it small: it lives on the heap.
pub(super) fn exchange(
    tunnel: Arc<Terminated>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<ResponseBody>> + Send {
    let mut trail = Trail::start(&tunnel, &request);
    let admitted = Inbound::admit(&tunnel.origin, request).map(Box::new);
    async move {
        match attempt(&tunnel, admitted, &mut trail).await {
            Ok(answer) => answer.downstream(&tunnel.worker, trail),
            Err(error) => {
                trail.refused(&error);
                error.into_response()
            }
        }
    }
}

/// The steps: the names agree, a route, policy, a verified connection, the credential, send. A credential is
/// read only after the connection that will carry it was verified.
async fn attempt(
    tunnel: &Arc<Terminated>,
    admitted: Result<Box<Inbound>, Error>,
    trail: &mut Trail,
) -> Result<Answer, Error> {
    let (shared, mut inbound) = (&tunnel.worker.shared, admitted?);
    let rules = shared.credentials.current().await?;
    let route = inbound.route(&rules, &shared.settings, trail)?;
    let permitted = route.map(|route| permit(shared, &inbound, route)).transpose()?;
    let ready = tunnel.ready().await?;
    let grant = match permitted {
        Some(permitted) => Some(permitted.redeem(shared, trail).await?),
        None => None,
    };
    let spare = grant.as_ref().and_then(|grant| Spare::of(&mut inbound, grant)).map(Box::new);
    let outbound = inbound.authorize(grant.as_ref(), &rules, &shared.settings, trail)?;
    trail.sending()?;
    let sent = Sent::over(tunnel, ready, outbound, grant).await?;
    let sent = match spare {
        Some(spare) if spare.is_called_for(&sent) => Box::pin(spare.replayed(tunnel, sent, trail)).await?,
        _ => sent,
    };
    Answer::accept(&tunnel.origin, sent)
}

/// A request that was sent, and its response.
pub(crate) struct Sent {
    pub(crate) request: Account,
    pub(crate) response: Response<ServerBody>,
    pub(crate) grant: Option<Grant>,
}

impl Sent {
    pub(super) async fn over(
        tunnel: &Terminated,
        ready: Reserved,
        outbound: Outbound,
        grant: Option<Grant>,
    ) -> Result<Self, Error> {
        let request = outbound.account();
        let response = tunnel.pool.send(ready, outbound).await?;
        Ok(Self { request, response, grant })
    }
}

/// A route that policy lets this request take.
pub(super) struct Permitted {
    route: Arc<Route>,
    permit: Permit,
}

/// A permit and the credential that was read on its strength: what authorizing a request takes.
pub(crate) struct Grant {
    _permit: Permit,
    pub(crate) route: Arc<Route>,
    pub(crate) credential: Arc<Prepared>,
}

pub(super) fn permit(shared: &Shared, inbound: &Inbound, route: Arc<Route>) -> Result<Permitted, Error> {
    let question = Question {
        identity: &shared.identity,
        provider: &route.provider,
        connection: &route.connection,
        origin: &inbound.origin,
        method: inbound.head.method.as_str(),
        path: inbound.head.uri.path(),
    };
    match shared.policy.decide(&question) {
        Decision::Permit(permit) => Ok(Permitted { route, permit }),
        Decision::Deny { reason } => Err(Error::Policy(reason)),
    }
}

impl Permitted {
    async fn redeem(self, shared: &Shared, trail: &mut Trail) -> Result<Grant, Error> {
        let found = shared.credentials.prepare(&self.route).await;
        let credential = trail.credential(&self.route, found)?;
        Ok(self.with(credential))
    }

    /// The permit with values that are at hand.
    pub(super) fn with(self, credential: Arc<Prepared>) -> Grant {
        Grant { _permit: self.permit, route: self.route, credential }
    }
}
