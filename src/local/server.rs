//! A small HTTP/1.1 server on loopback, on a thread of its own.
//!
//! What every page has in common is decided here (RULES 17): a request names our own origin, a form comes from it,
//! nothing is cached, framed or shared with another origin, and one that is too large or too slow is dropped.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::LocalError;
use super::listening::Listening;
use super::page;

/// The longest head and the longest body, in bytes.
const LIMIT: usize = 64 << 10;
const MOST_HEADERS: usize = 64;
/// Further ones wait in the listener's queue.
const MOST_CONNECTIONS: usize = 32;
/// A client has so long for a head, and again for a body.
const READING: Duration = Duration::from_secs(5);
/// Nothing takes longer, the login that an answer waits for included.
const LIFE: Duration = Duration::from_secs(300);
/// How long the last page may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);
/// After a socket could not be accepted.
const BREATH: Duration = Duration::from_millis(50);

/// A request that names our origin.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// An answer: always a page.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) html: String,
    pub(super) cookie: Option<HeaderValue>,
    /// Whether the server ends when this has been sent.
    pub(super) last: bool,
}

impl Reply {
    pub(super) fn new(status: StatusCode, html: String) -> Self {
        Self { status, html, cookie: None, last: false }
    }

    pub(super) fn last(self) -> Self {
        Self { last: true, ..self }
    }
}

pub(super) type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What is served.
pub(super) trait Site: Send + Sync + 'static {
    fn answer(self: Arc<Self>, asked: Asked) -> Answer;
}

/// A server; it ends with the value, or after its last page.
pub(super) struct Server {
    ending: CancellationToken,
    ended: Arc<Latch>,
}

impl Server {
    /// Serves a site under `http://<authority>`.
    pub(super) fn start(
        listening: Listening,
        authority: String,
        site: Arc<dyn Site>,
    ) -> Result<Self, LocalError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(LocalError::Serve)?;
        let listeners: io::Result<Vec<TcpListener>> = {
            let _entered = runtime.enter();
            listening.sockets.into_iter().map(TcpListener::from_std).collect()
        };
        let listeners = listeners.map_err(LocalError::Serve)?;
        let (ending, ended) = (CancellationToken::new(), Arc::new(Latch::default()));
        let gate = Arc::new(Gate { authority, site, ending: ending.clone() });
        let set = SetAtEnd(Arc::clone(&ended));
        std::thread::Builder::new()
            .name("local-pages".to_owned())
            .spawn(move || {
                let _set = set;
                // Goes before the latch is set, and takes all sockets with it.
                let runtime = runtime;
                runtime.block_on(serve(listeners, gate));
            })
            .map_err(LocalError::Serve)?;
        Ok(Self { ending, ended })
    }

    /// Waits until the last page has been sent.
    pub(super) fn farewell(&self) {
        self.ended.wait(FAREWELL);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.cancel();
        self.ended.wait(FAREWELL); // Then the port is free.
    }
}

/// Something that happens once.
#[derive(Default)]
struct Latch {
    set: Mutex<bool>,
    news: Condvar,
}

impl Latch {
    fn wait(&self, patience: Duration) {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it happened or not: there is nothing more to wait for.
        drop(self.news.wait_timeout_while(set, patience, |set| !*set));
    }
}

struct SetAtEnd(Arc<Latch>);

impl Drop for SetAtEnd {
    fn drop(&mut self) {
        *self.0.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.news.notify_all();
    }
}

async fn serve(listeners: Vec<TcpListener>, gate: Arc<Gate>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = gate.ending.cancelled() => return,
            Some(_) = tasks.join_next() => {}
            accepted = accept(&listeners), if tasks.len() < MOST_CONNECTIONS => match accepted {
                Ok(stream) => {
                    tasks.spawn(talk(stream, Arc::clone(&gate)));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
}

async fn accept(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

/// Answers one request.
async fn talk(stream: TcpStream, gate: Arc<Gate>) {
    let last = AtomicBool::new(false);
    let service = service_fn(|request| {
        let gate = Arc::clone(&gate);
        let last = &last;
        async move {
            let reply = gate.pass(request).await;
            last.store(reply.last, Ordering::Relaxed);
            Ok::<_, Infallible>(response(reply))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READING)
        .keep_alive(false)
        .max_buf_size(LIMIT)
        .max_header_size(LIMIT)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(LIFE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to a local page ended"),
        Err(_) => tracing::debug!("a connection to a local page took too long"),
    }
    if last.load(Ordering::Relaxed) {
        gate.ending.cancel();
    }
}

/// What stands before every page.
struct Gate {
    /// `host:port`, as a request must name us.
    authority: String,
    site: Arc<dyn Site>,
    ending: CancellationToken,
}

impl Gate {
    async fn pass(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        if let Err(status) = self.admit(&head.method, &head.uri, &head.headers) {
            return Reply::new(status, page::refused());
        }
        let collected = tokio::time::timeout(READING, Limited::new(body, LIMIT).collect()).await;
        let body = match collected {
            Ok(Ok(collected)) => Zeroizing::new(collected.to_bytes().to_vec()),
            Ok(Err(_)) => return Reply::new(StatusCode::PAYLOAD_TOO_LARGE, page::refused()),
            Err(_) => return Reply::new(StatusCode::REQUEST_TIMEOUT, page::refused()),
        };
        let asked = Asked {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
        };
        Arc::clone(&self.site).answer(asked).await
    }

    /// Refuses what another site, or a name that was made to point here, asks.
    fn admit(&self, method: &Method, uri: &http::Uri, headers: &HeaderMap) -> Result<(), StatusCode> {
        if !matches!(*method, Method::GET | Method::POST) {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if uri.authority().is_some() {
            return Err(StatusCode::BAD_REQUEST);
        }
        if only(headers, &header::HOST) != Some(self.authority.as_str()) {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        if *method == Method::POST && !self.is_own_form(headers) {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(())
    }

    fn is_own_form(&self, headers: &HeaderMap) -> bool {
        let origin = format!("http://{}", self.authority);
        let own_origin = only(headers, &header::ORIGIN) == Some(origin.as_str());
        let no_origin = !headers.contains_key(header::ORIGIN);
        match headers.get("sec-fetch-site") {
            Some(site) => site == "same-origin" && (own_origin || no_origin),
            None => own_origin,
        }
    }
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.html)));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Not `no-referrer`: with it a browser gives a form's origin as `null`. Nothing goes to other sites.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, page::policy().clone());
    if reply.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    if let Some(cookie) = reply.cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}
