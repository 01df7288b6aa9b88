//! `authsome log`

use clap::Args;
use serde_json::Value;

use crate::{audit, auth, clock};

use super::Outcome;
use super::desk::{DONE, Desk};
use super::{table, time};

const EXAMPLES: &str = "\
Examples:
  authsome log                                            the last 50 events
  authsome log -n 1000 --json | jq '.[] | select(.event == \"refused\")'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LogArgs {
    /// How many events
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 50)]
    count: usize,
}

pub(super) fn run(desk: &Desk, args: &LogArgs) -> Outcome {
    let events = audit::last(&desk.home()?, args.count).map_err(auth::Error::from)?;
    desk.output.answer(&events, || text(&events, desk.now()))?;
    Ok(DONE)
}

fn text(events: &[Value], now: i64) -> String {
    let rows = events.iter().map(|event| {
        let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let time =
            clock::parse_rfc3339(&field("time")).map_or_else(|| field("time"), |then| time::ago(then, now));
        let target = [field("provider"), field("connection")].into_iter().filter(|part| !part.is_empty());
        [time, field("event"), target.collect::<Vec<_>>().join("/"), details(event)]
    });
    table::render(["Time", "Event", "Connection", "Details"], rows)
}

/// What happened, and how it ended.
fn details(event: &Value) -> String {
    let parts = ["subject", "method", "host", "status", "outcome", "reason"].iter().filter_map(|name| {
        match &event[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    });
    parts.collect::<Vec<_>>().join(" ")
}
