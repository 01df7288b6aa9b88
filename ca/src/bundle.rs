//! PEM bundles (RFC 7468) as text: the roots of the system with our CA.

use std::borrow::Cow;
use std::collections::HashSet;

/// Where Linux distributions and macOS keep the system's roots as one PEM file.
pub const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of both texts in one, for clients whose setting replaces the system's roots. Whatever is
/// no certificate is left out: comments, unfinished sections and, above all, private keys. A certificate that
/// occurs twice is written once.
pub fn combined(system_roots_pem: &str, ours_pem: &str) -> String {
    let mut seen = HashSet::new();
    let mut bundle = String::with_capacity(system_roots_pem.len() + ours_pem.len() + 1);
    for section in sections(system_roots_pem).chain(sections(ours_pem)) {
        if seen.insert(section.clone()) {
            bundle.push_str(BEGIN);
            bundle.push_str(&section);
            bundle.push_str(END);
            bundle.push('\n');
        }
    }
    bundle
}

/// The first certificate of a text, as PEM.
pub(crate) fn first(text: &str) -> Option<String> {
    sections(text).next().map(|body| format!("{BEGIN}{body}{END}\n"))
}

/// The lines between the marks of each certificate, from a line end to the last one.
fn sections(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once(BEGIN)?;
            let (body, _) = after.split_once("-----").unwrap_or((after, ""));
            rest = &after[body.len()..];
            if let (true, Some(lines)) = (rest.starts_with(END), base64_lines(body)) {
                return Some(lines);
            }
        }
    })
}

/// The body of a section when all its lines are base64; as it is when nothing but plain line ends separates them.
fn base64_lines(body: &str) -> Option<Cow<'_, str>> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if body.starts_with('\n')
        && body.ends_with('\n')
        && body.bytes().all(|byte| is_base64(byte) || byte == b'\n')
    {
        return Some(body.into());
    }
    let mut lines = body.lines().map(str::trim);
    let first = lines.next()?;
    let mut clean = String::from("\n");
    for line in lines {
        clean.push_str(line);
        clean.push('\n');
    }
    let whole = first.is_empty() && clean.bytes().all(|byte| is_base64(byte) || byte == b'\n');
    whole.then(|| clean.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "-----BEGIN CERTIFICATE-----\nAAAA\nBB==\n-----END CERTIFICATE-----\n";
    const OURS: &str = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----";

    #[test]
    fn a_bundle_is_the_systems_roots_and_then_ours_and_ends_with_a_newline() {
        let ours = format!("{OURS}\n");
        assert_eq!(combined(ROOT, OURS), format!("{ROOT}{ours}"));
        assert_eq!(combined("", OURS), ours);
        assert_eq!(combined(ROOT, ""), ROOT);
    }

    #[test]
    fn a_private_key_in_the_input_never_reaches_the_bundle() {
        let key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n";
        for text in [format!("{key}{ROOT}"), format!("{ROOT}{key}")] {
            assert_eq!(combined(&text, &format!("{key}{OURS}")), format!("{ROOT}{OURS}\n"));
        }
    }

    #[test]
    fn a_certificate_that_occurs_twice_is_written_once() {
        assert_eq!(combined(&format!("{ROOT}{ROOT}"), ROOT), ROOT);
    }

    #[test]
    fn comments_line_ends_of_windows_and_byte_order_marks_are_dropped() {
        let text = format!("\u{feff}{}", ROOT.replace('\n', "\r\n"));
        assert_eq!(combined(&format!("# a root\n{text}"), ""), ROOT);
        assert_eq!(combined(&text, ""), ROOT);
    }

    #[test]
    fn an_unfinished_or_broken_section_is_left_out() {
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert_eq!(combined(&format!("{cut}{ROOT}"), cut), ROOT);
        let key_inside = "-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN PRIVATE KEY-----\nSECRET\n\
                          -----END PRIVATE KEY-----\n-----END CERTIFICATE-----\n";
        assert_eq!(combined(key_inside, ROOT), ROOT);
    }
}
