//! The life of an exchange: one request, one response.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::credential::Prepared;
use crate::policy::{Decision, Permit, Question};
use crate::proxy::Shared;
use crate::proxy::body::ResponseBody;
use crate::proxy::error::Error;
use crate::proxy::request::Inbound;
use crate::proxy::response::Answer;
use crate::proxy::trail::Trail;
use crate::proxy::tunnel::Terminated;
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
    let (shared, inbound) = (&tunnel.worker.shared, admitted?);
    let rules = shared.credentials.current().await?;
    let route = inbound.route(&rules, &shared.settings, trail)?;
    let permitted = route.map(|route| permit(shared, &inbound, route)).transpose()?;
    let ready = tunnel.ready().await?;
    let grant = match permitted {
        Some(permitted) => Some(permitted.redeem(shared, trail).await?),
        None => None,
    };
    let outbound = inbound.authorize(grant.as_ref(), &rules, &shared.settings, trail)?;
    trail.sending()?;
    let request = outbound.account();
    let response = tunnel.pool.send(ready, outbound).await?;
    Answer::accept(&tunnel.origin, request, response, grant)
}

/// A route that policy lets this request take.
struct Permitted {
    route: Arc<Route>,
    permit: Permit,
}

/// A permit and the credential that was read on its strength: what authorizing a request takes.
pub(crate) struct Grant {
    _permit: Permit,
    pub(crate) credential: Arc<Prepared>,
}

fn permit(shared: &Shared, inbound: &Inbound, route: Arc<Route>) -> Result<Permitted, Error> {
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
        Ok(Grant { _permit: self.permit, credential })
    }
}
