//! The origin of every lane: an HTTPS server with cheap answers that counts who arrived with the credential.

use std::convert::Infallible;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::body::Payload;
use crate::cores;
use crate::ledger::{HEADER, Ledger, Slot};
use crate::process;
use crate::tls::Protocol;

/// The host that the proxies intercept.
pub(crate) const INTERCEPTED: &str = "api.bench.test";
/// The host that no proxy has a route for.
pub(crate) const PASSED: &str = "other.bench.test";
/// Under it lie the hosts that are met once each.
pub(crate) const COLD: &str = "cold.bench.test";

/// `authsome-bench origin`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to write the CA's certificate
    #[arg(long)]
    ca_out: PathBuf,
    /// The Authorization header that counts as right
    #[arg(long)]
    credential: String,
}

struct State {
    tls: TlsAcceptor,
    ledger: Ledger,
    credential: HeaderValue,
}

/// Serves until killed; prints one JSON line with its address when it accepts.
pub(crate) fn serve(options: Options) -> Result<()> {
    let authority = Authority::generate("authsome-bench origin CA")?;
    let cold = format!("*.{COLD}");
    let alpn = [Protocol::H2.alpn(), Protocol::H1.alpn()];
    let config = authority.server_config(&[INTERCEPTED, PASSED, &cold], &alpn)?;
    std::fs::write(&options.ca_out, authority.pem()).context("cannot write the CA's certificate")?;
    let state = Arc::new(State {
        tls: TlsAcceptor::from(Arc::new(config)),
        ledger: Ledger::default(),
        credential: HeaderValue::from_str(&options.credential)?,
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen")?;
    process::announce(listener.local_addr()?);
    cores::serve(&listener, move |socket| connection(socket, Arc::clone(&state)))
}

async fn connection(socket: TcpStream, state: Arc<State>) {
    let Ok(stream) = state.tls.accept(socket).await else { return };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(Protocol::H2.alpn());
    let io = TokioIo::new(Box::new(stream));
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    // How a connection ends is the client's affair: it sees a broken answer itself.
    let _ = if h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None);
        builder.serve_connection(io, service).await
    };
}

async fn answer(request: Request<Incoming>, state: &State) -> Response<Payload> {
    let headers = request.headers();
    if let Some(slot) = headers.get(HEADER).and_then(|value| Slot::parse(value.as_bytes())) {
        state.ledger.add(slot, headers.get(AUTHORIZATION) == Some(&state.credential));
    }
    let path = request.uri().path().to_owned();
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|text| text.parse::<u64>().ok());
    if path == "/" {
        return Response::new(Payload::Whole(Bytes::from_static(b"{\"ok\":true}")));
    }
    if path == "/upload" {
        return upload(request.into_body()).await;
    }
    if path == "/stats" {
        return Response::new(Payload::Whole(Bytes::from(state.ledger.to_json().to_string())));
    }
    if let Some(size) = number("/bytes/") {
        return Response::new(Payload::Zeros(size));
    }
    if let Some(count) = number("/sse/") {
        let mut response = Response::new(Payload::events(count));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        return response;
    }
    status(StatusCode::NOT_FOUND)
}

async fn upload(mut body: Incoming) -> Response<Payload> {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return status(StatusCode::BAD_REQUEST);
        }
    }
    status(StatusCode::NO_CONTENT)
}

fn status(code: StatusCode) -> Response<Payload> {
    let mut response = Response::new(Payload::empty());
    *response.status_mut() = code;
    response
}
