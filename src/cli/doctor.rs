//! `authsome doctor`

mod checks;

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::Outcome;
use super::desk::{DONE, Desk};
use super::failure::Failure;
use super::output::visible;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// What one check found.
struct Finding {
    name: &'static str,
    result: Result<String, Trouble>,
    usual_fix: &'static str,
}

impl Finding {
    fn fix(&self) -> Option<&str> {
        let trouble = self.result.as_ref().err()?;
        Some(trouble.fix.as_deref().unwrap_or(self.usual_fix))
    }
}

/// What is wrong, and what to do about it.
struct Trouble {
    message: String,
    /// Where something better than the usual fix is known.
    fix: Option<String>,
}

impl Trouble {
    fn new(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { message: message.into(), fix: Some(fix.into()) }
    }
}

impl<E: Into<Failure>> From<E> for Trouble {
    fn from(error: E) -> Self {
        let failure = error.into();
        // The usual advice is to call the doctor.
        let fix = failure.fix().filter(|fix| !fix.contains("doctor"));
        Self { message: failure.message(), fix }
    }
}

pub(super) fn run(desk: &Desk) -> Outcome {
    let findings = examine(desk);
    let healthy = findings.iter().all(|finding| finding.result.is_ok());
    desk.output.answer(&document(desk, &findings), || text(&findings))?;
    Ok(if healthy { DONE } else { ExitCode::FAILURE })
}

/// Runs the checks; where the first one fails, the others could only say the same.
fn examine(desk: &Desk) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, check, usual_fix) in checks::ALL {
        let result = check(desk);
        let hopeless = findings.is_empty() && result.is_err();
        findings.push(Finding { name, result, usual_fix });
        if hopeless {
            break;
        }
    }
    findings
}

fn document(desk: &Desk, findings: &[Finding]) -> Value {
    let checks: Vec<Value> = findings.iter().map(check).collect();
    let issues: Vec<&str> =
        findings.iter().filter_map(|finding| Some(finding.result.as_ref().err()?.message.as_str())).collect();
    let providers = desk.auth().map(|auth| auth.definitions().registry.names().len()).unwrap_or_default();
    let profiles = desk.home().ok().and_then(|home| Some(home.profiles().ok()?.len())).unwrap_or_default();
    json!({"checks": checks, "providers_count": providers, "profiles_count": profiles, "issues": issues})
}

fn check(finding: &Finding) -> Value {
    let (ok, message) = match &finding.result {
        Ok(message) => (true, message),
        Err(trouble) => (false, &trouble.message),
    };
    json!({"name": finding.name, "ok": ok, "message": message, "fix": finding.fix()})
}

fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
    let line = |finding: &Finding| {
        let name = finding.name;
        match &finding.result {
            Ok(message) => format!("{GOOD}ok  {GOOD:#}  {name:width$}  {}\n", visible(message)),
            Err(Trouble { message, .. }) => {
                let fix = visible(finding.fix().unwrap_or_default());
                format!(
                    "{BAD}FAIL{BAD:#}  {name:width$}  {}\n      {:width$}  fix: {fix}\n",
                    visible(message),
                    ""
                )
            }
        }
    };
    findings.iter().map(line).collect()
}
