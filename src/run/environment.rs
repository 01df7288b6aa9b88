//! The child's environment: what each client needs to come to the proxy and to trust it, and what is kept
//! from it. Pure: the parent's environment is an argument.

mod building;
mod no_proxy;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::shims::Files;
use building::{Building, words};

/// Set for the child, so that authsome knows inside a run that it is inside.
const PROXY_MODE: &str = "AUTHSOME_PROXY_MODE";

/// Every client with proxy support reads one of these; wget, apt and gRPC the lower-case ones only, Ruby
/// `http_proxy` also for https. `ALL_PROXY` displaces a value of the parent's.
const PROXY: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
];
const NO_PROXY: [&str; 3] = ["NO_PROXY", "no_proxy", "npm_config_noproxy"];
/// These replace a client's roots.
const BUNDLE: [&str; 18] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "HTTPLIB2_CA_CERTS",
    "WEBSOCKET_CLIENT_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PERL_LWP_SSL_CA_FILE",
    "NIX_SSL_CERT_FILE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "YARN_HTTPS_CA_FILE_PATH",
    "BUNDLE_SSL_CA_CERT",
    "HEX_CACERTS_PATH",
    "npm_config_cafile",
    "AUTHSOME_CA_BUNDLE",
];
/// These add to a client's roots.
const EXTRA_CA: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];
const CONSTANTS: [(&str, &str); 4] = [
    ("NODE_USE_ENV_PROXY", "1"),
    ("DENO_TLS_CA_STORE", "system,mozilla"),
    ("PERL_LWP_ENV_PROXY", "1"),
    (PROXY_MODE, "true"),
];
/// Settings of single clients that would win over the ones above; `GIT_CONFIG_*` and `PIP_PROXY` are treated
/// on their own.
const RIVALS: [&str; 12] = [
    "grpc_proxy",
    "no_grpc_proxy",
    "wss_proxy",
    "ws_proxy",
    "socks_proxy",
    "CARGO_HTTP_PROXY",
    "YARN_HTTP_PROXY",
    "YARN_HTTPS_PROXY",
    "NPM_CONFIG_PROXY",
    "NPM_CONFIG_HTTPS_PROXY",
    "NPM_CONFIG_NOPROXY",
    "NPM_CONFIG_CAFILE",
];
/// A secret shorter than this is looked for as a whole value only: it may be part of anything.
const SHORTEST_PART: usize = 8;

/// Variables in order.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// Whether the user's own settings name a proxy that would win over the environment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UserProxy {
    /// `http.proxy` in a gitconfig.
    pub(crate) git: bool,
    /// `proxy` in a pip.conf.
    pub(crate) pip: bool,
}

/// What the child's environment is made from. It has no `Debug`: it holds secrets and the run's token.
pub(crate) struct Inputs<'a> {
    /// The environment of authsome itself.
    pub(crate) parent: &'a [(OsString, OsString)],
    /// The program that is started, with its arguments.
    pub(crate) command: &'a [OsString],
    /// `http://run:TOKEN@127.0.0.1:PORT`
    pub(crate) proxy_url: &'a str,
    /// The files of this run.
    pub(crate) files: &'a Files,
    /// Whether some routed host is this name or lies below it.
    pub(crate) covers_route: &'a dyn Fn(&str) -> bool,
    /// Ports of routes besides 443.
    pub(crate) ports: &'a [u16],
    /// What stands in for each secret, and the values of fields that are none.
    pub(crate) placeholders: &'a [(String, String)],
    /// Variables of the definitions that may hold a secret.
    pub(crate) taken_away: &'a [String],
    /// What no value may contain.
    pub(crate) secrets: &'a [&'a [u8]],
    /// Settings of the user's that need a stronger answer.
    pub(crate) user_proxy: UserProxy,
}

/// The child's environment, and what the user should hear about it.
pub(crate) struct Child {
    /// The whole environment.
    pub(crate) variables: Variables,
    /// One line each for stderr.
    pub(crate) notes: Vec<Note>,
}

/// Something that was kept from the child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// A variable of this name contained a secret.
    ContainedSecret(OsString),
    /// An entry of `NO_PROXY` would have led round the proxy.
    NoProxyDropped(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContainedSecret(name) => {
                write!(f, "{} was taken away from the agent: its value contains a secret", name.display())
            }
            Self::NoProxyDropped(entry) => {
                write!(f, "{entry:?} in NO_PROXY is ignored: it would lead past the proxy")
            }
        }
    }
}

/// Makes the child's environment.
pub(crate) fn child(inputs: &Inputs<'_>) -> Child {
    let mut notes = Vec::new();
    let mut child = Building::new(kept(inputs, &mut notes));
    for (name, value) in inputs.placeholders {
        child.replace(name, value);
    }
    let (no_proxy, dropped) = no_proxy::list(inputs.parent, inputs.covers_route);
    notes.extend(dropped.into_iter().map(Note::NoProxyDropped));

    proxies(&mut child, inputs, &no_proxy);
    trust(&mut child, inputs.files);
    preloads(&mut child, inputs);
    Child { variables: child.finish(), notes }
}

/// What the child keeps of the parent's environment.
fn kept(inputs: &Inputs<'_>, notes: &mut Vec<Note>) -> Variables {
    let mut kept = Variables::new();
    for (name, value) in inputs.parent {
        if is_taken_away(name, inputs.taken_away) || RIVALS.iter().any(|rival| name == rival) {
            continue;
        }
        if inputs.secrets.iter().any(|secret| contains_secret(value.as_bytes(), secret)) {
            notes.push(Note::ContainedSecret(name.clone()));
            continue;
        }
        kept.push((name.clone(), value.clone()));
    }
    kept
}

fn is_taken_away(name: &OsStr, taken_away: &[String]) -> bool {
    let own = |name: &[u8]| {
        let rest = name.strip_prefix(b"AUTHSOME_")?;
        let key = rest.starts_with(b"MASTER_KEY") || rest.starts_with(b"PASSPHRASE");
        Some(key || contains(rest, b"_API_KEY"))
    };
    taken_away.iter().any(|taken| name == taken.as_str()) || own(name.as_bytes()).unwrap_or(false)
}

fn contains_secret(value: &[u8], secret: &[u8]) -> bool {
    if secret.len() < SHORTEST_PART { !secret.is_empty() && value == secret } else { contains(value, secret) }
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| window == part)
}

/// Where clients go.
fn proxies(child: &mut Building, inputs: &Inputs<'_>, no_proxy: &str) {
    for name in PROXY {
        child.set(name, inputs.proxy_url);
    }
    for name in NO_PROXY {
        child.set(name, no_proxy);
    }
    // PIP_PROXY makes pip ignore NO_PROXY, and a setting in the environment wins over one in a gitconfig:
    // both only where the user has one that must be beaten.
    if inputs.user_proxy.pip || child.get("PIP_PROXY").is_some() {
        child.set("PIP_PROXY", inputs.proxy_url);
    }
    if inputs.user_proxy.git || child.has_git_proxy() {
        child.add_git_config("http.proxy", inputs.proxy_url);
    }
}

/// Whom clients trust.
fn trust(child: &mut Building, files: &Files) {
    for name in BUNDLE {
        child.set(name, &files.bundle);
    }
    for name in EXTRA_CA {
        child.set(name, &files.extra_ca);
    }
    for (name, value) in CONSTANTS {
        child.set(name, value);
    }
    child.set("SYSTEM_WGETRC", &files.wgetrc);
    child.set("APT_CONFIG", &files.apt_conf);
}

/// What is loaded into runtimes whose clients read no variable.
fn preloads(child: &mut Building, inputs: &Inputs<'_>) {
    child.set("AUTHSOME_PROXY", inputs.proxy_url);
    child.set("AUTHSOME_CA", &inputs.files.ca);
    if !inputs.ports.is_empty() {
        let ports: Vec<String> = inputs.ports.iter().map(u16::to_string).collect();
        child.set("AUTHSOME_PORTS", ports.join(","));
    }
    let preload = &inputs.files.node_preload;
    child.append_option("NODE_OPTIONS", &option("--require=", preload));
    if restricts_reading(child.get("NODE_OPTIONS"), inputs.command) {
        child.append_option("NODE_OPTIONS", &option("--allow-fs-read=", preload));
        child.append_option("NODE_OPTIONS", &option("--allow-fs-read=", &inputs.files.ca));
    }
    child.append_option("BUN_OPTIONS", &option("--preload=", preload));
    child.prepend_path("PYTHONPATH", &inputs.files.python_dir);
}

fn option(flag: &str, path: &Path) -> OsString {
    let mut option = OsString::from(flag);
    option.push(path);
    option
}

/// Whether Node is started with its permission model, in which it could not even read its own preload.
fn restricts_reading(node_options: Option<&OsStr>, command: &[OsString]) -> bool {
    let is_flag = |word: &[u8]| word == b"--permission" || word == b"--experimental-permission";
    let by_options = node_options.is_some_and(|options| words(options).any(is_flag));
    let is_node =
        command.first().is_some_and(|program| Path::new(program).file_name() == Some("node".as_ref()));
    by_options || is_node && command.iter().any(|word| is_flag(word.as_bytes()))
}

#[cfg(test)]
mod tests;
