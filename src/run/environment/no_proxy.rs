//! `NO_PROXY` in the form that all clients read alike: lower case, commas without spaces, exact hosts,
//! `.suffix` and IP addresses.

use std::ffi::OsString;
use std::net::IpAddr;

/// Destinations that are this machine's own, or a cloud's metadata service.
const ALWAYS: [&str; 5] = ["localhost", "127.0.0.1", "::1", "169.254.169.254", "metadata.google.internal"];

/// The parent's list with ours, and the entries that were dropped because they would lead past the proxy:
/// patterns, and names that a routed host is or lies under.
pub(super) fn list(
    parent: &[(OsString, OsString)],
    covers_route: &dyn Fn(&str) -> bool,
) -> (String, Vec<String>) {
    let mut kept: Vec<String> = Vec::new();
    let mut dropped = Vec::new();
    for entry in entries(parent).map(|entry| portable(&entry)) {
        let list = if leads_past(&entry, covers_route) { &mut dropped } else { &mut kept };
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
    for entry in ALWAYS {
        if !kept.iter().any(|kept| kept == entry) {
            kept.push(entry.to_owned());
        }
    }
    (kept.join(","), dropped)
}

/// The entries of both spellings: clients differ in which they read first.
fn entries(parent: &[(OsString, OsString)]) -> impl Iterator<Item = String> {
    let values = ["no_proxy", "NO_PROXY"].into_iter().filter_map(|name| {
        parent.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string_lossy().into_owned())
    });
    values.flat_map(|value| {
        let separator = |c: char| c == ',' || c.is_whitespace();
        value.split(separator).filter(|entry| !entry.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    })
}

/// Few clients know `*.example.com`, nearly all `.example.com`.
fn portable(entry: &str) -> String {
    let entry = entry.to_ascii_lowercase();
    match entry.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => suffix.to_owned(),
        _ => entry,
    }
}

fn leads_past(entry: &str, covers_route: &dyn Fn(&str) -> bool) -> bool {
    if is_address(entry) {
        return false;
    }
    let host = entry.split_once(':').map_or(entry, |(host, _port)| host);
    let host = host.trim_start_matches('.').trim_end_matches('.');
    host.is_empty() || host.contains('*') || covers_route(host)
}

/// An address, one with a port, or a network.
fn is_address(entry: &str) -> bool {
    let address = entry.split_once('/').map_or(entry, |(address, _prefix)| address);
    address.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || address.parse::<std::net::SocketAddr>().is_ok()
}
