//! Reading a ClientHello (RFC 8446 4.1.2) without answering it.

use rustls::server::Acceptor;

use crate::proxy::upstream::Protocol;

/// What the first bytes of a tunnel are.
#[derive(Debug, Default)]
pub(crate) enum Hello {
    /// The beginning of one.
    #[default]
    Partial,
    /// A whole one.
    Complete(ClientHello),
    /// Something else.
    NotTls,
}

/// What a ClientHello says about where it wants to go.
#[derive(Debug)]
pub(crate) struct ClientHello {
    /// The server name (RFC 6066 3), if it was sent.
    pub(crate) name: Option<String>,
    /// The protocols that were offered and that we speak, in the client's order (RFC 7301).
    pub(crate) protocols: Vec<Protocol>,
}

const HANDSHAKE_RECORD: u8 = 0x16;

/// Looks at the first bytes of a stream.
pub(crate) fn parse(bytes: &[u8]) -> Hello {
    match bytes.first() {
        None => return Hello::Partial,
        Some(&HANDSHAKE_RECORD) => {}
        Some(_) => return Hello::NotTls,
    }
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest).is_err() {
            return Hello::NotTls;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let offered = hello.alpn().into_iter().flatten();
                let protocols = offered.filter_map(Protocol::from_alpn).collect();
                return Hello::Complete(ClientHello {
                    name: hello.server_name().map(str::to_owned),
                    protocols,
                });
            }
            Ok(None) => {}
            Err(_) => return Hello::NotTls,
        }
    }
    Hello::Partial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_handshake_record_is_no_tls() {
        assert!(matches!(parse(b"GET / HTTP/1.1\r\n"), Hello::NotTls));
        assert!(matches!(parse(b""), Hello::Partial));
        assert!(matches!(parse(b"\x16\x03\x01"), Hello::Partial));
        assert!(matches!(parse(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"), Hello::NotTls));
    }
}
