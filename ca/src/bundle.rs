//! PEM bundles (RFC 7468) as text: the roots of the system with our CA.

use std::collections::HashSet;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of both texts in one, for clients whose setting replaces the system's roots. Whatever is
/// no certificate is left out: comments, unfinished sections and, above all, private keys. A certificate that
/// occurs twice is written once.
pub fn combined(system_roots_pem: &str, ours_pem: &str) -> String {
    let mut seen = HashSet::new();
    let mut bundle = String::with_capacity(system_roots_pem.len() + ours_pem.len());
    for section in sections(system_roots_pem).chain(sections(ours_pem)) {
        if !seen.contains(&section) {
            bundle.push_str(&section);
            seen.insert(section);
        }
    }
    bundle
}

/// The certificate sections of a text, each ending with a newline.
pub(crate) fn sections(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    let mut section = None;
    std::iter::from_fn(move || {
        for line in lines.by_ref() {
            match (line, &mut section) {
                (BEGIN, _) => section = Some(String::from(BEGIN) + "\n"),
                (END, Some(_)) => return section.take().map(|body: String| body + END + "\n"),
                (_, Some(body)) if is_base64(line) => body.extend([line, "\n"]),
                _ => section = None,
            }
        }
        None
    })
}

fn is_base64(line: &str) -> bool {
    line.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
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
