//! `authsome explain`: what the proxy would do with a URL, from the proxy's own route table.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use authsome_providers::Slot;
use http::Uri;

use super::App;
use crate::auth::Error;
use crate::auth::record::ConnectionStatus;
use crate::credential::Source;
use crate::origin::Origin;
use crate::routes::{Lookup, Route, Standing, Verdict};

/// The answer to one URL.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Explanation {
    /// Scheme, authority and path as they are matched.
    pub(crate) url: String,
    /// `intercept`, `pass_through` or `peek`.
    pub(crate) verdict: &'static str,
    /// The claims on this host, the most specific first.
    pub(crate) candidates: Vec<CandidateLine>,
    /// The provider whose credential is placed.
    pub(crate) provider: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) status: Option<ConnectionStatus>,
    /// Seconds since 1970.
    pub(crate) expires_at: Option<i64>,
    /// Where the credential stands, its value hidden.
    pub(crate) slots: Vec<String>,
    /// Why nothing is placed.
    pub(crate) reason: Option<String>,
    pub(crate) fix: Option<String>,
    /// Whether a route exists whose credential cannot be had.
    #[serde(skip)]
    pub(crate) unavailable: bool,
}

/// One claim and how it fared.
#[derive(Debug, serde::Serialize)]
pub(crate) struct CandidateLine {
    pub(crate) provider: String,
    pub(crate) connection: String,
    pub(crate) claim: String,
    pub(crate) outcome: &'static str,
}

impl App {
    /// Explains what would happen to a request for a URL.
    pub(crate) fn explain(&self, url: &str) -> Result<Explanation> {
        let (origin, path) = parse(url)?;
        let auth = self.auth()?;
        let clock = self.clock.clone();
        let mut source = Source::new(auth, clock, BTreeMap::new(), self.config.prefer.clone());
        let rules = source.rules(None)?;
        let verdict = rules.routes.verdict(&origin);
        let lookup = rules.routes.lookup(&origin, &path);
        let candidates = lines(rules.routes.candidates(&origin), &lookup, &path);
        let mut explanation = Explanation {
            url: format!("https://{origin}{path}"),
            verdict: word(verdict),
            candidates,
            provider: None,
            connection: None,
            status: None,
            expires_at: None,
            slots: Vec::new(),
            reason: None,
            fix: None,
            unavailable: false,
        };
        match lookup {
            Lookup::Route(route) => self.explain_route(&mut explanation, route)?,
            Lookup::Ambiguous => {
                explanation.reason = Some("several providers claim this URL equally".into());
                explanation.fix = Some("list the one to prefer under `prefer` in config.json".into());
            }
            Lookup::None if verdict == Verdict::Intercept => {
                explanation.reason = Some(
                    "the host has routes, but none for this path, or the path issues tokens or is excluded"
                        .into(),
                );
            }
            Lookup::None => {
                explanation.reason =
                    Some("no connected provider claims this host: the tunnel is not read".into());
                explanation.fix = self.login_hint(&origin)?;
            }
        }
        Ok(explanation)
    }

    fn explain_route(&self, explanation: &mut Explanation, route: &Route) -> Result<()> {
        explanation.provider = Some(route.provider.to_string());
        explanation.connection = Some(route.connection.to_string());
        explanation.unavailable = route.standing != Standing::Connected;
        let provider = &route.provider;
        let trouble = match route.standing {
            Standing::Connected => None,
            Standing::Disconnected => Some(("not-connected", format!("authsome login {provider}"))),
            Standing::BindingChanged => {
                Some(("binding-changed", format!("authsome login {provider} --rebind")))
            }
            Standing::Expired => Some(("credential-expired", format!("authsome login {provider} --force"))),
            Standing::Invalid => Some(("credential-unusable", format!("authsome login {provider} --force"))),
        };
        if let Some((reason, fix)) = trouble {
            explanation.reason = Some(reason.into());
            explanation.fix = Some(fix);
        }
        let record = self.auth()?.connection(provider, Some(&route.connection))?.record;
        explanation.status = Some(record.status_at(self.clock.unix_seconds()));
        explanation.expires_at = record.expires_at;
        let placement = record.binding.placement.at(&route.claim);
        explanation.slots = placement.slots.iter().map(slot).collect();
        Ok(())
    }

    /// The provider whose definition would claim the host, if it were connected.
    fn login_hint(&self, origin: &Origin) -> Result<Option<String>, Error> {
        let definitions = self.auth()?.definitions();
        let claims_it = |provider: &&authsome_providers::Provider| {
            let claims = provider.definition.fixed_claims();
            origin
                .name()
                .is_some_and(|name| claims.iter().any(|claim| claim.matches_host(name, origin.port())))
        };
        let provider = definitions.registry.iter().find(claims_it);
        Ok(provider.map(|provider| format!("authsome login {}", provider.definition.name())))
    }
}

fn parse(url: &str) -> Result<(Origin, String)> {
    let full = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let usage = || Error::Usage(format!("{url:?} is not an https:// URL"));
    let uri: Uri = full.parse().map_err(|_| usage())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or_else(usage)?;
    let origin = Origin::with_default_port(authority.as_str(), 443).context(usage())?;
    Ok((origin, uri.path().to_owned()))
}

fn slot(slot: &Slot) -> String {
    match slot {
        Slot::Header { name, .. } => format!("{name}: ***"),
        Slot::Query { name, .. } => format!("?{name}=***"),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Intercept => "intercept",
        Verdict::PassThrough => "pass_through",
        Verdict::Peek => "peek",
    }
}

fn lines(mut routes: Vec<&std::sync::Arc<Route>>, lookup: &Lookup<'_>, path: &str) -> Vec<CandidateLine> {
    let path = authsome_providers::canonical(path);
    routes.sort_by_key(|route| std::cmp::Reverse(route.claim.specificity()));
    let outcome = |route: &Route| match lookup {
        Lookup::Route(winner) if winner.claim == route.claim && winner.provider == route.provider => "won",
        _ if !route.claim.covers(&path) => "path does not match",
        Lookup::Ambiguous => "tied",
        Lookup::None => "path issues tokens or is excluded",
        Lookup::Route(_) => "less specific",
    };
    let line = |route: &&std::sync::Arc<Route>| CandidateLine {
        provider: route.provider.to_string(),
        connection: route.connection.to_string(),
        claim: route.claim.to_string(),
        outcome: outcome(route),
    };
    routes.iter().map(line).collect()
}
