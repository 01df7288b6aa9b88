//! A connection for one request, and what comes of sending it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};

use super::parking::Streams;
use super::{Pool, Protocol};
use crate::origin::Origin;
use crate::proxy::body::{Progress, RequestBody};
use crate::proxy::error::Error;

/// The head of a response may take this long: language models think for minutes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A verified connection that can take one request now.
pub(crate) enum Ready {
    Http1 { sender: http1::SendRequest<RequestBody>, reused: bool },
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
        if let Some(ready @ Ready::Http1 { .. }) = self.ready.take() {
            self.pool.parking.park(ready);
        }
    }
}

/// What a response still holds of its connection.
pub(crate) enum Lease {
    Http1 { sender: http1::SendRequest<RequestBody>, pool: Option<Arc<Pool>>, request: Arc<Progress> },
    Http2 { _stream: Streams },
}

/// A request that got no response.
pub(crate) struct Failure {
    /// `None` when the server did not answer in time.
    error: Option<hyper::Error>,
    /// The request, when not one byte of it left and the connection had served before.
    pub(super) unsent: Option<Box<Request<RequestBody>>>,
}

impl Failure {
    /// The failure of an exchange with an origin.
    pub(crate) fn of(self, origin: &Origin) -> Error {
        match self.error {
            Some(source) => Error::UpstreamExchange { origin: origin.clone(), source },
            None => Error::UpstreamTimeout(origin.clone()),
        }
    }

    fn new(mut error: TrySendError<Request<RequestBody>>, reused: bool) -> Self {
        let unsent = error.take_message().filter(|_| reused).map(Box::new);
        Self { unsent, error: Some(error.into_error()) }
    }
}

/// An answer on its way. In a box: it has room for the whole request, and would be moved more than once.
type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + Send>>;

/// Waits for the head of a response, for as long as the request's body moves and 15 minutes longer.
async fn in_time<T>(progress: &Progress, answer: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    loop {
        let sent = progress.bytes();
        match tokio::time::timeout(RESPONSE_TIMEOUT, &mut *answer).await {
            Ok(answered) => return Some(answered),
            Err(_) if progress.bytes() == sent => return None,
            Err(_) => {}
        }
    }
}

impl Ready {
    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Ready::Http1 { .. } => Protocol::Http1,
            Ready::Http2 { .. } => Protocol::Http2,
        }
    }

    /// Sends one request and waits for the head of the response.
    pub(crate) fn send(
        self,
        request: Request<RequestBody>,
        pool: Option<Arc<Pool>>,
    ) -> impl Future<Output = Result<(Response<Incoming>, Lease), Failure>> + Send {
        let progress = request.body().progress();
        let (mut answer, reused, lease): (Answering, _, _) = match self {
            Ready::Http1 { mut sender, reused } => {
                let answer = Box::pin(sender.try_send_request(request));
                (answer, reused, Lease::Http1 { sender, pool, request: Arc::clone(&progress) })
            }
            Ready::Http2 { mut sender, stream, reused } => {
                let answer = Box::pin(sender.try_send_request(request));
                (answer, reused, Lease::Http2 { _stream: stream })
            }
        };
        async move {
            match in_time(&progress, &mut answer).await {
                Some(Ok(response)) => Ok((response, lease)),
                Some(Err(error)) => Err(Failure::new(error, reused)),
                None => Err(Failure { error: None, unsent: None }),
            }
        }
    }
}

impl Lease {
    /// Gives the connection back when both bodies came to their end; closes it otherwise.
    pub(crate) fn release(self, complete: bool) {
        if let Lease::Http1 { sender, pool: Some(pool), request } = self
            && complete
            && request.is_finished()
        {
            pool.parking.park(Ready::Http1 { sender, reused: true });
        }
    }
}
