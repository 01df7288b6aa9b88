//! Where each connection stands in being refreshed, as the vault keeps it.

use super::super::flows::FlowError;
use super::super::record::{ConnectionRecord, ProviderState, RefreshState, decode, encode};
use super::super::{AuthService, Error};
use super::failure::RefreshError;
use crate::vault::Change;

impl AuthService {
    pub(super) fn refresh_state(&self, provider: &str) -> Result<ProviderState, Error> {
        let key = self.keys().state(provider);
        Ok(match self.vault()?.get(&key)? {
            Some(item) => decode(&key, item.value.expose())?,
            None => ProviderState::new(self.profile().name(), provider),
        })
    }

    pub(super) fn note(
        &self,
        record: &ConnectionRecord,
        own: Option<RefreshState>,
        outcome: Option<Result<(), &FlowError>>,
    ) -> Result<(), RefreshError> {
        self.note_with(record, own, outcome, Vec::new())?;
        Ok(())
    }

    /// Writes where a connection stands, together with changes of its record.
    pub(super) fn note_with(
        &self,
        record: &ConnectionRecord,
        own: Option<RefreshState>,
        outcome: Option<Result<(), &FlowError>>,
        mut changes: Vec<Change>,
    ) -> Result<i64, Error> {
        let vault = self.vault()?;
        let exclusive = vault.exclusive()?;
        let mut state = self.refresh_state(&record.provider)?;
        match own {
            Some(own) => state.connections.insert(record.connection_name.clone(), own),
            None => state.connections.remove(&record.connection_name),
        };
        match outcome {
            Some(Ok(())) => {
                state.last_refresh_at = Some(self.now());
                state.last_refresh_error = None;
            }
            Some(Err(error)) => state.last_refresh_error = Some(error.to_string()),
            None => {}
        }
        changes.push(Change::put(self.keys().state(&record.provider), encode(&state)));
        Ok(exclusive.apply(changes)?)
    }

    /// What a login or logout makes of a connection's refreshes: nothing is left of them.
    pub(in super::super) fn forget_refreshes(
        &self,
        provider: &str,
        connection: &str,
    ) -> Result<Option<Change>, Error> {
        let mut state = match self.refresh_state(provider) {
            Ok(state) => state,
            // One that cannot be read is made anew by the next refresh.
            Err(_) => ProviderState::new(self.profile().name(), provider),
        };
        let known = state.connections.remove(connection).is_some();
        Ok(known.then(|| Change::put(self.keys().state(provider), encode(&state))))
    }
}
