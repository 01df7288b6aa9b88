//! The route table, seen from outside: what a lookup costs can be measured without a proxy around it.

use authsome_providers::{Claim, Endpoint};

use crate::origin::Origin;
use crate::routes::{Candidate, Lookup, Routes, Standing, Verdict};

/// A compiled table.
pub struct Table(Routes);

/// A provider's part in it.
pub struct Part {
    /// Its name.
    pub provider: String,
    /// Where it claims.
    pub claims: Vec<Claim>,
    /// Where it issues tokens.
    pub endpoints: Vec<Endpoint>,
    /// Where its credential never goes.
    pub excluded: Vec<Endpoint>,
}

/// An origin that is asked about.
pub struct Target(Origin);

impl Table {
    /// Compiles a table from providers; all are connected.
    pub fn compile(providers: impl IntoIterator<Item = Part>) -> Self {
        let candidates =
            providers.into_iter().map(|Part { provider, claims, endpoints, excluded }| Candidate {
                provider: provider.into(),
                connection: "default".into(),
                standing: Standing::Connected,
                bound: claims.iter().map(ToString::to_string).collect(),
                claims,
                endpoints,
                excluded,
            });
        Self(Routes::compile(candidates.collect(), Vec::new()))
    }

    /// What a tunnel and a request in it ask: whether the host is intercepted, and whether the path has one route.
    pub fn is_routed(&self, target: &Target, path: &str) -> bool {
        self.0.verdict(&target.0) == Verdict::Intercept
            && matches!(self.0.lookup(&target.0, path), Lookup::Route(_))
    }
}

impl Target {
    /// Port 443 of a host.
    ///
    /// # Panics
    /// When it is no host.
    #[expect(clippy::expect_used, reason = "for benches, whose hosts are written down")]
    pub fn new(host: &str) -> Self {
        Self(Origin::with_default_port(host, 443).expect("a host"))
    }
}
