//! Which process owns the other end of a loopback socket (sock_diag(7), proc(5)).

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::Ends;
use crate::process::{descendants, descends_from, start_time};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const REQUEST_LENGTH: usize = 72;
/// Where `inet_diag_msg` keeps the owner, behind the netlink header, the socket's identity and its timers.
const UID_OFFSET: usize = 16 + 4 + 48 + 12;

/// The owner of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    inode: u32,
}

impl Owner {
    /// A socket that no process holds any more has no inode, and its uid says nothing.
    pub(super) fn is_live(self) -> bool {
        self.inode != 0
    }
}

/// The owner of the client's end; `None` when the kernel knows no such socket.
pub(super) fn owner(ends: Ends) -> Option<Owner> {
    let proxy = ends.proxy?;
    by_sock_diag(ends.client, proxy).or_else(|_| by_proc(ends.client, proxy)).ok()
}

/// Whether a live descendant of this process holds the client's end.
pub(super) fn is_descendant(ends: Ends) -> bool {
    let Some(owner) = owner(ends).filter(|owner| owner.is_live()) else { return false };
    let link = format!("socket:[{}]", owner.inode);
    let own = std::process::id();
    let holder = descendants(own).into_iter().find(|pid| holds(*pid, &link));
    let Some(pid) = holder else { return false };
    // A pid could have been taken over since: descent and start must agree around one more look at the socket.
    let started = start_time(pid);
    started.is_some() && descends_from(pid, own) && holds(pid, &link) && start_time(pid) == started
}

fn by_sock_diag(client: SocketAddr, proxy: SocketAddr) -> io::Result<Owner> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let netlink = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
    let request = diag_request(client, proxy);
    sendto(netlink.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0u8; 512];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    let answer = answer.get(..length).unwrap_or_default();
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let word =
        |at: usize| answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    match (kind, word(UID_OFFSET), word(UID_OFFSET + 4)) {
        (Some(SOCK_DIAG_BY_FAMILY), Some(uid), Some(inode)) => Ok(Owner { uid, inode }),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// `nlmsghdr` and `inet_diag_req_v2` for one TCP socket, seen from the client.
fn diag_request(client: SocketAddr, proxy: SocketAddr) -> [u8; REQUEST_LENGTH] {
    let mut request = [0u8; REQUEST_LENGTH];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &72u32.to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    let family = if client.is_ipv4() { libc_family::INET } else { libc_family::INET6 };
    put(16, &[family, libc_family::TCP]);
    put(20, &u32::MAX.to_ne_bytes());
    put(24, &client.port().to_be_bytes());
    put(26, &proxy.port().to_be_bytes());
    for (at, address) in [(28, client.ip()), (44, proxy.ip())] {
        match address {
            IpAddr::V4(v4) => put(at, &v4.octets()),
            IpAddr::V6(v6) => put(at, &v6.octets()),
        }
    }
    put(64, &[0xff; 8]);
    request
}

mod libc_family {
    pub(super) const INET: u8 = 2;
    pub(super) const INET6: u8 = 10;
    pub(super) const TCP: u8 = 6;
}

/// The same from `/proc/net/tcp`, for kernels without sock_diag.
fn by_proc(client: SocketAddr, proxy: SocketAddr) -> io::Result<Owner> {
    for (file, wide) in [("/proc/net/tcp", false), ("/proc/net/tcp6", true)] {
        let (client, proxy) = (proc_address(client, wide), proc_address(proxy, wide));
        let table = fs::read_to_string(file).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            if fields.get(1) == Some(&client.as_str()) && fields.get(2) == Some(&proxy.as_str()) {
                let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
                if let (Some(uid), Some(inode)) = (number(7), number(9)) {
                    return Ok(Owner { uid, inode });
                }
            }
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// An address as `/proc/net/tcp` writes it: words of the address in the machine's order, port in hexadecimal.
fn proc_address(address: SocketAddr, wide: bool) -> String {
    let octets = match address.ip() {
        IpAddr::V4(v4) if wide => v4.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).filter_map(|word| word.try_into().ok().map(u32::from_ne_bytes));
    let text: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{text}:{:04X}", address.port())
}

fn holds(pid: u32, link: &str) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target.as_os_str() == link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    fn connected() -> ([TcpStream; 2], Ends) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        #[expect(clippy::disallowed_methods, reason = "a client in a test")]
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ends = Ends { client: client.local_addr().unwrap(), proxy: Some(client.peer_addr().unwrap()) };
        let (server, _) = listener.accept().unwrap();
        ([client, server], ends)
    }

    #[test]
    fn both_sources_name_the_same_owner() {
        let (_sockets, ends) = connected();
        let proxy = ends.proxy.unwrap();
        let netlink = by_sock_diag(ends.client, proxy).unwrap();
        assert_eq!(netlink, by_proc(ends.client, proxy).unwrap());
        assert_eq!(netlink.uid, nix::unistd::geteuid().as_raw());
    }

    #[test]
    fn a_socket_of_nobody_has_no_owner() {
        let (_sockets, ends) = connected();
        let gone = Ends { client: "127.0.0.1:1".parse().unwrap(), ..ends };
        assert_eq!(owner(gone), None);
    }

    #[test]
    fn our_own_socket_is_no_descendants() {
        let (_sockets, ends) = connected();
        assert!(!is_descendant(ends));
    }

    #[test]
    fn a_childs_socket_is_a_descendants() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; read line", address.port());
        let mut child = Command::new("bash").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
        let (_server, client) = listener.accept().unwrap();
        assert!(is_descendant(Ends { client, proxy: Some(address) }));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
