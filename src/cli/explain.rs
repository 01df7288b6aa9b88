//! `authsome explain`

use std::process::ExitCode;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::app::Explanation;
use crate::clock;

use super::Outcome;
use super::desk::{DONE, Desk};
use super::{destination, table, time};

/// A route exists, and its credential cannot be had.
const UNAVAILABLE: u8 = 5;

const EXAMPLES: &str = "\
Examples:
  authsome explain https://api.openai.com/v1/models
  authsome explain api.github.com/user --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// The URL of a request; https:// may be left out
    url: String,
    /// The request's method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: Method,
}

pub(super) fn run(desk: &Desk, args: &ExplainArgs) -> Outcome {
    let mut explanation = desk.app.explain(&args.url)?;
    // An echo of the request would show the credential, and a tunnel would hide where it goes.
    if explanation.provider.is_some() && matches!(args.method, Method::TRACE | Method::CONNECT) {
        explanation.reason = Some("method-not-allowed".into());
        explanation.fix = None;
    }
    desk.output
        .answer(&document(&explanation, &args.method), || text(&explanation, &args.method, desk.now()))?;
    Ok(if explanation.unavailable { ExitCode::from(UNAVAILABLE) } else { DONE })
}

fn document(explanation: &Explanation, method: &Method) -> Value {
    let mut document = json!(explanation);
    document["method"] = method.as_str().into();
    document["expires_at"] = explanation.expires_at.map(clock::rfc3339).into();
    document
}

fn text(explanation: &Explanation, method: &Method, now: i64) -> String {
    let mut text = format!("{method} {}\n", explanation.url);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!("{name:10}  {value}\n"));
        }
    };
    line("verdict", Some(explanation.verdict.replace('_', " ")));
    line("provider", explanation.provider.clone());
    line("connection", explanation.connection.clone());
    line("status", explanation.status.map(|status| status.to_string()));
    line("expires", explanation.expires_at.map(|end| time::expiry(end, now)));
    line("places", Some(explanation.slots.join(", ")));
    line("reason", explanation.reason.clone());
    line("fix", explanation.fix.clone());
    if explanation.candidates.is_empty() {
        return text;
    }
    let rows = explanation.candidates.iter().map(|one| {
        let claim = destination::stored(&one.claim);
        [one.provider.clone(), one.connection.clone(), claim, one.outcome.to_owned()]
    });
    format!("{text}\n{}", table::render(["Provider", "Connection", "Claims", "Outcome"], rows))
}
