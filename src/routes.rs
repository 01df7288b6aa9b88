//! Which connection answers for an origin and a path: compiled once from the definitions and the profile's
//! connections, read at every tunnel and every request.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use authsome_providers::{CanonicalPath, Claim, Endpoint, HostPattern, Specificity, canonical};
use hashbrown::HashMap;

use crate::audit::Party;
use crate::credential::Prepared;
use crate::origin::{Host, Origin};

/// What happens to a tunnel, decided from its origin alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A route names this host and port: TLS ends here.
    Intercept,
    /// Not one byte is read.
    PassThrough,
    /// An address on a port that some route names: the ClientHello tells the name.
    Peek,
}

/// Why a route has, or has not, a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The credential can be read.
    Connected,
    /// The connection went away while the proxy was running.
    Disconnected,
    /// Today's definition asks for more than the record was bound to.
    BindingChanged,
    /// The credential expired and cannot be refreshed.
    Expired,
    /// The provider declared the credential invalid or revoked.
    Invalid,
}

/// A connected provider's claim on a host, port and path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) provider: Arc<str>,
    pub(crate) connection: Arc<str>,
    pub(crate) claim: Claim,
    pub(crate) standing: Standing,
    /// Places on the claimed hosts that the credential never goes to.
    excluded: Arc<[Endpoint]>,
    /// The header values, once they were asked for. A new generation brings new routes.
    pub(crate) prepared: OnceLock<Arc<Prepared>>,
    /// How the audit log names it.
    pub(crate) party: OnceLock<Party>,
}

impl Route {
    /// Whether it leads to a path of a host that it claims.
    pub(crate) fn goes_to(&self, host: &str, path: &CanonicalPath<'_>) -> bool {
        let excluded = |place: &Endpoint| {
            place.host == host && place.port == self.claim.port && place.may_be(path.as_str())
        };
        self.claim.covers(path) && !self.excluded.iter().any(excluded)
    }
}

/// One provider's part in the table.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) provider: Arc<str>,
    pub(crate) connection: Arc<str>,
    pub(crate) standing: Standing,
    /// What today's definition claims.
    pub(crate) claims: Vec<Claim>,
    /// The claims that the record is bound to, as text.
    pub(crate) bound: BTreeSet<String>,
    /// Where tokens are issued: no route leads there, whosever it is.
    pub(crate) endpoints: Vec<Endpoint>,
    /// What is excluded from these claims.
    pub(crate) excluded: Vec<Endpoint>,
}

/// The answer for one request.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    /// Exactly one provider claims it most specifically.
    Route(&'a Arc<Route>),
    /// The host has routes, but none for this path, or the path issues tokens.
    None,
    /// Several providers claim it equally.
    Ambiguous,
}

/// The compiled table.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    exact: HashMap<Box<str>, Vec<Arc<Route>>>,
    /// Globs and regexes by each domain that they stay within.
    patterns: HashMap<Box<str>, Vec<Arc<Route>>>,
    endpoints: HashMap<Box<str>, Vec<Endpoint>>,
    ports: BTreeSet<u16>,
    prefer: Vec<String>,
}

impl Routes {
    /// Builds the table. `prefer` lists providers that win where several claim the same, the first one first.
    pub(crate) fn compile(candidates: Vec<Candidate>, prefer: Vec<String>) -> Self {
        let mut routes = Self { prefer, ..Self::default() };
        for candidate in candidates {
            routes.add(candidate);
        }
        routes
    }

    fn add(&mut self, candidate: Candidate) {
        let Candidate { provider, connection, standing, claims, bound, endpoints, excluded } = candidate;
        let excluded: Arc<[Endpoint]> = excluded.into();
        for claim in claims.into_iter().filter(Claim::is_routable) {
            let within = standing != Standing::Connected || bound.contains(&claim.to_string());
            let standing = if within { standing } else { Standing::BindingChanged };
            self.ports.insert(claim.port);
            let table = match claim.pattern {
                HostPattern::Exact(_) => &mut self.exact,
                _ => &mut self.patterns,
            };
            let (provider, connection) = (Arc::clone(&provider), Arc::clone(&connection));
            let (prepared, party) = (OnceLock::new(), OnceLock::new());
            let excluded = Arc::clone(&excluded);
            let route = Arc::new(Route { provider, connection, claim, standing, excluded, prepared, party });
            let names: BTreeSet<&str> = route.claim.permitted_suffix().into_iter().collect();
            for name in names {
                table.entry(name.into()).or_default().push(Arc::clone(&route));
            }
        }
        for endpoint in endpoints {
            self.endpoints.entry(endpoint.host.as_str().into()).or_default().push(endpoint);
        }
    }

    /// Every route, some of them several times.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.exact.values().chain(self.patterns.values()).flatten()
    }

    /// What to do with a tunnel to an origin. Loopback is never intercepted.
    pub(crate) fn verdict(&self, origin: &Origin) -> Verdict {
        if origin.is_loopback() {
            return Verdict::PassThrough;
        }
        match origin.host() {
            Host::Address(_) if self.ports.contains(&origin.port()) => Verdict::Peek,
            Host::Name(name) if self.claims_on(name, origin.port()).next().is_some() => Verdict::Intercept,
            _ => Verdict::PassThrough,
        }
    }

    /// The route of a request.
    pub(crate) fn lookup(&self, origin: &Origin, path: &str) -> Lookup<'_> {
        let Some(name) = origin.name() else { return Lookup::None };
        let path = canonical(path);
        if self.may_issue_tokens(name, origin.port(), &path) {
            return Lookup::None;
        }
        let mut best: Option<(Specificity, &Arc<Route>)> = None;
        let mut tied = false;
        for route in self.claims_on(name, origin.port()).filter(|route| route.goes_to(name, &path)) {
            let specificity = route.claim.specificity();
            let Some((champion, winner)) = best else {
                best = Some((specificity, route));
                continue;
            };
            let rival = champion == specificity && winner.provider != route.provider;
            let preferred = if rival { self.preferred(&winner.provider, &route.provider) } else { None };
            tied = if rival { preferred.is_none() } else { tied && champion >= specificity };
            if champion < specificity || preferred == Some(false) {
                best = Some((specificity, route));
            }
        }
        match best {
            Some(_) if tied => Lookup::Ambiguous,
            Some((_, route)) => Lookup::Route(route),
            None => Lookup::None,
        }
    }

    /// The providers that claim anything on an origin, for messages.
    pub(crate) fn providers(&self, origin: &Origin) -> String {
        let names = origin.name().into_iter().flat_map(|name| self.claims_on(name, origin.port()));
        let names: BTreeSet<&str> = names.map(|route| &*route.provider).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Every route on an origin, in no order, for `explain`.
    pub(crate) fn candidates(&self, origin: &Origin) -> Vec<&Arc<Route>> {
        origin.name().into_iter().flat_map(|name| self.claims_on(name, origin.port())).collect()
    }

    /// Whether a routed host is this name or lies below it, so that passing the name by would pass the route by.
    pub(crate) fn lies_at_or_below(&self, name: &str) -> bool {
        let below =
            |host: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.exact.keys().chain(self.patterns.keys()).any(|host| below(host))
            || self.ports.iter().any(|port| self.claims_on(name, *port).next().is_some())
    }

    /// The ports of routes besides 443.
    pub(crate) fn other_ports(&self) -> Vec<u16> {
        self.ports.iter().copied().filter(|port| *port != 443).collect()
    }

    fn claims_on<'a, 'n>(
        &'a self,
        name: &'n str,
        port: u16,
    ) -> impl Iterator<Item = &'a Arc<Route>> + use<'a, 'n> {
        let exact = self.exact.get(name).into_iter().flatten().filter(move |route| route.claim.port == port);
        let above = domains(name).take_while(|_| !self.patterns.is_empty());
        let patterns = above.filter_map(|domain| self.patterns.get(domain)).flatten();
        let patterns = patterns.filter(move |route| route.claim.matches_host(name, port));
        exact.chain(patterns)
    }

    fn may_issue_tokens(&self, name: &str, port: u16, path: &CanonicalPath<'_>) -> bool {
        let endpoints = self.endpoints.get(name).into_iter().flatten();
        endpoints.filter(|endpoint| endpoint.port == port).any(|endpoint| endpoint.may_be(path.as_str()))
    }

    /// Whether the first of two providers is preferred to the second; `None` when neither is listed.
    fn preferred(&self, first: &str, second: &str) -> Option<bool> {
        let rank = |name: &str| self.prefer.iter().position(|preferred| preferred == name);
        match (rank(first), rank(second)) {
            (None, None) => None,
            (Some(_), None) => Some(true),
            (None, Some(_)) => Some(false),
            (Some(first), Some(second)) => Some(first < second),
        }
    }
}

/// A name and every domain above it, nearest first.
fn domains(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |domain| domain.split_once('.').map(|(_, above)| above))
}

#[cfg(test)]
mod tests;
