//! The table for a person, the document for a program.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::figures::{Figures, Row, Spread};
use crate::lane::Name;
use crate::run::Arrival;
use crate::targets::Verdict;

const LANES: [Name; 4] = [Name::Direct, Name::Relay, Name::Authsome, Name::Mitmproxy];
const QUANTITY: usize = 26;
const CELL: usize = 25;

/// One line a figure: median and, in brackets, minimum and maximum over the rounds; then the targets.
pub(crate) fn table(figures: &Figures, verdicts: &[Verdict]) -> String {
    let present = |lane: &Name| figures.rows().iter().any(|row| row.lanes.contains_key(lane));
    let lanes: Vec<Name> = LANES.into_iter().filter(present).collect();
    let mut text = String::new();
    line(&mut text, "", lanes.iter().map(|lane| lane.text().to_owned()));
    let mut scenario = None;
    for row in figures.rows() {
        if scenario != Some(row.scenario) {
            scenario = Some(row.scenario);
            let _ = writeln!(text, "{}", row.scenario.title());
        }
        line(&mut text, row.quantity.label(), lanes.iter().map(|lane| cell(row, *lane)));
    }
    text.push('\n');
    for verdict in verdicts {
        let word = if verdict.pass { "PASS" } else { "FAIL" };
        let (value, limit) = (number(verdict.value), number(verdict.limit));
        let direct = verdict.direct.map(|value| format!(", direct {}", number(value))).unwrap_or_default();
        let _ = writeln!(text, "{word}  {}: {value} (limit {limit}{direct})", verdict.text);
    }
    text
}

fn line(text: &mut String, label: &str, cells: impl Iterator<Item = String>) {
    let _ = write!(text, "  {label:<QUANTITY$}");
    for cell in cells {
        let _ = write!(text, "{cell:>CELL$}");
    }
    text.push('\n');
}

fn cell(row: &Row, lane: Name) -> String {
    let Some(values) = row.lanes.get(&lane) else { return "-".to_owned() };
    let Spread { median, min, max } = Spread::of(values);
    format!("{} ({}–{})", number(median), number(min), number(max))
}

/// Three significant digits, no exponent.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        size if size >= 0.0995 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Everything, each round's values too.
pub(crate) fn json(figures: &Figures, verdicts: &[Verdict], arrivals: &[Arrival]) -> Value {
    let mut rows = Map::new();
    for row in figures.rows() {
        let lanes: Map<String, Value> =
            row.lanes.iter().map(|(lane, values)| series(*lane, values)).collect();
        rows.insert(format!("{}.{}", row.scenario.id(), row.quantity.id()), Value::Object(lanes));
    }
    let verdicts: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            json!({ "text": verdict.text, "value": verdict.value, "limit": verdict.limit, "pass": verdict.pass })
        })
        .collect();
    let arrivals: Vec<Value> = arrivals.iter().map(arrival).collect();
    json!({ "figures": rows, "targets": verdicts, "arrivals": arrivals })
}

fn series(lane: Name, values: &[f64]) -> (String, Value) {
    let Spread { median, min, max } = Spread::of(values);
    let value = json!({ "median": median, "min": min, "max": max, "rounds": values });
    (lane.text().to_owned(), value)
}

fn arrival(arrival: &Arrival) -> Value {
    json!({
        "lane": arrival.lane.text(),
        "passed_through": arrival.passed,
        "sent": arrival.sent,
        "arrived": arrival.arrived.requests,
        "with_credential": arrival.arrived.authorised,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let shown = [0.0, 0.012_34, 0.5, 1.0, 9.999, 12.345, 99.96, 54_321.0, -3.2].map(number);
        assert_eq!(shown, ["0", "0.0123", "0.500", "1.00", "10.0", "12.3", "100", "54321", "-3.20"]);
    }
}
