//! Where each connection stands in being refreshed, as the vault keeps it.

use super::super::flows::FlowError;
use super::super::record::{ConnectionRecord, ProviderState, RecordError, RefreshState, decode, encode};
use super::super::{AuthService, Error};
use super::failure::RefreshError;
use crate::vault::Change;

impl AuthService {
    pub(super) fn refresh_state(&self, provider: &str) -> Result<ProviderState, Error> {
        let key = self.keys().state(provider);
        let fresh = || ProviderState::new(self.profile().name(), provider);
        let Some(item) = self.vault()?.get(&key)? else { return Ok(fresh()) };
        match decode(&key, item.value.expose()) {
            // What a damaged record said of earlier attempts is no reason to make none.
            Err(RecordError::Form { .. }) => Ok(fresh()),
            read => Ok(read?),
        }
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
        // One that cannot be read is made anew by the next refresh.
        let Ok(mut state) = self.refresh_state(provider) else { return Ok(None) };
        let known = state.connections.remove(connection).is_some();
        Ok(known.then(|| Change::put(self.keys().state(provider), encode(&state))))
    }
}
