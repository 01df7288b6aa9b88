//! The flags of `run` and `proxy` that say which requests get a credential.

use std::collections::BTreeMap;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;

use crate::app::RoutingOptions;
use crate::config::Flags;
use crate::home::{Foreign, Unsettled};
use crate::origin::Origin;

use super::dial::DialArgs;

/// Which requests get which credential.
#[derive(Debug, Clone, Args)]
pub(super) struct RoutingArgs {
    /// Use this connection of a provider instead of its default; may be repeated
    #[arg(long = "connection", value_name = "PROVIDER=NAME", value_parser = connection)]
    connections: Vec<(String, String)>,
    /// What happens to hosts that no connected provider claims [default: pass]
    #[arg(long, value_name = "RULE", value_parser = choice::<Unsettled>(&["pass", "deny"]))]
    unmatched: Option<Unsettled>,
    /// What happens to requests that two providers claim alike [default: pass]
    #[arg(long, value_name = "RULE", value_parser = choice::<Unsettled>(&["pass", "deny"]))]
    ambiguous: Option<Unsettled>,
    /// What happens to a credential of the agent's own in the slot [default: replace]
    #[arg(long, value_name = "RULE", value_parser = choice::<Foreign>(&["replace", "keep", "deny"]))]
    foreign: Option<Foreign>,
    /// Leave this host alone, its tunnels unread; may be repeated
    #[arg(long, value_name = "HOST")]
    no_intercept: Vec<String>,
    /// Let this host through where --unmatched denies; may be repeated
    #[arg(long, value_name = "HOST:PORT", value_parser = origin)]
    allow: Vec<Origin>,
    #[command(flatten)]
    dial: DialArgs,
}

impl RoutingArgs {
    /// The providers whose connection is chosen.
    pub(super) fn providers(&mut self) -> impl Iterator<Item = &mut String> {
        self.connections.iter_mut().map(|(provider, _)| provider)
    }

    /// What is said for this process alone.
    pub(super) fn options(&self) -> RoutingOptions {
        RoutingOptions {
            connections: self.connections.iter().cloned().collect::<BTreeMap<_, _>>(),
            no_intercept: self.no_intercept.clone(),
            allow: self.allow.clone(),
        }
    }

    /// What may also stand in `config.json`.
    pub(super) fn add_to(&self, flags: &mut Flags) {
        flags.unmatched = self.unmatched;
        flags.ambiguous = self.ambiguous;
        flags.foreign = self.foreign;
        self.dial.add_to(flags);
    }
}

/// One of some words, as `config.json` has them too.
pub(super) fn choice<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    let read = |word: String| serde_json::from_value::<T>(word.into());
    PossibleValuesParser::new(words).try_map(read)
}

fn connection(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(provider, name)| !provider.is_empty() && !name.is_empty());
    let (provider, name) = pair.ok_or("write provider=name, such as openai=work")?;
    Ok((provider.to_owned(), name.to_owned()))
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::with_default_port(text, 443).map_err(|error| error.to_string())
}
