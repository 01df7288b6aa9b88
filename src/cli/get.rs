//! `authsome get`

use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::audit::EventName;
use crate::auth::record::{ConnectionRecord, REDACTED};

use super::desk::{DONE, Desk, event};
use super::failure::{Failure, usage};
use super::{Outcome, destination, time};

const EXAMPLES: &str = "\
Examples:
  authsome get openai                                 the connection, its key hidden
  authsome get gitlab --field base_url                one value
  authsome get openai --field api_key --show-secret   the key itself";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GetArgs {
    /// The provider's name
    pub(super) provider: String,
    /// The connection; the provider's default when none is named
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Print the bare value of one field
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// Show secrets; this is noted in the audit log
    #[arg(long)]
    pub(super) show_secret: bool,
}

pub(super) fn run(desk: &Desk, args: &GetArgs) -> Outcome {
    let auth = desk.auth()?;
    let (provider, name) = (&args.provider, args.connection.as_deref());
    if args.show_secret {
        // Also tells when the credential is of no use any more.
        drop(auth.access_token(provider, name)?);
    }
    let mut record = auth.connection(provider, name)?.record;
    record.status = record.status_at(desk.now());
    if args.show_secret {
        desk.record(event(EventName::GetSecret, provider, Some(&record.connection_name)))?;
    }
    match &args.field {
        Some(field) => print_field(desk, &record, field, args.show_secret)?,
        None => print_record(desk, &record, args.show_secret)?,
    }
    Ok(DONE)
}

fn print_record(desk: &Desk, record: &ConnectionRecord, show_secret: bool) -> Result<(), Failure> {
    if desk.output.is_json() && show_secret {
        let mut text = Zeroizing::new(record.to_json().expose().clone());
        text.push(b'\n');
        desk.output.data(&text)?;
        return Ok(());
    }
    let shown = record.redacted();
    desk.output.answer(&shown, || text(record, &shown, show_secret, desk.now()))?;
    Ok(())
}

fn print_field(
    desk: &Desk,
    record: &ConnectionRecord,
    field: &str,
    show_secret: bool,
) -> Result<(), Failure> {
    let secret = record.secrets().into_iter().find(|(name, _)| *name == field);
    let value = match secret {
        Some((_, secret)) if show_secret => Value::from(secret.expose().as_str()),
        Some(_) => REDACTED.into(),
        None => open_field(record, field)
            .ok_or_else(|| usage(format!("{} has no field {field:?}", record.provider)))?,
    };
    if desk.output.is_json() {
        desk.output.document(&json!({field: value}))?;
        return Ok(());
    }
    let bare = Zeroizing::new(match value {
        Value::String(text) => text + "\n",
        other => format!("{other}\n"),
    });
    desk.output.data(bare.as_bytes())?;
    Ok(())
}

/// A field that is not secret, be it the definition's own or one of every record.
fn open_field(record: &ConnectionRecord, field: &str) -> Option<Value> {
    if let Some(value) = record.field(field) {
        return Some(value.into());
    }
    let mut shown = record.redacted();
    shown.get_mut(field).map(Value::take).filter(|_| field != "fields")
}

/// One line a field: what the definition asked for, and how the connection stands.
fn text(record: &ConnectionRecord, shown: &Value, show_secret: bool, now: i64) -> String {
    let plain = |name: &str| shown[name].as_str().map(str::to_owned);
    let mut lines: Vec<(String, Option<String>)> =
        ["provider", "profile", "connection_name", "auth_type", "status"]
            .map(|name| (name.to_owned(), plain(name)))
            .to_vec();
    lines.push(("scopes".into(), record.scopes.as_ref().map(|scopes| scopes.join(" "))));
    lines.push(("base_url".into(), record.base_url.clone()));
    lines.push(("tenant".into(), record.tenant.clone()));
    let open = record.fields.iter().filter(|(_, field)| !field.secret);
    lines.extend(open.map(|(name, field)| (name.clone(), Some(field.value.expose().clone()))));
    lines.extend(record.secrets().into_iter().map(|(name, secret)| {
        let value = if show_secret { secret.expose().as_str() } else { REDACTED };
        (name.to_owned(), Some(value.to_owned()))
    }));
    lines.push(("expires".into(), record.expires_at.map(|end| time::expiry(end, now))));
    lines.push(("obtained".into(), record.obtained_at.map(|then| time::ago(then, now))));
    lines.push(("goes to".into(), Some(goes_to(record))));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): (String, Option<String>)| Some(format!("{name:width$}  {}\n", value?));
    lines.into_iter().filter_map(line).collect()
}

fn goes_to(record: &ConnectionRecord) -> String {
    record.binding.claims.iter().map(|claim| destination::stored(claim)).collect::<Vec<_>>().join(", ")
}
