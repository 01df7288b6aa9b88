//! A claim: where a provider's credential may go. A host pattern, a port and a path prefix.

use std::cmp::Ordering;
use std::fmt;

use crate::path::{CanonicalPath, PathPrefix};
use crate::pattern::{HostPattern, PatternError};
use crate::template::is_field_name;
use crate::url::{self, UrlError};

/// Why a text is no claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The host part.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A URL that is refused.
    #[error("the URL {0}")]
    Url(#[from] UrlError),
    /// The path part.
    #[error("the path must be `/` or plain segments such as `/v1`")]
    Path,
    /// The text lacks a part of the canonical form.
    #[error("not of the form host:port/path")]
    Form,
}

/// A host pattern with port and path prefix. Its text is canonical: equal claims have equal texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which hosts.
    pub pattern: HostPattern,
    /// Which port; 443 unless the definition says otherwise.
    pub port: u16,
    /// Which paths.
    pub path: PathPrefix,
    /// The name of a placement of its own, when these hosts take the credential in another form.
    pub variant: Option<String>,
}

/// How closely a claim names its target. The greater is the more specific: the longer path prefix, then an exact host
/// before a glob before a regex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specificity {
    path: usize,
    pattern: u8,
}

impl Claim {
    /// Reads `host_url` as a definition writes it, its templates filled: `host`, `*.host`, `https://host[:port][/path]`
    /// (the host may be a glob), or `regex:pattern`, which stays within `domains`.
    ///
    /// # Errors
    /// [`ClaimError`] when it is none of these or open to strangers.
    pub fn parse_host_url(text: &str, domains: &[String]) -> Result<Self, ClaimError> {
        if let Some(pattern) = text.strip_prefix("regex:") {
            let pattern = HostPattern::regex(pattern, domains)?;
            return Ok(Self { pattern, port: 443, path: PathPrefix::root(), variant: None });
        }
        let rest = match text.strip_prefix("https://") {
            Some(rest) => rest,
            None if text.contains("://") => return Err(UrlError::Scheme.into()),
            None => text,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::Userinfo.into());
        }
        if rest.contains(['?', '#']) && !authority.contains('?') {
            return Err(UrlError::Query.into());
        }
        let (host, port) = match authority.split_once(':') {
            Some((host, digits)) => (host, url::parse_port(digits)?),
            None => (authority, 443),
        };
        let path = path.parse().map_err(|_| ClaimError::Path)?;
        Ok(Self { pattern: HostPattern::host_or_glob(host)?, port, path, variant: None })
    }

    /// Whether requests may be routed by it at all.
    pub fn is_routable(&self) -> bool {
        self.pattern.is_routable()
    }

    /// Whether it claims a host and port. The host is lower-case, in A-labels, without a trailing dot.
    pub fn matches_host(&self, host: &str, port: u16) -> bool {
        self.port == port && self.pattern.matches(host)
    }

    /// Whether it claims a request's path.
    pub fn covers(&self, path: &CanonicalPath<'_>) -> bool {
        self.path.covers(path)
    }

    /// Whether a path and what lies below it have anything in common with the claimed paths.
    pub(crate) fn meets(&self, path: &str) -> bool {
        let below = |one: &str, other: &str| {
            let one = one.trim_end_matches('/');
            other.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        below(self.path.as_str(), path) || below(path, self.path.as_str())
    }

    /// How closely it names its target.
    pub fn specificity(&self) -> Specificity {
        let pattern = match self.pattern {
            HostPattern::Exact(_) => 2,
            HostPattern::Glob(_) => 1,
            HostPattern::Regex(_) => 0,
        };
        Specificity { path: self.path.length(), pattern }
    }

    /// The names for a certificate authority's dNSName constraints (RFC 5280 4.2.1.10) that cover every match.
    pub fn permitted_suffix(&self) -> Vec<&str> {
        self.pattern.permitted_suffixes()
    }
}

impl PartialOrd for Claim {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Claim {
    /// The order of the texts, for stable lists.
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl fmt::Display for Claim {
    /// `host:port/path`, or `regex:domains:pattern`; then `#variant` if there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let HostPattern::Regex(_) = self.pattern {
            return self.pattern.fmt(f);
        }
        write!(f, "{}:{}{}", self.pattern, self.port, self.path)?;
        self.variant.iter().try_for_each(|name| write!(f, "#{name}"))
    }
}

impl std::str::FromStr for Claim {
    type Err = ClaimError;

    /// Reads the canonical text that [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, ClaimError> {
        if let Some(rest) = text.strip_prefix("regex:") {
            let (domains, pattern) = rest.split_once(':').ok_or(ClaimError::Form)?;
            let domains: Vec<String> =
                domains.split(',').filter(|domain| !domain.is_empty()).map(str::to_owned).collect();
            return Self::parse_host_url(&format!("regex:{pattern}"), &domains);
        }
        let (place, variant) = match text.split_once('#') {
            Some((place, name)) if is_field_name(name) => (place, Some(name.to_owned())),
            Some(_) => return Err(ClaimError::Form),
            None => (text, None),
        };
        let claim = Self { variant, ..Self::parse_host_url(place, &[])? };
        if claim.to_string() == text { Ok(claim) } else { Err(ClaimError::Form) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::canonical;

    fn claim(text: &str) -> Claim {
        Claim::parse_host_url(text, &["example.com".into()]).unwrap()
    }

    #[test]
    fn a_claim_has_one_text_and_reads_it_back() {
        for (written, text) in [
            ("api.openai.com", "api.openai.com:443/"),
            ("https://API.openai.com/v1/", "api.openai.com:443/v1"),
            ("https://api.example.com:8443", "api.example.com:8443/"),
            ("*.example.com", "*.example.com:443/"),
            ("https://*.example.com/v2", "*.example.com:443/v2"),
            (r"regex:api[0-9]\.example\.com", r"regex:example.com:api[0-9]\.example\.com"),
        ] {
            assert_eq!(claim(written).to_string(), text);
            assert_eq!(text.parse::<Claim>().unwrap(), claim(written));
        }
        let variant = "github.com:443/#git".parse::<Claim>().unwrap();
        assert_eq!(
            (variant.variant.as_deref(), variant.to_string().as_str()),
            (Some("git"), "github.com:443/#git")
        );
        for refused in [
            "api.openai.com",
            "api.openai.com:443",
            "https://api.openai.com:443/",
            "API.x.com:443/",
            "a.com:443/#",
            "regex:x",
        ] {
            assert!(refused.parse::<Claim>().is_err(), "{refused}");
        }
    }

    #[test]
    fn a_regex_keeps_its_domains_in_its_text() {
        let wide =
            Claim::parse_host_url("regex:x[0-9]", &["example.com".into(), "example.org".into()]).unwrap();
        assert_ne!(wide, Claim::parse_host_url("regex:x[0-9]", &["example.com".into()]).unwrap());
        let open = Claim::parse_host_url("regex:x[0-9]", &[]).unwrap();
        assert_eq!(open.to_string().parse::<Claim>().unwrap(), open);
        assert!(!open.is_routable());
    }

    #[test]
    fn the_port_is_part_of_the_match() {
        assert!(claim("api.example.com").matches_host("api.example.com", 443));
        assert!(!claim("api.example.com").matches_host("api.example.com", 8443));
        assert!(!claim("https://api.example.com:8443").matches_host("api.example.com", 443));
    }

    #[test]
    fn the_longest_path_wins_then_exact_then_glob_then_regex() {
        let order = [
            "regex:.*[.]example[.]com",
            "*.example.com",
            "api.example.com",
            "https://*.example.com/v1",
            "https://api.example.com/v1",
        ];
        for pair in order.windows(2) {
            assert!(claim(pair[0]).specificity() < claim(pair[1]).specificity(), "{pair:?}");
        }
        assert_eq!(claim("a.example.com").specificity(), claim("b.example.com").specificity());
        assert!(claim("https://api.example.com/v1").covers(&canonical("/v1/models")));
    }

    #[test]
    fn hosts_that_are_none_are_refused() {
        for refused in [
            "",
            "http://api.example.com",
            "https://u@api.example.com",
            "u@api.example.com",
            "127.0.0.1",
            "https://[::1]/",
            "localhost",
            "api.example.com:0",
            "api.example.com:x",
            "https://api.example.com/?q",
            "https://api.example.com/#f",
            "https://api.example.com/a/../b",
            "*.com",
            "ftp://api.example.com",
            "regex:(",
            "https://",
        ] {
            assert!(Claim::parse_host_url(refused, &[]).is_err(), "{refused}");
        }
    }
}
