//! A connection for one request, and what comes of sending it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;

use super::http1::{self, Fault};
use super::parking::Streams;
use super::patience::Patience;
use super::{Pool, Protocol};
use crate::origin::Origin;
use crate::proxy::body::{BoxError, RequestBody};
use crate::proxy::error::Error;

/// A verified connection that can take one request now.
pub(crate) enum Ready {
    Http1(http1::Connection),
    Http2 { sender: http2::SendRequest<RequestBody>, stream: Streams, reused: bool },
}

/// A connection kept for one request. Where the request is refused after all, it goes back.
pub(crate) struct Reserved {
    pub(super) ready: Option<Ready>,
    pub(super) pool: Arc<Pool>,
}

impl Reserved {
    pub(super) fn take(mut self) -> Result<Ready, Error> {
        self.ready.take().ok_or_else(|| Error::UpstreamProtocol(self.pool.origin.clone()))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // An HTTP/2 connection is shared, and stays where it is.
        if let Some(Ready::Http1(connection)) = self.ready.take() {
            self.pool.park(connection);
        }
    }
}

/// A request that got no response.
pub(crate) struct Failure {
    cause: Cause,
    /// The request, when not one byte of it left.
    pub(super) unsent: Option<Box<Request<RequestBody>>>,
}

enum Cause {
    Fault(Fault),
    Http2(hyper::Error),
}

impl Failure {
    /// The failure of an exchange with an origin.
    pub(crate) fn of(self, origin: &Origin) -> Error {
        let source: BoxError = match self.cause {
            Cause::Fault(Fault::Late) => return Error::UpstreamTimeout(origin.clone()),
            Cause::Fault(Fault::Malformed(_)) => return Error::UpstreamProtocol(origin.clone()),
            Cause::Fault(fault) => fault.into(),
            Cause::Http2(error) => error.into(),
        };
        Error::UpstreamExchange { origin: origin.clone(), source }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { cause: Cause::Fault(fault), unsent: None }
    }
}

impl Ready {
    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Ready::Http1(_) => Protocol::Http1,
            Ready::Http2 { .. } => Protocol::Http2,
        }
    }

    /// Sends one request and waits for the head of the response. An HTTP/1 connection then belongs to the pool.
    pub(crate) fn send(
        self,
        request: Request<RequestBody>,
        pool: Option<Arc<Pool>>,
    ) -> impl Future<Output = Result<Response<ServerBody>, Failure>> + Send {
        let sending = match self {
            Ready::Http1(mut connection) => {
                if connection.is_quiet() {
                    Sending::Http1(connection.send(request, pool))
                } else {
                    Sending::Unsent(Box::new(request))
                }
            }
            Ready::Http2 { sender, stream, reused } => {
                Sending::Http2(Box::pin(send_http2(sender, stream, reused, request)))
            }
        };
        async move {
            match sending {
                Sending::Http1(answer) => Ok(answer.await?.map(ServerBody::Http1)),
                Sending::Http2(answer) => answer.await,
                Sending::Unsent(request) => {
                    Err(Failure { cause: Cause::Fault(Fault::Closed), unsent: Some(request) })
                }
            }
        }
    }
}

/// A request on its way in either protocol.
enum Sending<A, B> {
    Http1(A),
    Http2(B),
    /// The connection ended while the credential was fetched.
    Unsent(Box<Request<RequestBody>>),
}

async fn send_http2(
    mut sender: http2::SendRequest<RequestBody>,
    stream: Streams,
    reused: bool,
    request: Request<RequestBody>,
) -> Result<Response<ServerBody>, Failure> {
    let (progress, mut patience) = (request.body().progress(), Patience::new());
    tokio::select! {
        biased;
        answer = sender.try_send_request(request) => match answer {
            Ok(response) => Ok(response.map(|body| ServerBody::Http2 { body, _stream: stream })),
            Err(mut error) => {
                let unsent = error.take_message().filter(|_| reused).map(Box::new);
                Err(Failure { unsent, cause: Cause::Http2(error.into_error()) })
            }
        },
        () = std::future::poll_fn(|cx| patience.poll_late(cx, &progress)) => Err(Fault::Late.into()),
    }
}

/// The body of a server's response.
pub(crate) enum ServerBody {
    Http1(http1::ServerBody),
    Http2 { body: Incoming, _stream: Streams },
}

impl ServerBody {
    /// The stream after a 101, and what the server sent ahead in the new protocol.
    pub(crate) fn into_switched(self) -> Option<http1::Switched> {
        match self {
            Self::Http1(body) => body.into_switched(),
            Self::Http2 { .. } => None,
        }
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Http1(body) => Pin::new(body).poll_frame(cx),
            Self::Http2 { body, .. } => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2 { body, .. } => body.size_hint(),
        }
    }
}
