//! Which texts are host names that a certificate may carry.

/// Whether this is a host name (RFC 1123 2.1) in lower-case A-labels: no wildcard, underscore, trailing dot
/// or address. A last label of digits alone would be read as an IPv4 address.
pub(crate) fn is_valid(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether `host` is `name` or lies under it (RFC 5280 4.2.1.10).
pub(crate) fn is_within(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
