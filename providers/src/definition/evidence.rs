//! What a definition's facts rest on: which facts there are, which source of the vendor's says so, and what is open.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Something that was read: a page, a file of a repository, or a file of a published package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct Reference {
    /// The page.
    pub url: Option<String>,
    /// The repository: `owner/name` on GitHub.
    pub repo: Option<String>,
    /// The commit of the repository.
    pub commit: Option<String>,
    /// The package: `pypi:name` or `npm:name`.
    pub package: Option<String>,
    /// The version of the package.
    pub version: Option<String>,
    /// The file in the repository or package.
    pub path: Option<String>,
    /// When it was read: `2026-11-21`.
    pub date: Option<String>,
    /// The facts that it supports, as JSON paths; a path covers all below it.
    pub fields: Vec<String>,
    /// Whether somebody else than the vendor wrote it: it supports no fact then.
    pub third_party: bool,
}

/// Facts that no source of the vendor's was found for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct Gap {
    /// The facts, as JSON paths.
    pub fields: Vec<String>,
    /// What was found instead.
    pub reason: String,
}

/// What a definition says of its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Evidence {
    /// The facts, as JSON paths.
    pub facts: Vec<String>,
    /// What was read.
    pub sources: Vec<Reference>,
    /// What is open.
    pub gaps: Vec<Gap>,
    /// Entries of `sources` and `unverified` that are of no form known here, and facts that are not written out: another
    /// spelling, a host that is no list, a place that is left to the default.
    pub malformed: usize,
}

/// Takes a credential away from somewhere: sources may speak of it, and need not.
const EXCLUDED: &str = "excluded";
/// Facts at the top of a definition.
const TOP: &[&str] = &["base_url", "docs", "placeholder"];
const FORM: &[&str] = &["header_name", "header_prefix", "placement", "variants", "env_var", "key_pattern"];
const OAUTH: &[&str] = &[
    "authorization_url",
    "token_url",
    "refresh_url",
    "revocation_url",
    "introspection_url",
    "device_authorization_url",
    "registration_endpoint",
    "scopes",
    "scope_separator",
    "scope_param",
    "pkce",
    "supports_device_flow",
    "supports_dcr",
    "supports_client_credentials",
    "supports_token_exchange",
    "subject_token_type",
    "issuer",
    "client_authentication",
    "public_clients",
    "refresh_tokens",
    "refresh_token_errors",
    "authorize_params",
    "token_params",
    "token_pointer",
    "token_accept",
    "token_body",
    "revocation",
    "resource",
    "redirect",
    "account",
];
/// What nobody can log in without knowing: a fact, or known to be open, even where the definition is silent.
const OAUTH_ASKED: &[&str] = &["token_url", "scopes", "pkce", "client_authentication", "refresh_tokens"];

impl Evidence {
    /// Reads it from a definition's JSON.
    pub(super) fn read(raw: &Value) -> Self {
        let (sources, odd_sources) = entries(&raw["sources"]);
        let (gaps, odd_gaps) = entries(&raw["unverified"]);
        Self { facts: facts(raw), sources, gaps, malformed: odd_sources + odd_gaps + implicit(raw) }
    }

    /// Whether a source of the vendor's supports the fact.
    pub fn is_supported(&self, fact: &str) -> bool {
        let own = self.sources.iter().filter(|source| !source.third_party);
        own.flat_map(|source| &source.fields).any(|path| covers(path, fact))
    }

    /// Whether the fact is said to be open.
    pub fn is_open(&self, fact: &str) -> bool {
        self.gaps.iter().flat_map(|gap| &gap.fields).any(|path| covers(path, fact))
    }

    /// The facts that count as verified: supported, and not said to be open.
    pub fn verified(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().map(String::as_str).filter(|fact| self.is_supported(fact) && !self.is_open(fact))
    }

    /// The facts that are said to be open.
    pub fn unverified(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().map(String::as_str).filter(|fact| self.is_open(fact))
    }

    /// Whether a fact says where the credential goes, or in what form.
    pub fn is_routing(fact: &str) -> bool {
        let form = |block: &str| FORM[..4].iter().any(|key| fact == format!("{block}.{key}"));
        fact.starts_with("host_url") || fact == "base_url" || form("api_key") || form("oauth")
    }

    /// What a reviewer has to mend: facts without evidence, evidence for what is no fact, sources that nobody can find.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let bare = self.facts.iter().filter(|fact| !self.is_supported(fact) && !self.is_open(fact));
        faults.extend(bare.map(|fact| format!("`{fact}` rests on nothing and is not listed as unverified")));
        let named = self.sources.iter().flat_map(|source| &source.fields);
        let named = named.chain(self.gaps.iter().flat_map(|gap| &gap.fields));
        let known = |path: &String| {
            path == EXCLUDED || self.facts.iter().any(|fact| covers(path, fact) || covers(fact, path))
        };
        faults.extend(named.filter(|path| !known(path)).map(|path| format!("`{path}` is no fact of it")));
        let lost = self.sources.iter().filter(|source| !source.can_be_found());
        faults.extend(lost.map(|source| format!("cannot be found again: {source:?}")));
        let mute = self.gaps.iter().filter(|gap| gap.reason.is_empty() || gap.fields.is_empty());
        faults.extend(mute.map(|gap| format!("says not what is open, or why: {gap:?}")));
        if self.sources.is_empty() || self.malformed > 0 {
            faults.push(format!(
                "{} sources, {} entries of unknown form or left implicit",
                self.sources.len(),
                self.malformed
            ));
        }
        faults
    }
}

impl Reference {
    fn can_be_found(&self) -> bool {
        let hex = |text: &String| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let page = self.url.as_ref().is_some_and(|url| url.starts_with("https://"));
        let file = self.repo.as_ref().is_some_and(|repo| repo.split('/').count() == 2)
            && self.commit.as_ref().is_some_and(hex)
            && self.path.is_some();
        let registry = |name: &String| name.starts_with("pypi:") || name.starts_with("npm:");
        let package =
            self.package.as_ref().is_some_and(registry) && self.version.is_some() && self.path.is_some();
        (page || file || package) && !self.fields.is_empty() && self.date.as_deref().is_some_and(is_date)
    }
}

fn is_date(text: &str) -> bool {
    let digits =
        |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

/// Whether `path` is `fact` or something above it: `oauth` covers `oauth.scopes`, `host_url` covers `host_url[1]`.
fn covers(path: &str, fact: &str) -> bool {
    fact.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The entries of a list that can be read, and the number of the others.
fn entries<T: for<'a> Deserialize<'a>>(list: &Value) -> (Vec<T>, usize) {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let read: Vec<T> = items.iter().filter_map(|item| T::deserialize(item).ok()).collect();
    let lost = items.len() - read.len() + usize::from(!list.is_null() && !list.is_array());
    (read, lost)
}

fn facts(raw: &Value) -> Vec<String> {
    let mut facts = Vec::new();
    let hosts = raw.get("host_url").and_then(Value::as_array).map_or(0, Vec::len);
    facts.extend((0..hosts).map(|at| format!("host_url[{at}]")));
    facts.extend(TOP.iter().filter(|key| !raw[**key].is_null()).map(|key| (*key).to_owned()));
    for (at, field) in raw["fields"].as_array().into_iter().flatten().enumerate() {
        let keys = ["env_var", "key_pattern"].into_iter().filter(|key| !field[*key].is_null());
        facts.extend(keys.map(|key| format!("fields[{at}].{key}")));
    }
    for (block, keys) in [("api_key", FORM), ("oauth", FORM), ("oauth", OAUTH)] {
        let Some(object) = raw[block].as_object() else { continue };
        let keys = keys.iter().filter(|key| object.contains_key(**key));
        facts.extend(keys.map(|key| format!("{block}.{key}")));
    }
    facts.extend(asked(raw));
    for (path, object) in [("export.env", &raw["export"]["env"]), ("client", &raw["client"])] {
        let names = object.as_object().into_iter().flat_map(serde_json::Map::keys);
        facts.extend(names.map(|name| format!("{path}.{name}")));
    }
    facts
}

/// How many facts a reviewer could miss, because they stand elsewhere or nowhere.
fn implicit(raw: &Value) -> usize {
    let elsewhere =
        ["/api_url", "/docs_url", "/oauth/supports_device_code", "/oauth/base_url", "/registration"];
    let odd = elsewhere.iter().filter(|pointer| raw.pointer(pointer).is_some()).count();
    let placed = |block: &&str| {
        let given = |key: &str| raw[*block].get(key).is_some();
        raw[*block].is_null() || given("placement") || (given("header_name") && given("header_prefix"))
    };
    let unplaced = ["api_key", "oauth"].iter().filter(|block| !placed(block)).count();
    odd + unplaced + usize::from(!raw["host_url"].is_array() && raw["not_routed"].is_null())
}

/// What an OAuth block must say or leave open, where it is silent.
fn asked(raw: &Value) -> Vec<String> {
    let Some(oauth) = raw["oauth"].as_object() else { return Vec::new() };
    let page = (raw["flow"] != "device_code").then_some("authorization_url");
    let asked = OAUTH_ASKED.iter().copied().chain(page);
    asked.filter(|key| !oauth.contains_key(*key)).map(|key| format!("oauth.{key}")).collect()
}
