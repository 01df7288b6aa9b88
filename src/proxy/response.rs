//! A response on its way down.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode, Version};

use crate::origin::Origin;
use crate::proxy::Worker;
use crate::proxy::body::ResponseBody;
use crate::proxy::error::Error;
use crate::proxy::exchange::{Grant, Sent};
use crate::proxy::headers;
use crate::proxy::request::Account;
use crate::proxy::trail::Trail;
use crate::proxy::upgrade;
use crate::proxy::upstream::ServerBody;

/// A server's response that may be passed on.
pub(crate) struct Answer {
    response: Response<ServerBody>,
    request: Account,
    grant: Option<Grant>,
}

impl Answer {
    /// Refuses what no client should see: a challenge to the proxy, or a switch of protocols that nobody asked for.
    pub(crate) fn accept(origin: &Origin, sent: Sent) -> Result<Self, Error> {
        let Sent { request, response, grant } = sent;
        let granted = request.upgrade.is_some() && headers::wants_websocket(response.headers());
        refuse_oddities(origin, response.status(), granted)?;
        Ok(Self { response, request, grant })
    }

    /// The response for the client: the head cleaned, the body passed on as it comes.
    pub(crate) fn downstream(self, worker: &Arc<Worker>, mut trail: Trail) -> Response<ResponseBody> {
        let Self { mut response, request, grant } = self;
        trail.answered(response.status());
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::strip_response(response.headers_mut());
        if let Some(grant) = grant {
            headers::redact(response.headers_mut(), &grant.credential);
        }
        *response.version_mut() = Version::HTTP_11;
        // The server's own reason phrase is in there, and could say anything.
        response.extensions_mut().clear();
        match request.upgrade {
            Some(client) if switched => {
                headers::restore_websocket(response.headers_mut());
                response.headers_mut().remove(CONTENT_LENGTH);
                let (head, body) = response.into_parts();
                upgrade::join(worker, client, body.into_switched(), trail);
                Response::from_parts(head, ResponseBody::text(Bytes::new()))
            }
            _ => response.map(|body| ResponseBody::upstream(body, Some((trail, request.progress)))),
        }
    }
}

/// Refuses a challenge to the proxy, and a switch of protocols that was not asked for.
pub(crate) fn refuse_oddities(origin: &Origin, status: StatusCode, upgrading: bool) -> Result<(), Error> {
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(Error::UpstreamProxyChallenge(origin.clone())),
        StatusCode::SWITCHING_PROTOCOLS if !upgrading => Err(Error::UpstreamProtocol(origin.clone())),
        _ => Ok(()),
    }
}
