//! `login --rebind`: a stored credential and a definition that has changed since.

use crate::auth::{self, AuthService, binding};

use super::super::desk::Desk;
use super::super::failure::{Failure, usage};
use super::super::terminal::{Prompt, Terminal};

/// Shows what the definition would allow the credential now, and allows it after a yes.
pub(super) fn rebind(
    desk: &Desk,
    auth: &AuthService,
    provider: &str,
    connection: Option<&str>,
) -> Result<String, Failure> {
    let record = auth.connection(provider, connection)?.record;
    let definition = auth.provider(provider)?.definition;
    let today =
        binding::today(&definition, record.auth_type, &record.template_values()).map_err(|error| {
            auth::Error::AuthenticationFailed { provider: provider.to_owned(), reason: error.to_string() }
        })?;
    let changes = record.binding_changes(&today);
    if changes.is_empty() {
        desk.output.note("the definition says what it said at the login");
        return Ok(record.connection_name);
    }
    desk.output.show(&format!(
        "The credential of {} would go elsewhere:\n  {}",
        provider,
        changes.join("\n  ")
    ));
    let Some(mut terminal) = Terminal::attached(None) else {
        return Err(usage("--rebind asks for a yes: run it at a terminal, or log in anew with --force"));
    };
    if !terminal.confirm("Allow this?")? {
        return Err(auth::Error::InputCancelled.into());
    }
    Ok(auth.rebind(provider, connection)?.record.connection_name)
}
