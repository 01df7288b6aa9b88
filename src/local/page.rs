//! The pages as HTML. The templates escape all that is put into them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use askama::Template;
use authsome_providers::FieldSpec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::form::{Form, FormKind};
use super::{Outcome, Subject};

const STYLE: &str = include_str!("templates/style.css");
const SCRIPT: &str = include_str!("templates/script.js");

/// The `Content-Security-Policy` of every page: our own style and script by their hashes, forms to us, nothing else.
pub(super) fn policy() -> &'static HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
    });
    &POLICY
}

/// What a person gave, and what is wrong with it.
#[derive(Default)]
pub(super) struct Given {
    /// Values that are not secret, by field.
    pub(super) values: BTreeMap<String, String>,
    /// What is wrong, by field.
    pub(super) mistakes: BTreeMap<String, String>,
    /// What is wrong with all of it.
    pub(super) failure: Option<String>,
}

struct Row<'a> {
    spec: &'a FieldSpec,
    value: &'a str,
    mistake: Option<String>,
    first: bool,
}

impl Row<'_> {
    fn is_required(&self) -> bool {
        !self.spec.optional && self.spec.default.is_none()
    }
}

#[derive(Template)]
#[template(path = "form.html")]
struct FormPage<'a> {
    title: String,
    form: &'a Form,
    docs: Option<(&'a str, &'a str)>,
    /// Whether an OAuth client is asked for.
    for_client: bool,
    /// Whether a host is not complete before the form is.
    has_gaps: bool,
    rows: Vec<Row<'a>>,
    failure: Option<String>,
    button: &'static str,
}

/// The form, with what was given before.
pub(super) fn form(form: &Form, given: &Given) -> String {
    let first = form.fields.iter().position(|field| given.mistakes.contains_key(&field.name)).unwrap_or(0);
    let rows = form.fields.iter().enumerate().map(|(at, spec)| Row {
        spec,
        value: given.values.get(&spec.name).or(spec.default.as_ref()).map_or("", String::as_str),
        mistake: given.mistakes.get(&spec.name).map(|mistake| sentence(mistake)),
        first: at == first,
    });
    rendered(&FormPage {
        title: format!("Connect {}", form.subject.display_name),
        form,
        docs: form.docs.as_deref().and_then(link),
        for_client: form.kind == FormKind::OAuthClient,
        has_gaps: form.fields.iter().any(|field| stands_for(field, form)),
        rows: rows.collect(),
        failure: given.failure.as_deref().map(sentence),
        button: match form.kind {
            FormKind::ApiKey => "Store and connect",
            FormKind::OAuthClient => "Store and continue",
            FormKind::Consent => "Continue",
        },
    })
}

/// Whether a host is known when this field is filled in.
fn stands_for(field: &FieldSpec, form: &Form) -> bool {
    let gap = format!("{{{}}}", field.name);
    form.hosts.iter().any(|host| host.contains(&gap))
}

/// A lower-case fragment as a person reads it.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if fragment.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// A URL that a person may follow, with its host.
fn link(url: &str) -> Option<(&str, &str)> {
    let host = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    (!host.is_empty() && !host.contains('@')).then_some((url, host))
}

/// How a page looks at its reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    Plain,
    Bad,
}

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Bad => "bad",
        }
    }

    /// The mark, as a path in a square of 24.
    fn path(self) -> &'static str {
        match self {
            Self::Good => "M7.5 12.5l3 3 6-6.5",
            Self::Plain => "M12 11v5.5M12 7.5v.1",
            Self::Bad => "M12 7v6M12 16.4v.1",
        }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    title: String,
    mood: Mood,
    lines: Vec<String>,
    hosts: &'a [String],
    /// Where the person goes on, with its host.
    onward: Option<(&'a str, &'a str)>,
    closing: Option<&'static str>,
    /// Whether the window may close itself.
    closes: bool,
}

impl Notice<'_> {
    fn new(mood: Mood, title: impl Into<String>, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { title: title.into(), mood, lines, hosts: &[], onward: None, closing: None, closes: false }
    }
}

const CLOSING: Option<&str> = Some("You can close this window.");
const AGAIN: &str = "Nothing was stored. To try again, run the command again.";

/// The page of an outcome.
pub(super) fn outcome(subject: &Subject, outcome: &Outcome) -> String {
    let name = &subject.display_name;
    match outcome {
        Outcome::Stored { account, hosts } => {
            let whose = account.as_ref().map(|account| format!(", as {account}")).unwrap_or_default();
            let stored = format!(
                "Stored encrypted on this machine as the connection “{}” of {}{whose}.",
                subject.connection, subject.provider
            );
            let lines = [stored.as_str()];
            let title = format!("{name} is connected");
            rendered(&Notice {
                hosts,
                closing: CLOSING,
                closes: true,
                ..Notice::new(Mood::Good, title, &lines)
            })
        }
        Outcome::Denied => {
            let lines = [&format!("{name} was not connected."), AGAIN];
            rendered(&Notice::new(Mood::Plain, "Access was denied", &lines))
        }
        Outcome::Failed { reason, .. } => {
            let lines = [&sentence(reason), AGAIN];
            rendered(&Notice::new(Mood::Bad, format!("{name} could not be connected"), &lines))
        }
        Outcome::Continue { url } => {
            let host = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
            let line = format!("Allow access there, and the connection “{}” is made.", subject.connection);
            let onward = Some((url.as_str(), host.unwrap_or_default()));
            rendered(&Notice { onward, ..Notice::new(Mood::Plain, format!("On to {name}"), &[&line]) })
        }
    }
}

/// After the person's Cancel.
pub(super) fn cancelled(subject: &Subject) -> String {
    let line = format!("{} was not connected, and nothing was stored.", subject.display_name);
    rendered(&Notice { closing: CLOSING, closes: true, ..Notice::new(Mood::Plain, "Cancelled", &[&line]) })
}

/// For a page that was used, or whose login is over.
pub(super) fn used() -> String {
    let lines = [
        "This page works once, in the window that opened it first, and only while the command waits.",
        "If you did not open it before, cancel the command and run it again.",
    ];
    rendered(&Notice::new(Mood::Plain, "This page has been used or has expired", &lines))
}

/// For a redirect that does not belong to the login that waits.
pub(super) fn mismatch() -> String {
    let lines = [
        "This answer does not belong to the login that waits here. It may come from an earlier attempt, \
         or somebody else made it.",
        "Nothing was stored. The login goes on waiting: finish it in the window that it opened.",
    ];
    rendered(&Notice::new(Mood::Bad, "This is not the answer we asked for", &lines))
}

/// For a request that no page of ours made.
pub(super) fn refused() -> String {
    let lines = ["authsome answers its own pages only, under the address that it gave out."];
    rendered(&Notice::new(Mood::Plain, "Nothing to see here", &lines))
}

fn rendered(page: &impl Template) -> String {
    // Writing into a string fails only where a template's own value does: none does.
    page.render().unwrap_or_default()
}

#[cfg(test)]
mod tests;
