//! The code that a person enters on another device (RFC 8628 3.3), and the same as a picture.

use std::io::{self, IsTerminal};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use crate::auth::Challenge;

use super::super::output::Output;

/// Shows where to go and what to enter.
pub(super) fn show(output: Output, challenge: &Challenge<'_>) {
    let Challenge::Device { verification_uri, verification_uri_complete, user_code, expires_in, .. } =
        challenge
    else {
        return;
    };
    if output.is_json() {
        let mut step = json!({"status": "pending", "verification_uri": verification_uri, "user_code": user_code,
            "expires_in": expires_in.as_secs()});
        if let Some(complete) = verification_uri_complete {
            step["verification_uri_complete"] = (*complete).into();
        }
        output.step(&step);
        return;
    }
    output.show(&format!(
        "open this on any device, and enter the code:\n\n  {verification_uri}\n\n  {user_code}\n"
    ));
    let minutes = expires_in.as_secs().div_ceil(60);
    if io::stderr().is_terminal()
        && let Some(picture) = picture(verification_uri_complete.unwrap_or(verification_uri))
    {
        output.show(&picture);
    }
    output.show(&format!("waiting for you to agree; the code is good for {minutes} min"));
}

/// A QR code for a dark terminal: its light modules are drawn.
fn picture(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}
