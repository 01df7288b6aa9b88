//! What a definition claims of hosts: an exact name, a label-wise glob, or a regex kept within domains.
//!
//! The only file that names globset and regex. Nothing here matches by substring.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::bytes::{Regex, RegexBuilder};

use crate::suffix::{self, OpenDomainError};

/// The longest name (RFC 1035 2.3.4), in bytes.
const MAX_HOST: usize = 253;
const MAX_REGEX_BYTES: usize = 512;
const REGEX_SIZE_LIMIT: usize = 64 * 1024;
const DFA_SIZE_LIMIT: usize = 256 * 1024;
const REGEX_NEST_LIMIT: u32 = 32;

/// Names that no provider's pattern has any business to match.
const FOREIGN_NAMES: &[&str] = &[
    "a",
    "com",
    "evil.test",
    "evil.com",
    "www.evil.co.uk",
    "api.evil.net",
    "x.y.z.evil.dev",
    "q7rk2vzt1m.invalid",
    "q7rk2vzt1m.org",
    "xn--80ak6aa92e.com",
];

/// Why a text is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a lower-case DNS name in ASCII, or an IP address.
    #[error("`{0}` is not a host name (ASCII, no IP address, no loopback name)")]
    Host(String),
    /// A glob's star stands for one whole label.
    #[error("`{0}` is not a glob: `*` stands for one whole label, and is the only metacharacter")]
    Glob(String),
    /// A wildcard, or a regex's domain, over names that belong to strangers.
    #[error("`{domain}` cannot be left open: {reason}")]
    Open {
        /// The domain below which any name would match.
        domain: String,
        /// Why not.
        reason: OpenDomainError,
    },
    /// Not a regular expression, or one above the limits of size and nesting.
    #[error("the regex does not compile within its limits")]
    Regex,
    /// It matches names that cannot be the provider's.
    #[error("the regex also matches names such as `{0}`")]
    Foreign(&'static str),
}

/// A pattern of host names.
#[derive(Debug, Clone)]
pub enum HostPattern {
    /// One name.
    Exact(String),
    /// Labels, of which some are a star.
    Glob(Glob),
    /// A regular expression over the whole name, which also lies within `domains`.
    Regex(HostRegex),
}

/// A label-wise glob.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    /// Where its last star ends: what follows is a plain suffix.
    suffix: usize,
    matcher: GlobMatcher,
}

/// A regular expression over whole host names.
#[derive(Debug, Clone)]
pub struct HostRegex {
    text: String,
    domains: Vec<String>,
    matcher: Regex,
}

impl HostPattern {
    /// A bare host or a glob.
    ///
    /// # Errors
    /// [`PatternError`] when it is neither, or the glob is open to strangers.
    pub fn host_or_glob(text: &str) -> Result<Self, PatternError> {
        if text.contains(['*', '?', '[', ']', '{', '}', '!']) {
            glob(text).map(Self::Glob)
        } else {
            exact(text).map(Self::Exact)
        }
    }

    /// A regular expression, anchored here, and the domains that it stays within; without them it is never routed.
    ///
    /// # Errors
    /// [`PatternError`] when it is malformed, too large, matches foreign names, or a domain is open to strangers.
    pub fn regex(pattern: &str, domains: &[String]) -> Result<Self, PatternError> {
        for domain in domains {
            exact(domain)?;
            suffix::check_domain(domain)
                .map_err(|reason| PatternError::Open { domain: domain.clone(), reason })?;
        }
        let matcher = whole(pattern)?;
        if let Some(name) = FOREIGN_NAMES.iter().find(|name| matcher.is_match(name.as_bytes())) {
            return Err(PatternError::Foreign(name));
        }
        Ok(Self::Regex(HostRegex { text: pattern.into(), domains: domains.to_vec(), matcher }))
    }

    /// Whether the pattern matches a host, which is lower-case, in A-labels, without a trailing dot.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Glob(glob) => glob.matches(host),
            Self::Regex(regex) => {
                regex.domains.iter().any(|domain| suffix::is_at_or_below(host, domain))
                    && regex.matcher.is_match(host.as_bytes())
            }
        }
    }

    /// Whether requests may be routed by it: not for a regex without domains.
    pub fn is_routable(&self) -> bool {
        !matches!(self, Self::Regex(regex) if regex.domains.is_empty())
    }

    /// The dNSName subtrees that cover every match (RFC 5280 4.2.1.10): the name, a glob's suffix, a regex's domains.
    pub fn permitted_suffixes(&self) -> Vec<&str> {
        match self {
            Self::Exact(name) => vec![name],
            Self::Glob(glob) => vec![closed_suffix(&glob.text)],
            Self::Regex(regex) => regex.domains.iter().map(String::as_str).collect(),
        }
    }
}

impl Glob {
    fn matches(&self, host: &str) -> bool {
        // A star of globset also stands for nothing; a label is never empty. The suffix is cheap to compare, and
        // most hosts are strangers.
        let mut path = [0; MAX_HOST];
        host.ends_with(&self.text[self.suffix..])
            && !host.split('.').any(str::is_empty)
            && as_path(host, &mut path).is_some_and(|path| self.matcher.is_match(path))
    }
}

impl PartialEq for HostPattern {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for HostPattern {}

impl fmt::Display for HostPattern {
    /// The host, the glob, or `regex:<domains, comma-separated>:<pattern>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Glob(glob) => f.write_str(&glob.text),
            Self::Regex(regex) => write!(f, "regex:{}:{}", regex.domains.join(","), regex.text),
        }
    }
}

fn exact(text: &str) -> Result<String, PatternError> {
    let name = text.to_ascii_lowercase();
    let refused = || PatternError::Host(text.into());
    let last = name.rsplit('.').next().unwrap_or(&name);
    let numeric = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    let loopback = suffix::is_at_or_below(&name, "localhost");
    if name.len() > MAX_HOST || !name.split('.').all(is_label) || numeric || loopback || !name.contains('.') {
        return Err(refused());
    }
    Ok(name)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn glob(text: &str) -> Result<Glob, PatternError> {
    let text = text.to_ascii_lowercase();
    let refused = || PatternError::Glob(text.clone());
    if text.len() > MAX_HOST || !text.split('.').all(|label| label == "*" || is_label(label)) {
        return Err(refused());
    }
    let closed = closed_suffix(&text);
    suffix::check_glob(&text, closed)
        .map_err(|reason| PatternError::Open { domain: closed.into(), reason })?;
    // globset's separator is the slash: with one for every dot, a star cannot cross a label.
    let built =
        GlobBuilder::new(&text.replace('.', "/")).literal_separator(true).backslash_escape(false).build();
    let matcher = built.map_err(|_| refused())?.compile_matcher();
    let suffix = text.rfind('*').map_or(0, |star| star + 1);
    Ok(Glob { text, suffix, matcher })
}

/// A host with slashes for its dots, without an allocation: this is asked for each request.
fn as_path<'a>(host: &str, room: &'a mut [u8; MAX_HOST]) -> Option<&'a str> {
    let path = room.get_mut(..host.len())?;
    for (to, from) in path.iter_mut().zip(host.bytes()) {
        *to = if from == b'.' { b'/' } else { from };
    }
    std::str::from_utf8(path).ok()
}

/// The labels right of the last star.
fn closed_suffix(glob: &str) -> &str {
    let tail = glob.rsplit_once('*').map_or(glob, |(_, tail)| tail);
    tail.strip_prefix('.').unwrap_or(tail)
}

/// Compiles a pattern that must match a whole text, ASCII only, within limits.
fn whole(pattern: &str) -> Result<Regex, PatternError> {
    if pattern.len() > MAX_REGEX_BYTES {
        return Err(PatternError::Regex);
    }
    // Alone first: an unbalanced `a)|(b` would close the group that anchors it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

fn build(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_SIZE_LIMIT)
        .dfa_size_limit(DFA_SIZE_LIMIT)
        .nest_limit(REGEX_NEST_LIMIT)
        .build()
        .map_err(|_| PatternError::Regex)
}

/// A pattern that a whole field value has to match, such as the shape of a vendor's keys.
#[derive(Debug, Clone)]
pub struct ValuePattern {
    text: String,
    matcher: Regex,
}

impl ValuePattern {
    /// Compiles a pattern; it is anchored here.
    ///
    /// # Errors
    /// [`PatternError::Regex`] when it is malformed or too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { text: pattern.into(), matcher: whole(pattern)? })
    }

    /// Whether the whole value matches.
    pub fn matches(&self, value: &str) -> bool {
        self.matcher.is_match(value.as_bytes())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for ValuePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ValuePattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(list: &[&str]) -> Vec<String> {
        list.iter().map(|&domain| domain.to_owned()).collect()
    }

    #[test]
    fn an_exact_host_matches_itself_alone() {
        let pattern = HostPattern::host_or_glob("API.github.com").unwrap();
        assert!(pattern.matches("api.github.com"));
        for other in [
            "github.com",
            "xapi.github.com",
            "x.api.github.com",
            "api.github.com.evil.test",
            "api-github.com",
            "apiXgithub.com",
            "api.github.co",
            "api.github.comm",
            "",
            "api.github.com.",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
    }

    #[test]
    fn a_star_is_one_label() {
        let pattern = HostPattern::host_or_glob("*.twilio.com").unwrap();
        assert!(pattern.matches("api.twilio.com"));
        for other in [
            "twilio.com",
            "a.b.twilio.com",
            "api.twilio.com.evil.test",
            "eviltwilio.com",
            "api.eviltwilio.com",
            "api/twilio/com",
        ] {
            assert!(!pattern.matches(other) || other.contains('/'), "{other}");
        }
        let inner = HostPattern::host_or_glob("api.*.*.twilio.com").unwrap();
        assert!(inner.matches("api.dublin.ie1.twilio.com"));
        assert!(!inner.matches("api.dublin.twilio.com"));
        assert_eq!(inner.permitted_suffixes(), ["twilio.com"]);
    }

    #[test]
    fn a_glob_is_not_open_to_strangers() {
        for refused in [
            "*",
            "*.*",
            "*.com",
            "*.co.uk",
            "*.github.io",
            "*.zendesk.com",
            "*.myshopify.com",
            "*.supabase.co",
            "api.*",
            "api.*.com",
            "*.*.zendesk.com",
            "x*.example.com",
            "*x.example.com",
            "**.example.com",
            "?.example.com",
            "[ab].example.com",
            "{a,b}.example.com",
            "!a.example.com",
            "*..example.com",
            "*.example.com.",
            "*.s3.amazonaws.com",
            "*.amazonaws.com",
            "*.core.windows.net",
            "*.exa mple.com",
            "*.localhost",
        ] {
            assert!(HostPattern::host_or_glob(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_address_or_a_loopback_name_is_no_host() {
        for refused in [
            "127.0.0.1",
            "1",
            "0x7f.1",
            "[::1]",
            "::1",
            "localhost",
            "x.localhost",
            "example.com.",
            ".example.com",
            "",
            "a..b",
            "-a.com",
            "a-.com",
            "exämple.com",
            "a b.com",
            "user@example.com",
            "example.com:443",
            "10.0.0.0x1f",
            "intranet",
        ] {
            assert!(HostPattern::host_or_glob(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_regex_is_anchored_and_stays_within_its_domains() {
        let pattern = HostPattern::regex(r".*examplecdn\.com$", &domains(&["examplecdn.com"])).unwrap();
        assert!(pattern.matches("raw.examplecdn.com") && pattern.matches("examplecdn.com"));
        for other in ["evilexamplecdn.com", "examplecdn.com.evil.test", "raw.examplecdn.com.evil.test"] {
            assert!(!pattern.matches(other), "{other}");
        }
        let unanchored = HostPattern::regex("api[0-9]", &domains(&["example.com"])).unwrap();
        assert!(!unanchored.matches("api1.example.com"));
        assert_eq!(pattern.to_string(), r"regex:examplecdn.com:.*examplecdn\.com$");
    }

    #[test]
    fn a_regex_without_domains_is_never_routed() {
        let pattern = HostPattern::regex(r".*\.linear\.app", &[]).unwrap();
        assert!(!pattern.is_routable());
        assert!(!pattern.matches("api.linear.app"));
        assert!(pattern.permitted_suffixes().is_empty());
    }

    #[test]
    fn a_regex_that_matches_foreign_names_is_refused() {
        for refused in [
            ".*",
            ".+",
            r".+\.com",
            r"[a-z0-9.-]+",
            r"[^x]*",
            r"(?i).*\.COM",
            r"\S+",
            r"evil\.test|api\.example\.com",
        ] {
            assert!(
                matches!(
                    HostPattern::regex(refused, &domains(&["example.org"])),
                    Err(PatternError::Foreign(_))
                ),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_regex_is_bounded_and_cannot_break_its_anchors() {
        let long = "a".repeat(MAX_REGEX_BYTES + 1);
        let deep = format!("{}a{}", "(".repeat(40), ")".repeat(40));
        for refused in [
            "(",
            "a)|(?:b",
            "a{1000}{1000}",
            "(?:a{1000}){100}",
            "(?P<",
            long.as_str(),
            deep.as_str(),
            "(?x)a#",
        ] {
            assert_eq!(HostPattern::regex(refused, &[]).unwrap_err(), PatternError::Regex, "{refused}");
        }
    }

    #[test]
    fn a_domain_of_a_regex_is_not_open_to_strangers() {
        for refused in ["com", "zendesk.com", "github.io", "127.0.0.1", "localhost", "*.example.com"] {
            assert!(HostPattern::regex("x", &domains(&[refused])).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_value_pattern_matches_the_whole_value() {
        let pattern = ValuePattern::new("sk-[A-Za-z0-9]{3,}").unwrap();
        assert!(pattern.matches("sk-abc"));
        for other in ["xsk-abc", "sk-abc\n", "sk-ab", "sk-abc d"] {
            assert!(!pattern.matches(other), "{other:?}");
        }
    }
}
