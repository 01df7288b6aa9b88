//! The vault thread: the only reader of the vault on behalf of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use authsome_providers::Claim;

use super::chosen::{Connected, PLACEHOLDER, chosen};
use super::prepared::Fields;
use super::{Ask, CredentialError, Prepared, Rules, Shared, Term, even};
use crate::auth::record::{ConnectionRecord, ConnectionStatus};
use crate::auth::{AuthService, Connection, Error, Unreadable};
use crate::clock::Clock;
use crate::proxy::headers::Placeholders;
use crate::routes::{Candidate, Route, Routes, Standing};

/// Files that were edited by hand are noticed within this time.
const HAND_EDITS: Duration = Duration::from_secs(1);

/// What the vault thread reads from.
pub(crate) struct Source {
    auth: Arc<AuthService>,
    clock: Arc<dyn Clock>,
    /// `--connection provider=name`, in the place of the provider's default connection.
    picks: BTreeMap<String, String>,
    prefer: Vec<String>,
    /// What was connected since the proxy started: a provider that loses its connection keeps its claims.
    earlier: BTreeMap<String, Earlier>,
}

impl Source {
    pub(crate) fn new(
        auth: AuthService,
        clock: Arc<dyn Clock>,
        picks: BTreeMap<String, String>,
        prefer: Vec<String>,
    ) -> Self {
        Self { auth: Arc::new(auth), clock, picks, prefer, earlier: BTreeMap::new() }
    }

    pub(super) fn auth(&self) -> Arc<AuthService> {
        Arc::clone(&self.auth)
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Reads definitions and connections.
    pub(crate) fn rules(&mut self, generation: Option<u64>) -> Result<Rules, CredentialError> {
        let chosen = chosen(&self.auth, &self.picks).map_err(vault)?;
        let mut gone = std::mem::take(&mut self.earlier);
        let mut candidates = Vec::new();
        for connected in &chosen.connected {
            let provider = &connected.record.provider;
            if gone.get(provider).is_some_and(|earlier| !chosen.has(provider, &earlier.connection)) {
                // The connection that this run used is gone: another account does not take its place.
                continue;
            }
            gone.remove(provider);
            let candidate = self.candidate(connected);
            self.earlier.insert(provider.clone(), Earlier::of(connected, &candidate));
            candidates.push(candidate);
        }
        for Unreadable { provider, connection, error } in &chosen.unreadable {
            tracing::error!(provider, connection, %error, "a connection cannot be read");
            let claims = gone.get(provider).map(|earlier| earlier.claims.clone());
            let claims = claims.or_else(|| self.claims_of(provider)).unwrap_or_default();
            candidates.push(without_credential(provider, Standing::Invalid, claims));
        }
        for (provider, earlier) in &gone {
            candidates.push(without_credential(provider, Standing::Disconnected, earlier.claims.clone()));
        }
        self.earlier.append(&mut gone);
        let known = self.earlier.values().map(|earlier| earlier.placeholder.as_str());
        let placeholders = Placeholders::new(known.chain([PLACEHOLDER]));
        Ok(Rules { generation, routes: Routes::compile(candidates, self.prefer.clone()), placeholders })
    }

    /// What a provider's definition claims when no connection fills its templates.
    fn claims_of(&self, provider: &str) -> Option<Vec<Claim>> {
        Some(self.auth.provider(provider).ok()?.definition.fixed_claims())
    }

    /// A connection's part in the table. Where today's definition is gone or does not fit, its old claims stay,
    /// without a credential.
    fn candidate(&self, connected: &Connected) -> Candidate {
        let record = &connected.record;
        let values = record.template_values();
        let definition = connected.definition.as_ref();
        let today = definition.and_then(|definition| definition.claims(record.auth_type, &values).ok());
        let excluded = definition.into_iter().flat_map(|definition| definition.excluded(&values));
        let unchanged = definition
            .is_some_and(|definition| record.binding.placement == definition.placement(record.auth_type));
        let bound = record.binding.claims.iter().filter(|_| unchanged && today.is_some()).cloned().collect();
        let old = || record.binding.claims.iter().filter_map(|text| text.parse().ok()).collect();
        Candidate {
            provider: record.provider.as_str().into(),
            connection: record.connection_name.as_str().into(),
            standing: self.standing(record),
            claims: today.unwrap_or_else(old),
            bound,
            endpoints: definition
                .map(|definition| definition.auth_endpoints(&values))
                .into_iter()
                .flatten()
                .chain(record.binding.endpoints())
                .collect(),
            excluded: record.binding.excluded().chain(excluded).collect(),
        }
    }

    fn standing(&self, record: &ConnectionRecord) -> Standing {
        match record.status_at(self.clock.unix_seconds()) {
            ConnectionStatus::Connected => Standing::Connected,
            ConnectionStatus::Expired if record.is_renewable() => Standing::Connected,
            ConnectionStatus::Expired => Standing::Expired,
            _ => Standing::Invalid,
        }
    }

    /// Renders what a route places. The record is read again and its binding checked against the route's claim.
    fn prepare(&mut self, route: &Route) -> Result<Arc<Prepared>, CredentialError> {
        let provider = || Arc::clone(&route.provider);
        let Connection { record, version, .. } =
            match self.auth.connection(&route.provider, Some(&route.connection)) {
                Ok(connection) => connection,
                Err(Error::ConnectionNotFound { .. } | Error::CredentialMissing { .. }) => {
                    return Err(CredentialError::NotConnected { provider: provider() });
                }
                Err(error) => return Err(vault(error)),
            };
        let definition = self.auth.provider(&route.provider).map_err(vault)?.definition;
        let allowed = record.binding.claims.contains(&route.claim.to_string())
            && record.binding.placement == definition.placement(record.auth_type);
        if !allowed {
            return Err(CredentialError::BindingChanged { provider: provider() });
        }
        let placement = record.binding.placement.at(&route.claim);
        let term = Term::of(&record, self.auth.due_at(&record), version);
        let prepared = Prepared::render(placement, &record, definition.placeholder(), term);
        let unusable = |error: super::RenderError| CredentialError::Unusable {
            provider: provider(),
            reason: error.to_string(),
        };
        Ok(Arc::new(prepared.map_err(unusable)?))
    }
}

impl Fields for ConnectionRecord {
    fn value(&self, name: &str) -> Option<&str> {
        self.field(name)
    }

    fn secret_names(&self) -> Vec<&str> {
        self.secrets().into_iter().map(|(name, _)| name).collect()
    }
}

/// What a run remembers of a provider that was connected.
struct Earlier {
    connection: String,
    claims: Vec<Claim>,
    placeholder: String,
}

impl Earlier {
    fn of(connected: &Connected, candidate: &Candidate) -> Self {
        Self {
            connection: connected.record.connection_name.clone(),
            claims: candidate.claims.clone(),
            placeholder: connected.placeholder().to_owned(),
        }
    }
}

/// A provider's claims that are known while its credential is not to be had.
fn without_credential(provider: &str, standing: Standing, claims: Vec<Claim>) -> Candidate {
    Candidate {
        provider: provider.into(),
        connection: "".into(),
        standing,
        claims,
        bound: BTreeSet::new(),
        endpoints: Vec::new(),
        excluded: Vec::new(),
    }
}

fn vault(error: Error) -> CredentialError {
    CredentialError::Vault(Arc::new(error))
}

/// Answers until the last handle is gone.
pub(super) fn serve(mut source: Source, queue: &Receiver<Ask>, shared: &Weak<Shared>) {
    let mut looked = Instant::now();
    loop {
        let ask = match queue.recv_timeout(HAND_EDITS.saturating_sub(looked.elapsed())) {
            Ok(ask) => Some(ask),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(shared) = shared.upgrade() else { return };
        match ask {
            Some(Ask::Rules(answer)) if !answer.is_closed() => {
                let _ = answer.send(refresh(&mut source, &shared));
            }
            Some(Ask::Prepare(route, answer)) if !answer.is_closed() => {
                let prepared = source.prepare(&route);
                if let Ok(prepared) = &prepared {
                    let _ = route.prepared.set(Arc::clone(prepared));
                }
                let _ = answer.send(prepared);
            }
            // Whoever asked has given up.
            Some(_) | None => {}
        }
        if looked.elapsed() >= HAND_EDITS {
            notice_edits(&source, &shared);
            renew_ahead(&source, &shared);
            looked = Instant::now();
        }
    }
}

/// Renews what is used and will end soon, before a request has to wait for it.
fn renew_ahead(source: &Source, shared: &Shared) {
    let now = source.clock.unix_seconds();
    for route in shared.rules.load().routes.all() {
        let term = route.prepared.get().and_then(|prepared| prepared.term.as_ref());
        if term.is_some_and(|term| term.is_used() && term.is_due(now)) {
            shared.renewals.start_ahead(&route.provider, &route.connection);
        }
    }
}

/// Looks for files that were edited by hand, or that another home has put in the place of this one's.
fn notice_edits(source: &Source, shared: &Shared) {
    if let Err(error) = shared.generation.recheck() {
        tracing::warn!(%error, "the profile cannot be followed");
        shared.stale.store(true, Ordering::Release);
    }
    match source.auth.reload_definitions() {
        Ok(false) => {}
        Ok(true) => shared.stale.store(true, Ordering::Release),
        Err(error) => tracing::warn!(%error, "the provider definitions cannot be read again"),
    }
}

/// The rules at the present generation: those at hand when they are, else read and kept for all.
fn refresh(source: &mut Source, shared: &Shared) -> Result<Arc<Rules>, CredentialError> {
    shared.generation.recheck().map_err(|error| CredentialError::Vault(Arc::new(error)))?;
    let generation = even(&shared.generation)?;
    let at_hand = shared.rules.load_full();
    let stale = shared.stale.swap(false, Ordering::AcqRel);
    if generation.is_some() && at_hand.generation == generation && !stale {
        return Ok(at_hand);
    }
    let rules =
        Arc::new(source.rules(generation).inspect_err(|_| shared.stale.store(stale, Ordering::Release))?);
    // A writer may have come meanwhile: what was read then belongs to no generation.
    if generation.is_some() && even(&shared.generation)? == generation {
        shared.rules.store(Arc::clone(&rules));
    }
    Ok(rules)
}
