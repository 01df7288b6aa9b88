//! The one name that decides where a request goes: host and port, normalised once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Why a text is no authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing before the port.
    #[error("the host is empty")]
    EmptyHost,
    /// The port is absent where it is required, or no number from 1 to 65535.
    #[error("the port is missing or not a number from 1 to 65535")]
    Port,
    /// `user@host`, refused wherever it occurs.
    #[error("userinfo is not allowed")]
    Userinfo,
    /// A character, label or length that no host name has (RFC 1123 2.1, RFC 1035 2.3.4).
    #[error("not a host name")]
    Name,
    /// Brackets without an IPv6 address, or an address that only looks like IPv4.
    #[error("not an IP address")]
    Address,
}

/// A host: a DNS name in lower-case A-labels without its trailing dot, or an IP address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name.
    Name(Arc<str>),
    /// An address literal; IPv4-mapped IPv6 is IPv4 here.
    Address(IpAddr),
}

/// Host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    host: Host,
    port: u16,
}

impl Origin {
    /// Parses `host:port`, the target of a CONNECT (RFC 9110 9.3.6): the port is required.
    pub fn from_authority(text: &str) -> Result<Self, ParseError> {
        Self::parse(text, None)
    }

    /// Parses `host` or `host:port`, as `Host` and `:authority` are written.
    pub fn with_default_port(text: &str, default: u16) -> Result<Self, ParseError> {
        Self::parse(text, Some(default))
    }

    /// The same host name on a given port.
    pub fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The DNS name, unless the host is an address.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is `localhost`, a name below it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback() || address.is_unspecified(),
        }
    }

    /// Whether an authority text names this origin, its port defaulting to 443.
    pub fn is_named_by(&self, authority: &str) -> bool {
        let as_we_write_it = self.port == 443 && self.name() == Some(authority);
        as_we_write_it || Self::with_default_port(authority, 443).is_ok_and(|other| other == *self)
    }

    fn parse(text: &str, default_port: Option<u16>) -> Result<Self, ParseError> {
        if text.contains('@') {
            return Err(ParseError::Userinfo);
        }
        let (host, port) = split_port(text)?;
        let port = match (port, default_port) {
            (Some(digits), _) => parse_port(digits)?,
            (None, Some(default)) => default,
            (None, None) => return Err(ParseError::Port),
        };
        Ok(Self { host: host.parse()?, port })
    }
}

impl fmt::Display for Origin {
    /// The authority: `host:port`, IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl std::str::FromStr for Host {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::EmptyHost);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(ParseError::Address)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| ParseError::Address)?;
            return Ok(Host::Address(IpAddr::V6(address).to_canonical()));
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii_strict(text).map_err(|_| ParseError::Name)?
        };
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if ends_in_a_number(name) {
            let address: Ipv4Addr = name.parse().map_err(|_| ParseError::Address)?;
            return Ok(Host::Address(IpAddr::V4(address)));
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(ParseError::Name);
        }
        Ok(Host::Name(name.into()))
    }
}

/// Splits `host:port`, `[v6]:port`, `host` or `[v6]`.
fn split_port(text: &str) -> Result<(&str, Option<&str>), ParseError> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or(ParseError::Address)? + 1;
        let (host, rest) = text.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(ParseError::Address),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(ParseError::Address),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(digits: &str) -> Result<u16, ParseError> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if plain && port > 0 => Ok(port),
        _ => Err(ParseError::Port),
    }
}

/// Whether a resolver could take the name for an IPv4 address, as WHATWG's host parser asks.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    !last.is_empty() && (hexadecimal || last.bytes().all(|b| b.is_ascii_digit()))
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| *b != b'-');
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one_origin() {
        let origin = Origin::from_authority("api.example.com:443").unwrap();
        for same in ["API.Example.COM:443", "api.example.com.:443", "api.example.com", "api.example.com."] {
            assert!(origin.is_named_by(same), "{same}");
        }
        for other in ["api.example.com:8443", "api.example.co", "api.example.com..", "x@api.example.com", ""]
        {
            assert!(!origin.is_named_by(other), "{other}");
        }
    }

    #[test]
    fn an_authority_needs_a_port() {
        for (text, error) in [
            ("example.com", ParseError::Port),
            ("example.com:", ParseError::Port),
            ("example.com:0", ParseError::Port),
            ("example.com:+443", ParseError::Port),
            ("example.com:65536", ParseError::Port),
            (":443", ParseError::EmptyHost),
            ("a@example.com:443", ParseError::Userinfo),
            ("exa mple.com:443", ParseError::Name),
            ("example..com:443", ParseError::Name),
            ("-a.example.com:443", ParseError::Name),
            ("a%2eexample.com:443", ParseError::Name),
            ("[::1:443", ParseError::Address),
            ("[fe80::1%25eth0]:443", ParseError::Address),
            ("::1:443", ParseError::Address),
            ("0x7f.1:443", ParseError::Address),
            ("0177.0.0.1:443", ParseError::Address),
            ("2130706433:443", ParseError::Address),
            ("api.example.0x7f:443", ParseError::Address),
        ] {
            assert_eq!(Origin::from_authority(text), Err(error), "{text}");
        }
    }

    #[test]
    fn addresses_are_canonical() {
        let mapped = Origin::from_authority("[::ffff:192.0.2.7]:443").unwrap();
        assert_eq!(mapped.to_string(), "192.0.2.7:443");
        assert_eq!(Origin::from_authority("[2001:DB8::5]:443").unwrap().to_string(), "[2001:db8::5]:443");
        assert!(Origin::from_authority("[::1]:443").unwrap().is_loopback());
        assert!(Origin::from_authority("a.localhost:443").unwrap().is_loopback());
    }

    #[test]
    fn an_international_name_becomes_its_a_labels() {
        let origin = Origin::with_default_port("bücher.example", 443).unwrap();
        assert_eq!(origin.to_string(), "xn--bcher-kva.example:443");
    }

    #[test]
    fn names_have_the_lengths_of_the_dns() {
        let long_label = format!("{}.example:443", "a".repeat(64));
        let long_name = format!("{}:443", ["a"; 128].join("."));
        assert_eq!(Origin::from_authority(&long_label), Err(ParseError::Name));
        assert_eq!(Origin::from_authority(&long_name), Err(ParseError::Name));
    }
}
