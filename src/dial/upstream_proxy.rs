//! The proxy through which our own connections go out, as the operator's environment names it.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::origin::{Host, Origin, ParseError};
use crate::secret::Secret;

/// The answer to our CONNECT is no longer than this.
const MAX_ANSWER: usize = 16 * 1024;

/// Why the upstream proxy was of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamProxyError {
    /// The setting is no `http://` URL.
    #[error("`{0}` is not an http:// proxy URL")]
    Url(String),
    /// Host or port of the setting are not valid.
    #[error("the proxy's host is not valid")]
    Host(#[source] ParseError),
    /// The socket failed during CONNECT.
    #[error("the connection to the proxy failed")]
    Io(#[source] io::Error),
    /// Not an HTTP answer.
    #[error("the proxy's answer is not HTTP")]
    Answer,
    /// An answer other than 2xx.
    #[error("the proxy answered {0}")]
    Status(u16),
}

/// The upstream proxy for https, and the hosts that are reached without it.
#[derive(Debug, Default)]
pub(crate) struct UpstreamProxies {
    https: Option<UpstreamProxy>,
    bypass: Vec<String>,
}

/// One HTTP proxy.
#[derive(Debug)]
pub(super) struct UpstreamProxy {
    origin: Origin,
    authorization: Option<Secret<String>>,
}

impl UpstreamProxies {
    /// Reads the values of `HTTPS_PROXY` and `NO_PROXY`. An absent scheme means `http`.
    pub(crate) fn new(https: Option<&str>, no_proxy: Option<&str>) -> Result<Self, UpstreamProxyError> {
        let https = https.filter(|url| !url.is_empty()).map(UpstreamProxy::parse).transpose()?;
        let entries = no_proxy.unwrap_or_default().split(',').map(|entry| entry.trim().to_ascii_lowercase());
        Ok(Self { https, bypass: entries.filter(|entry| !entry.is_empty()).collect() })
    }

    pub(super) fn for_origin(&self, origin: &Origin) -> Option<&UpstreamProxy> {
        let bypassed = origin.is_loopback() || self.bypass.iter().any(|entry| bypasses(entry, origin));
        self.https.as_ref().filter(|_| !bypassed)
    }
}

fn bypasses(entry: &str, origin: &Origin) -> bool {
    if entry == "*" {
        return true;
    }
    let suffix = entry.trim_start_matches('*').trim_start_matches('.');
    match origin.host() {
        Host::Address(address) => suffix == address.to_string(),
        Host::Name(name) => {
            name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

impl UpstreamProxy {
    fn parse(url: &str) -> Result<Self, UpstreamProxyError> {
        // The value may hold a password: errors show the scheme and host only.
        let shown = || url.rsplit('@').next().unwrap_or_default().to_owned();
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = full.parse().map_err(|_| UpstreamProxyError::Url(shown()))?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let authority = authority.ok_or_else(|| UpstreamProxyError::Url(shown()))?.as_str();
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let origin = Origin::with_default_port(host, 80).map_err(UpstreamProxyError::Host)?;
        Ok(Self { origin, authorization: userinfo.map(basic) })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asks for a tunnel (RFC 9110 9.3.6) and returns the socket once the proxy granted it.
    pub(super) async fn connect(
        &self,
        mut stream: TcpStream,
        origin: &Origin,
    ) -> Result<TcpStream, UpstreamProxyError> {
        let mut request = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization.expose());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let request = Secret::new(request);
        stream.write_all(request.expose().as_bytes()).await.map_err(UpstreamProxyError::Io)?;
        let status = read_status(&mut stream).await?;
        if (200..300).contains(&status) { Ok(stream) } else { Err(UpstreamProxyError::Status(status)) }
    }
}

fn basic(userinfo: &str) -> Secret<String> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut pair = percent_decode_str(user).collect::<Vec<u8>>();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    Secret::new(format!("Basic {}", BASE64_STANDARD.encode(Secret::new(pair).expose())))
}

/// Reads the answer byte by byte, so that nothing of the tunnel is taken with it.
async fn read_status(stream: &mut TcpStream) -> Result<u16, UpstreamProxyError> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_ANSWER {
            return Err(UpstreamProxyError::Answer);
        }
        head.push(stream.read_u8().await.map_err(UpstreamProxyError::Io)?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).map_err(|_| UpstreamProxyError::Answer)?;
    response.code.ok_or(UpstreamProxyError::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::from_authority(text).unwrap()
    }

    #[test]
    fn no_proxy_lists_names_and_suffixes() {
        let proxies = UpstreamProxies::new(
            Some("http://u:p%40@proxy.example:3128"),
            Some("internal.example, .corp.test,192.0.2.1"),
        );
        let proxies = proxies.unwrap();
        assert!(proxies.for_origin(&origin("api.example.com:443")).is_some());
        for direct in [
            "internal.example:443",
            "a.internal.example:443",
            "a.corp.test:443",
            "192.0.2.1:443",
            "127.0.0.1:443",
        ] {
            assert!(proxies.for_origin(&origin(direct)).is_none(), "{direct}");
        }
        assert!(proxies.for_origin(&origin("notinternal.example:443")).is_some());
    }

    #[test]
    fn a_password_is_decoded_and_never_shown() {
        let proxy = UpstreamProxy::parse("http://u:p%40@proxy.example").unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap().expose(), "Basic dTpwQA==");
        let error = UpstreamProxy::parse("socks5://u:canary@proxy.example").unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
