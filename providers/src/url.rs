//! The https URLs that a definition or a user may name: no userinfo, no IP address, no loopback name.

use std::fmt;

use crate::path::PathPrefix;
use crate::pattern::HostPattern;

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("must start with https://")]
    Scheme,
    /// `user@host`.
    #[error("must not contain userinfo")]
    Userinfo,
    /// An IP address, a loopback name, a name without a dot, or no name at all.
    #[error("must name a host with a dot in it: no IP address, no loopback name")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// A query or fragment where none can be.
    #[error("must not contain a query or fragment")]
    Query,
    /// Control characters, spaces, non-ASCII.
    #[error("contains a character that no URL has")]
    Character,
    /// Dot segments, escapes and the like.
    #[error("must have a plain path: no escapes, dot segments or empty segments")]
    Path,
    /// A public suffix, under which everybody registers names.
    #[error("must name a host of its own, not a public suffix")]
    PublicSuffix,
}

/// An https URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpsUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With its leading slash, without the query.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

/// Parses an https URL of a named host.
pub(crate) fn parse(text: &str) -> Result<HttpsUrl, UrlError> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err(UrlError::Character);
    }
    let after = text.strip_prefix("https://").ok_or(UrlError::Scheme)?;
    if after.contains('#') {
        return Err(UrlError::Query);
    }
    let (before, query) = match after.split_once('?') {
        Some((before, query)) => (before, Some(query.to_owned())),
        None => (after, None),
    };
    let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    let (host, port) = parse_authority(authority)?;
    let path = if path.is_empty() { "/" } else { path };
    Ok(HttpsUrl { host, port, path: path.into(), query })
}

/// Parses `host` or `host:port` of a named host; the port defaults to 443.
pub(crate) fn parse_authority(text: &str) -> Result<(String, u16), UrlError> {
    if text.contains('@') {
        return Err(UrlError::Userinfo);
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, parse_port(digits)?),
        None => (text, 443),
    };
    match HostPattern::host_or_glob(host) {
        Ok(HostPattern::Exact(name)) => Ok((name, port)),
        _ => Err(UrlError::Host),
    }
}

/// A decimal port from 1 to 65535.
pub(crate) fn parse_port(digits: &str) -> Result<u16, UrlError> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if plain && port > 0 => Ok(port),
        _ => Err(UrlError::Port),
    }
}

/// Checks a base URL and returns it in canonical form, without a trailing slash.
pub(crate) fn check_base(text: &str) -> Result<String, UrlError> {
    let url = parse(text)?;
    if url.query.is_some() {
        return Err(UrlError::Query);
    }
    if crate::suffix::is_public_suffix(&url.host) {
        return Err(UrlError::PublicSuffix);
    }
    let path: PathPrefix = url.path.parse().map_err(|_| UrlError::Path)?;
    let path = if path.is_root() { "" } else { path.as_str() };
    Ok(format!("{}{path}", Authority(&url.host, url.port)))
}

struct Authority<'a>(&'a str, u16);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            443 => write!(f, "https://{}", self.0),
            port => write!(f, "https://{}:{port}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_made_canonical() {
        for (given, canonical) in [
            ("https://gitlab.com", "https://gitlab.com"),
            ("https://GitLab.com/", "https://gitlab.com"),
            ("https://git.example.com:443/gitlab/", "https://git.example.com/gitlab"),
            ("https://git.example.com:8443", "https://git.example.com:8443"),
        ] {
            assert_eq!(check_base(given).unwrap(), canonical);
        }
    }

    #[test]
    fn a_base_url_is_https_to_a_named_host() {
        for refused in [
            "",
            "gitlab.com",
            "http://gitlab.com",
            "HTTPS//x.com",
            "https://",
            "https:///x",
            "https://user@gitlab.com",
            "https://u:p@gitlab.com",
            "https://127.0.0.1",
            "https://[::1]",
            "https://localhost",
            "https://x.localhost",
            "https://gitlab.com?x",
            "https://gitlab.com#x",
            "https://gitlab.com/a?b",
            "https://gitlab.com:0",
            "https://gitlab.com:99999",
            "https://gitlab.com:",
            "https://gitlab.com/..",
            "https://gitlab.com/a//b",
            "https://gitlab.com\\evil.test",
            "https://gitlab.com /x",
            "https://*.gitlab.com",
            "https://gitlab.com/%2e%2e",
            "https://co.uk",
            "https://github.io",
            "https://2130706433",
            "https://gitlab.com.",
            "ftp://gitlab.com",
            "https://gitlab.com\n",
            "https://gitlab.com/{tenant}",
            "https://0x7f.0.0.1",
        ] {
            assert!(check_base(refused).is_err(), "{refused}");
        }
    }
}
