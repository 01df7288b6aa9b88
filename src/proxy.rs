//! The proxy. An exchange's life, in order:
//!
//! 1. `listener` accepts a socket and asks who its owner is;
//! 2. `tunnel` turns the CONNECT authority into an origin, and the origin into a verdict: intercept, pass
//!    through, or look at the server name first;
//! 3. `tls` ends the client's TLS with a leaf for that one name, in the protocol that `upstream` saw the server
//!    speak;
//! 4. `request` checks that each request names the tunnel's origin and finds its route;
//! 5. `upstream` lends a verified connection, `credential` the values, `headers` puts them in place;
//! 6. `response` passes the answer on as it comes, and `trail` closes the audit record at its end.
//!
//! `exchange` is steps 4 to 6 in one straight line; `error` is the only maker of synthetic responses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::{Audit, Event, EventName, Exchange};
use crate::credential::{Credentials, Rules};
use crate::dial::Dial;
use crate::identity::Identity;
use crate::policy::Policy;
use crate::proxy::error::Error;
use crate::proxy::listener::Admission;
use crate::proxy::settings::Settings;
use crate::proxy::tls::Leaves;
use crate::proxy::upstream::Upstream;

mod body;
mod client_hello;
mod copy;
mod error;
mod exchange;
mod forward;
pub(crate) mod headers;
pub(crate) mod listener;
mod pace;
mod replay;
mod request;
mod response;
mod serve;
pub(crate) mod settings;
mod stream;
pub(crate) mod tls;
mod trail;
mod tunnel;
mod upgrade;
mod upstream;

#[cfg(fuzzing)]
pub(crate) fn parse_client_hello(bytes: &[u8]) {
    client_hello::parse(bytes);
}

#[cfg(fuzzing)]
pub(crate) use upstream::read_responses;

/// So much of a CONNECT target is logged: a host name and a port.
const MAX_TARGET: usize = 262;
/// So many sockets are served at once.
const MAX_SOCKETS: usize = 4096;
/// Idle upstream connections are looked at this often.
const SWEEP: Duration = Duration::from_secs(5);
/// After an error that concerns the process, such as no free descriptor, accepting pauses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) admission: Admission,
    pub(crate) credentials: Credentials,
    pub(crate) policy: Policy,
    pub(crate) leaves: Leaves,
    pub(crate) audit: Audit,
    pub(crate) settings: Settings,
    pub(crate) profile: Arc<str>,
    /// Who acts.
    pub(crate) identity: Identity,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.identity)
    }
}

impl Shared {
    /// The audit line of a refusal outside of any exchange, with what was asked for.
    pub(crate) fn refused(&self, target: &str, error: &Error) {
        let target = target.get(..MAX_TARGET).unwrap_or(target);
        let exchange = Exchange { host: target, ..Exchange::default() };
        let event = Event {
            actor: Some(self.identity.as_str()),
            profile: Some(&self.profile),
            outcome: Some("refused"),
            reason: Some(error.reason()),
            exchange: Some(exchange),
            ..Event::new(EventName::Refused)
        };
        if let Err(error) = self.audit.record(&event) {
            tracing::error!(%error, "a refusal is missing from the audit log");
        }
    }
}

/// One core's share of the proxy: a current-thread runtime with pools of its own.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstream: Upstream,
    pub(crate) tasks: TaskTracker,
    /// No new exchange starts.
    pub(crate) draining: CancellationToken,
    /// Everything ends now.
    pub(crate) closing: CancellationToken,
    sockets: Arc<AtomicUsize>,
}

/// A running proxy. It ends when it is shut down or dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    draining: CancellationToken,
    closing: CancellationToken,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Proxy {
    /// Serves a bound listener, on one thread for each of `workers` cores.
    ///
    /// # Errors
    /// When a thread, its runtime or the listener's registration cannot be had.
    pub(crate) fn start(
        listener: std::net::TcpListener,
        workers: usize,
        shared: Shared,
        dial: &Arc<dyn Dial>,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (draining, closing) = (CancellationToken::new(), CancellationToken::new());
        let (shared, sockets) = (Arc::new(shared), Arc::new(AtomicUsize::new(0)));
        let mut proxy = Self { address, shared: Arc::clone(&shared), draining, closing, threads: Vec::new() };
        let mut hands = Vec::new();
        for index in (0..workers.max(1)).rev() {
            let tasks = TaskTracker::new();
            let worker = Arc::new(Worker {
                shared: Arc::clone(&shared),
                upstream: Upstream::new(Arc::clone(dial), Arc::clone(tls), tasks.clone()),
                tasks,
                draining: proxy.draining.clone(),
                closing: proxy.closing.clone(),
                sockets: Arc::clone(&sockets),
            });
            let (hand, received) = mpsc::unbounded_channel();
            hands.push(hand);
            // The last one made, worker 0, accepts for all.
            let accepts = if index == 0 { Some((listener.try_clone()?, hands.clone())) } else { None };
            proxy.threads.push(spawn(index, worker, received, accepts)?);
        }
        Ok(proxy)
    }

    /// The address that clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads definitions and connections again before the next request.
    pub(crate) fn reload(&self) {
        self.shared.credentials.forget();
    }

    /// The rules that were read last.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.shared.credentials.at_hand()
    }

    /// Stops accepting, lets exchanges end for up to `grace`, then closes what is left.
    pub(crate) fn shutdown(mut self, grace: Duration) {
        self.draining.cancel();
        let deadline = std::time::Instant::now() + grace;
        while self.threads.iter().any(|thread| !thread.is_finished()) && std::time::Instant::now() < deadline
        {
            thread::park_timeout(Duration::from_millis(5));
        }
        self.closing.cancel();
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
        self.shared.credentials.settle();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.draining.cancel();
        self.closing.cancel();
    }
}

type Hand = mpsc::UnboundedSender<(std::net::TcpStream, SocketAddr)>;
type Received = mpsc::UnboundedReceiver<(std::net::TcpStream, SocketAddr)>;

fn spawn(
    index: usize,
    worker: Arc<Worker>,
    received: Received,
    accepts: Option<(std::net::TcpListener, Vec<Hand>)>,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("proxy-{index}")).spawn(move || {
        runtime.block_on(async {
            if let Some((listener, hands)) = accepts {
                worker.tasks.spawn(accept(Arc::clone(&worker), listener, hands));
            }
            serve(&worker, received).await;
        });
        runtime.shutdown_background();
    })
}

/// Takes sockets until draining begins, then waits for what is in progress.
async fn serve(worker: &Arc<Worker>, mut received: Received) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            Some((socket, peer)) = received.recv() => take(worker, socket, peer),
            _ = sweep.tick() => worker.upstream.sweep(),
            () = worker.draining.cancelled() => break,
        }
    }
    worker.upstream.drain();
    worker.tasks.close();
    tokio::select! {
        () = worker.tasks.wait() => {}
        () = worker.closing.cancelled() => {}
    }
}

fn take(worker: &Arc<Worker>, socket: std::net::TcpStream, peer: SocketAddr) {
    let Ok(socket) = TcpStream::from_std(socket) else { return };
    let worker = Arc::clone(worker);
    let place = Place(Arc::clone(&worker.sockets));
    worker.tasks.clone().spawn(async move {
        listener::serve_socket(worker, socket, peer).await;
        drop(place);
    });
}

/// A socket's place among those that are served at once.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts for all workers and hands the sockets out by turns.
async fn accept(worker: Arc<Worker>, listener: std::net::TcpListener, hands: Vec<Hand>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the listener cannot be used"),
    };
    let mut turns = hands.iter().cycle();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = worker.draining.cancelled() => return,
        };
        match accepted.and_then(|(socket, peer)| Ok((socket.into_std()?, peer))) {
            Ok(_) if worker.sockets.load(Ordering::Relaxed) >= MAX_SOCKETS => {
                tracing::warn!(limit = MAX_SOCKETS, "a socket was refused: too many are open");
            }
            Ok(accepted) => {
                worker.sockets.fetch_add(1, Ordering::Relaxed);
                if let Some(hand) = turns.next() {
                    let _ = hand.send(accepted);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
