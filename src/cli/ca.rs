//! `authsome ca`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authsome_ca::Ca;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::audit::{Event, EventName};
use crate::clock;

use super::desk::{DONE, Desk};
use super::failure::{Failure, usage};
use super::{Outcome, time};

#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Print the certificate that clients of `authsome proxy` have to trust; it is made when there is none
    Export {
        /// Write it into this file instead
        path: Option<PathBuf>,
    },
    /// Show the certificate authority of this home
    Status,
}

impl CaCommand {
    /// What it is called, when it changes something: the first export makes the certificate authority.
    pub(super) fn changes(&self) -> Option<&'static str> {
        match self {
            Self::Export { .. } => Some("ca export"),
            Self::Status => None,
        }
    }
}

pub(super) fn run(desk: &Desk, command: &CaCommand) -> Outcome {
    match command {
        CaCommand::Export { path } => export(desk, path.as_deref())?,
        CaCommand::Status => status(desk)?,
    }
    Ok(DONE)
}

fn export(desk: &Desk, path: Option<&Path>) -> Result<(), Failure> {
    let ca = match desk.app.home_ca()? {
        Some(ca) => ca,
        None => make(desk)?,
    };
    let pem = ca.certificate_pem();
    let Some(path) = path else {
        desk.output.answer(&json!({"certificate": pem}), || pem.to_owned())?;
        return Ok(());
    };
    let shown = path.display();
    std::fs::write(path, pem).map_err(|error| usage(format!("{shown} cannot be written: {error}")))?;
    let document = json!({"status": "exported", "path": shown.to_string()});
    desk.output.done(&document, &format!("the certificate is in {shown}"))?;
    Ok(())
}

fn make(desk: &Desk) -> Result<Arc<Ca>, Failure> {
    let ca = desk.app.make_home_ca()?;
    desk.record(Event { outcome: Some("created"), ..Event::new(EventName::Ca) })?;
    Ok(ca)
}

fn status(desk: &Desk) -> Result<(), Failure> {
    let path = desk.home()?.ca_certificate();
    let Some(ca) = desk.app.home_ca()? else {
        let document = json!({"exists": false, "path": path.display().to_string()});
        desk.output
            .answer(&document, || "This home has no certificate authority yet; `run` needs none.\n".into())?;
        return Ok(());
    };
    let now = desk.now();
    let outside = desk.app.hosts_outside(&ca)?;
    let (from, to) = (seconds(ca.not_before()), seconds(ca.not_after()));
    let document: Value = json!({
        "exists": true,
        "path": path.display().to_string(),
        "fingerprint": ca.fingerprint(),
        "not_before": clock::rfc3339(from),
        "not_after": clock::rfc3339(to),
        "valid": from <= now && now < to,
        "permitted": ca.permitted(),
        "outside": outside,
    });
    desk.output.answer(&document, || {
        let mut text = format!(
            "Certificate  {}\nFingerprint  {}\nEnds         {}\nVouches for  {} names and what lies under them\n",
            path.display(),
            ca.fingerprint(),
            time::expiry(to, now),
            ca.permitted().len(),
        );
        if !outside.is_empty() {
            let hosts: Vec<&str> = outside.iter().map(String::as_str).collect();
            text.push_str(&format!("But not for  {}: these came after it\n", hosts.join(", ")));
        }
        text
    })?;
    Ok(())
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
