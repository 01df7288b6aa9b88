//! Searches texts and files for a secret in every form in which it may be written.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Escaped by most, but not what RFC 3986 calls unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A secret with the forms that are looked for.
#[derive(Clone)]
pub(crate) struct Needle {
    forms: BTreeSet<Vec<u8>>,
}

impl Needle {
    pub(crate) fn new(secret: &str) -> Self {
        let forms = plain_forms(secret).into_iter().chain(base64_forms(secret));
        Self { forms: forms.map(String::into_bytes).collect() }
    }

    /// The forms that stand in a text.
    pub(crate) fn found_in(&self, text: &[u8]) -> Vec<String> {
        let found = self.forms.iter().filter(|form| memchr::memmem::find(text, form).is_some());
        found.map(|form| String::from_utf8_lossy(form).into_owned()).collect()
    }

    /// The files below a folder that hold it, by name or content: `path: form`.
    pub(crate) fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let mut forms = self.found_in(path.as_os_str().as_encoded_bytes());
            if metadata.is_dir() {
                found.extend(self.found_below(&path));
            } else if metadata.is_file() {
                forms.extend(self.found_in(&std::fs::read(&path).unwrap()));
            }
            found.extend(forms.iter().map(|form| format!("{}: {form}", path.display())));
        }
        found
    }
}

/// As it is, in URLs, in JSON, in Rust's debugging output, in hexadecimal.
fn plain_forms(secret: &str) -> Vec<String> {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let unreserved = utf8_percent_encode(secret, UNRESERVED).to_string();
    let json = serde_json::to_string(secret).unwrap();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        secret.to_owned(),
        json.replace('/', "\\/").trim_matches('"').to_owned(),
        json.trim_matches('"').to_owned(),
        format!("{secret:?}").trim_matches('"').to_owned(),
        // A header's value in Rust's debugging output: quotes are escaped, backslashes are not.
        secret.replace('"', "\\\""),
        format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned(),
        percent.to_lowercase(),
        percent,
        escaped.to_lowercase(),
        escaped,
        unreserved.to_lowercase(),
        unreserved,
        hex.to_uppercase(),
        hex,
    ]
}

/// Base64 of any text that has the secret in it: of its three positions among the groups of three bytes, what does
/// not depend on the neighbours. So `user:secret`, `secret:` and `Bearer secret` are found alike.
fn base64_forms(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for offset in 0..3 {
        let text = [vec![b'.'; offset], secret.as_bytes().to_vec()].concat();
        let whole = text.len() / 3 * 4;
        let first = if offset == 0 { 0 } else { 4 };
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&text)[first..whole].to_owned());
        }
    }
    forms
}
