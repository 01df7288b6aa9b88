//! Loopback ports of our own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use super::{LocalError, Patience};

/// How a redirect URI names this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loopback {
    /// `127.0.0.1`
    Address,
    /// `localhost`: a browser may take it for either family.
    Name,
}

impl Loopback {
    /// As it stands in a URL.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Address => "127.0.0.1",
            Self::Name => "localhost",
        }
    }
}

/// Sockets that listen on one port, IPv4 first.
pub(super) struct Listening {
    pub(super) sockets: Vec<TcpListener>,
    pub(super) port: u16,
}

/// Listens on a port that the system chooses.
pub(super) fn anywhere() -> Result<Listening, LocalError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    take(Loopback::Address, 0).map_err(|error| LocalError::Bind(address, error))
}

/// Listens on a port, which is shared with nobody. While another process has it, `waiting` is told once, and it is
/// tried again.
pub(super) fn on(
    host: Loopback,
    port: u16,
    patience: Patience<'_>,
    waiting: &mut dyn FnMut(),
) -> Result<Listening, LocalError> {
    let mut told = false;
    loop {
        match take(host, port) {
            Ok(listening) => return Ok(listening),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(LocalError::Bind((Ipv4Addr::LOCALHOST, port).into(), error)),
        }
        if !told {
            told = true;
            waiting();
        }
        match patience.glance() {
            Ok(pause) => std::thread::sleep(pause),
            Err(LocalError::TimedOut) => return Err(LocalError::PortTaken(port)),
            Err(error) => return Err(error),
        }
    }
}

/// All sockets of a port, or none. The standard library sets `SO_REUSEADDR`, which on loopback lets a socket follow one
/// that was closed, and never share with one that listens.
fn take(host: Loopback, port: u16) -> io::Result<Listening> {
    let first = bound(Ipv4Addr::LOCALHOST.into(), port)?;
    let port = first.local_addr()?.port();
    let mut sockets = vec![first];
    if host == Loopback::Name {
        match bound(Ipv6Addr::LOCALHOST.into(), port) {
            Ok(second) => sockets.push(second),
            Err(error) if has_no_ipv6(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Listening { sockets, port })
}

fn bound(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = TcpListener::bind((address, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether `::1` does not exist on this machine, so that nobody else can have it.
fn has_no_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}
