//! Request paths: whole-segment prefixes, and the spellings that servers read in different ways.

use std::borrow::Cow;
use std::fmt;

/// Rounds of percent-decoding after which a path that still changes is given up as doubtful.
const MAX_ROUNDS: usize = 5;
/// Readings of one path after which it is taken for whatever it must not be.
const MAX_READINGS: usize = 48;

/// Why a text is no path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path is `/` or plain segments such as `/v1`: no escapes, dot segments, `//`, `;`, `\\`, `?` or `#`"
)]
pub struct PathPrefixError;

/// A path prefix in whole segments: `/v1` covers `/v1` and `/v1/models`, not `/v10`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// `/`, which covers every path.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The prefix as text; only the root ends with a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Whether every way to read the request's path lies under this prefix. The root covers also what is ambiguous.
    pub fn covers(&self, path: &CanonicalPath<'_>) -> bool {
        if self.is_root() {
            return true;
        }
        let rest = if path.ambiguous { None } else { path.text.strip_prefix(self.0.as_str()) };
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The length that decides between two prefixes of one path: the longer is the more specific.
    pub(crate) fn length(&self) -> usize {
        if self.is_root() { 0 } else { self.0.len() }
    }
}

impl std::str::FromStr for PathPrefix {
    type Err = PathPrefixError;

    fn from_str(text: &str) -> Result<Self, PathPrefixError> {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if trimmed.is_empty() {
            return Ok(Self::root());
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"%\\;?#{}\"<>^`|".contains(&byte);
        let segments = trimmed.strip_prefix('/').ok_or(PathPrefixError)?;
        let whole = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
        if text.len() > 1024 || !segments.split('/').all(whole) {
            return Err(PathPrefixError);
        }
        Ok(Self(trimmed.into()))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request's path, without its query, after looking for second readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    text: &'a str,
    ambiguous: bool,
}

impl<'a> CanonicalPath<'a> {
    /// The path as the client wrote it.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether some server could read this path as one that does not start with the segments written first.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }
}

/// Examines the path of a request target in origin-form (RFC 9112 3.2.1); a query is cut off.
///
/// Ambiguous are dot segments in any spelling, also beside `\`, `;`, `%2f`, `%5c` or encoded twice; control characters,
/// NUL, raw non-ASCII; escapes that are malformed or decode to no UTF-8. Beyond that a prefix is compared byte for byte,
/// so `\`, `//`, `;` and escapes within it never match; behind it they stay under it in every reading.
pub fn canonical(target: &str) -> CanonicalPath<'_> {
    let text = target.split_once(['?', '#']).map_or(target, |(path, _)| path);
    CanonicalPath { text, ambiguous: !text.starts_with('/') || is_ambiguous(text) }
}

fn is_ambiguous(path: &str) -> bool {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.starts_with("//") {
        return true;
    }
    match decode_fully(path) {
        Some(decoded) => decoded.chars().any(char::is_control) || has_dot_segment(&decoded),
        None => true,
    }
}

/// Whether a segment is `.` or `..`, also once parameters, a query, spaces or further dots behind it are dropped.
fn has_dot_segment(decoded: &str) -> bool {
    let only_dots = |name: &str| name.contains('.') && name.chars().all(|letter| matches!(letter, '.' | ' '));
    decoded
        .split(['/', '\\'])
        .any(|segment| only_dots(segment.split([';', '?', '#']).next().unwrap_or_default()))
}

/// Decodes until nothing changes; `None` for a malformed escape, what is no UTF-8, or too many rounds.
fn decode_fully(path: &str) -> Option<Cow<'_, str>> {
    let mut decoded = Cow::Borrowed(path);
    for round in 0..MAX_ROUNDS {
        if !decoded.contains('%') {
            return Some(decoded);
        }
        match decode_once(&decoded) {
            Some(next) => decoded = Cow::Owned(next),
            // `%25` alone stands for a percent sign: what a first round leaves need not be an escape.
            None if round > 0 => return Some(decoded),
            None => return None,
        }
    }
    None
}

fn decode_once(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(rest.next()?)? << 4 | hex(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn before(text: &str, mark: char) -> &str {
    text.split_once(mark).map_or(text, |(head, _)| head)
}

/// Whether some server could take the request's path for the endpoint's: case-insensitive, decoded as often as it
/// can be, dot segments resolved before or after that, slashes collapsed, parameters, extension and trailing slash
/// dropped.
///
/// Meant for endpoints that must never carry a credential: it errs towards `true`.
pub fn may_be(endpoint_path: &str, request_path: &str) -> bool {
    may_match(endpoint_path, request_path, is_same)
}

/// Whether some server could take the request's path for one at or below `prefix`; otherwise like [`may_be`].
pub fn may_be_below(prefix: &str, request_path: &str) -> bool {
    may_match(prefix, request_path, is_at_or_below)
}

/// Compares two paths without slashes at their ends.
type Compare = fn(&str, &str) -> bool;

fn is_same(endpoint: &str, path: &str) -> bool {
    endpoint.eq_ignore_ascii_case(path) || endpoint.eq_ignore_ascii_case(without_extension(path))
}

fn is_at_or_below(prefix: &str, path: &str) -> bool {
    let below = path
        .as_bytes()
        .split_at_checked(prefix.len())
        .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(prefix.as_bytes()) && rest.starts_with(b"/"));
    prefix.is_empty() || below || is_same(prefix, path)
}

fn may_match(endpoint_path: &str, request_path: &str, compare: Compare) -> bool {
    match (plain(endpoint_path), plain(request_path)) {
        (Some(endpoint), Some(request)) => compare(endpoint, request),
        _ => is_among_readings(endpoint_path, request_path, compare),
    }
}

/// A path that can be read in one way only, without slashes at its ends. Most are: what follows allocates nothing.
fn plain(path: &str) -> Option<&str> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let letter = |byte: u8| byte.is_ascii_graphic() && !b"%;\\?#".contains(&byte);
    let whole = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(letter);
    inner.split('/').all(whole).then_some(inner)
}

fn is_among_readings(endpoint_path: &str, request_path: &str, compare: Compare) -> bool {
    let endpoint = collapse(endpoint_path);
    let mut readings = vec![before(before(request_path, '?'), '#').to_lowercase()];
    let mut next = 0;
    while let Some(reading) = readings.get(next) {
        // A server that leaves dot segments as they are sees what stands before them.
        if compare(&endpoint, &collapse(reading)) || compare(&endpoint, reading.trim_matches('/')) {
            return true;
        }
        let cut = reading.find([';', '?', '#', '\0']).map_or(reading.as_str(), |end| &reading[..end]);
        for further in [decode_escapes(reading), format!("/{}", collapse(reading)), cut.to_owned()] {
            if !readings.contains(&further) {
                readings.push(further);
            }
        }
        if readings.len() > MAX_READINGS {
            return true;
        }
        next += 1;
    }
    false
}

fn without_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem,
        _ => path,
    }
}

/// The path without slashes at its ends, lower-case: dot segments resolved, empty segments and parameters dropped.
fn collapse(path: &str) -> String {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split(['/', '\\']) {
        let segment: String = before(segment, ';').chars().filter(|letter| !letter.is_control()).collect();
        match segment.trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.to_lowercase()),
        }
    }
    segments.join("/")
}

/// Decodes what is an escape, once, and leaves the rest.
fn decode_escapes(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (bytes.get(at + 1).copied().and_then(hex), bytes.get(at + 2).copied().and_then(hex));
        if let (b'%', (Some(high), Some(low))) = (byte, pair) {
            decoded.push(high << 4 | low);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(prefix: &str, target: &str) -> bool {
        prefix.parse::<PathPrefix>().unwrap().covers(&canonical(target))
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        for inside in
            ["/v1", "/v1/", "/v1/models", "/v1?x=/../", "/v1/models?a=b", "/v1/a%20b", "/v1/%7Euser"]
        {
            assert!(covers("/v1", inside), "{inside}");
        }
        for outside in ["/", "/v", "/v10", "/v1x/y", "/V1/models", "/x/v1", "v1", "", "*"] {
            assert!(!covers("/v1", outside), "{outside}");
        }
    }

    #[test]
    fn the_root_covers_everything() {
        for path in ["/", "/a/../b", "/%2e%2e/", "*", ""] {
            assert!(covers("/", path), "{path}");
        }
    }

    #[test]
    fn what_can_be_read_two_ways_never_widens_a_match() {
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/v1/..",
            "/v1/.",
            "/v1/%2e%2e/admin",
            "/v1/%2E%2e/admin",
            "/v1/.%2e/admin",
            "/v1/..%2fadmin",
            "/v1/..%2Fadmin",
            "/v1%2fx",
            "/v1%2Fx",
            "/v1/..%5cadmin",
            "/v1/..\\admin",
            "/v1\\x",
            "/v1%5cx",
            "/v1/..;/admin",
            "/v1/..;a=b/admin",
            "/v1;/x",
            "/v1;a/x",
            "/v1%3b/x",
            "//v1/x",
            "//v1",
            "/./v1",
            "/x/../v1/y",
            "/v1/%252e%252e/admin",
            "/v1/%25252e%25252e/x",
            "/v1/..%252fadmin",
            "/v1/%00",
            "/v1/a%0ab",
            "/v1/a%0d%0ab",
            "/v1/a\0b",
            "/v1/a\tb",
            "/v1/a b",
            "/v1/%",
            "/v1/%2",
            "/v1/%zz",
            "/v1/%u002e%u002e/x",
            "/v1/%c0%ae%c0%ae/x",
            "/v1/%ff",
            "/v1/é",
            "/%76%31/x",
            "/%761/x",
            "/v1/%2e%2e%2fadmin",
            "/v1/x/%2e%2e/%2e%2e",
            "/v1/a%2f..%2f..%2fadmin",
            "/v1/a%5c..%5c..%5cadmin",
            "/v1/..%3b/admin",
            "/v1/.. /admin",
            "/v1/..%20/admin",
            "/v1/%09../admin",
            "/v1/..%3fx",
            "/v1/..%23x",
            "/v1/...",
            "/v1/..%20./x",
        ] {
            assert!(!covers("/v1", path), "{path}");
        }
    }

    #[test]
    fn what_stays_under_the_prefix_in_every_reading_matches() {
        for path in [
            "/api/v4/projects/group%2Fproject",
            "/api/a%2fb/c",
            "/api/a;b=c",
            "/api/a//b",
            "/api/100%25",
            "/api/a%5cb",
        ] {
            assert!(covers("/api", path), "{path}");
        }
    }

    #[test]
    fn a_prefix_is_plain() {
        for refused in [
            "v1", "/v1/../x", "/./x", "//", "/v1//x", "/v%31", "/v1;x", "/a\\b", "/a?b", "/a#b", "/a b",
            "/é", "/{x}",
        ] {
            assert!(refused.parse::<PathPrefix>().is_err(), "{refused}");
        }
        assert_eq!("/v1/".parse::<PathPrefix>().unwrap().as_str(), "/v1");
        assert!("".parse::<PathPrefix>().unwrap().is_root());
    }

    #[test]
    fn an_endpoint_is_recognised_in_every_spelling() {
        for path in [
            "/login/oauth/access_token",
            "/login/oauth/access_token?x",
            "/login/oauth/access_token/",
            "/Login/OAuth/Access_Token",
            "//login//oauth/access_token",
            "/login/./oauth/access_token",
            "/x/../login/oauth/access_token",
            "/login/oauth%2Faccess_token",
            "/login%2foauth%2faccess_token",
            "/%6cogin/oauth/access_token",
            "/login/%2e/oauth/access_token",
            "/x/%2e%2e/login/oauth/access_token",
            "/%256cogin/oauth/access_token",
            "\\login\\oauth\\access_token",
            "/login%5coauth%5caccess_token",
            "/login;a=b/oauth/access_token",
            "/login/oauth/access_token;x",
            "/login/oauth/access_token.json",
            "/login/oauth/access_token%00x",
            "/login/oauth/access_token%3fx",
            "/login/oauth/access_token%23x",
            "/login/oauth/access_token%20",
            "/login/oauth/access%0a_token",
            "/x/..;/login/oauth/access_token",
            "/login/oauth/x%2fy/../access_token",
            "/login/oauth/x%2fy/../acc%65ss_token",
            "/login/oauth/x%252fy/%2e%2e/access_token",
            "/login/oauth/access_token;x/../y",
            "/login/oauth/access_token%3bx/../y",
        ] {
            assert!(may_be("/login/oauth/access_token", path), "{path}");
        }
        for path in ["/login/oauth", "/login/oauth/access_tokens", "/repos/login/oauth/access_token", "/", ""]
        {
            assert!(!may_be("/login/oauth/access_token", path), "{path}");
        }
        assert!(may_be("/oauth/token.json", "/oauth/token.json"));
    }

    #[test]
    fn what_lies_below_is_recognised_in_every_spelling() {
        for path in [
            "/mcp",
            "/mcp/",
            "/MCP/tools",
            "/mcp/a/b",
            "//mcp/a",
            "/%6dcp/a",
            "/x/../mcp/a",
            "/mcp/../models",
            "/mcp%2fa",
            "/mcp;x/a",
            "\\mcp\\a",
            "/mcp?gradio=1",
            "/mcp.json",
            "/x%2f..%2fmcp/a",
        ] {
            assert!(may_be_below("/mcp", path), "{path}");
        }
        for path in ["/", "", "/any/thing", "/a/../b", "/%2e"] {
            assert!(may_be_below("/", path), "{path}");
        }
        for path in ["/", "", "/mcps", "/models/mcp", "/mc", "/api/mcp/x", "/models/é"] {
            assert!(!may_be_below("/mcp", path), "{path}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4096))]

        #[test]
        fn the_short_way_says_what_all_readings_say(
            endpoint in "/(token|oauth/token|a/b|token\\.json|)/?",
            request in "/{1,2}(A|a|oauth|OAuth|\\.|\\.\\.|%61|;x)?/?(b|token|Token|to%6ben|token\\.json)(/|;x|\\?q)?",
        ) {
            for compare in [is_same as Compare, is_at_or_below] {
                assert_eq!(may_match(&endpoint, &request, compare), is_among_readings(&endpoint, &request, compare));
            }
        }
    }
}
