//! `authsome init`

use serde_json::json;

use super::Outcome;
use super::desk::{DONE, Desk};

pub(super) fn run(desk: &Desk) -> Outcome {
    desk.auth()?.vault()?;
    let home = desk.config().home.display().to_string();
    desk.output.done(&json!({"status": "initialized", "home": home}), &format!("{home} is ready"))?;
    Ok(DONE)
}
