//! When a token is renewed, and how long is waited after a failure.

use super::super::flows::FlowError;
use super::super::record::{ConnectionRecord, RefreshState};
use super::failure::RefreshError;

/// After the first failure, and at most, in seconds.
const FIRST_PAUSE: i64 = 5;
const LONGEST_PAUSE: i64 = 300;
/// No pause that was noted is longer, whatever the clock has done since, in seconds.
const LONGEST_NOTED: i64 = 3600;

/// How early a token is renewed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Seconds before its end.
    pub(crate) window: i64,
}

impl Timing {
    /// The last tenth of the lifetime, but no more than the window.
    pub(crate) fn due_at(self, record: &ConnectionRecord) -> Option<i64> {
        let end = record.expires_at?;
        let lifetime = record.obtained_at.map_or(i64::MAX, |start| end.saturating_sub(start));
        Some(end - self.window.min(lifetime / 10).max(0))
    }
}

/// Whether an attempt may be made now.
///
/// # Errors
/// [`RefreshError::Paused`] with what went wrong last.
pub(super) fn check_pause(state: &RefreshState, now: i64) -> Result<(), RefreshError> {
    let left = state.retry_at.map_or(0, |at| at.saturating_sub(now));
    // A pause far in the future was noted under another clock.
    if (1..=LONGEST_NOTED).contains(&left) {
        return Err(RefreshError::Paused { seconds: left, last: state.error.clone().unwrap_or_default() });
    }
    Ok(())
}

/// The state after one more failure: the pause doubles, with jitter, and is no shorter than the server asked for.
pub(super) fn after_failure(before: &RefreshState, error: &FlowError, now: i64) -> RefreshState {
    let failures = before.failures.saturating_add(1);
    let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_PAUSE);
    let asked =
        error.retry_after().map_or(0, |pause| i64::try_from(pause.as_secs()).unwrap_or(LONGEST_NOTED));
    RefreshState {
        // An answer that may be on its way, or lost, stays on the record.
        pending_since: if failure_may_have_acted(error) { Some(now) } else { before.pending_since },
        failures,
        failed_at: Some(now),
        retry_at: Some(now.saturating_add(jittered(pause).max(asked).min(LONGEST_NOTED))),
        error: Some(error.to_string()),
        rest: before.rest.clone(),
    }
}

fn failure_may_have_acted(error: &FlowError) -> bool {
    match error {
        FlowError::Endpoint(error) => error.may_have_acted(),
        FlowError::Malformed(_) => true,
        _ => false,
    }
}

/// Half to one and a half of a pause, so that processes do not come back together.
fn jittered(pause: i64) -> i64 {
    let mut random = [0u8; 2];
    if getrandom::fill(&mut random).is_err() {
        return pause;
    }
    let thousandths = 500 + i64::from(u16::from_le_bytes(random)) % 1001;
    (pause * thousandths / 1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(error: &FlowError) -> Vec<i64> {
        let mut state = RefreshState::default();
        (0..12)
            .map(|_| {
                state = after_failure(&state, error, 1000);
                state.retry_at.unwrap() - 1000
            })
            .collect()
    }

    #[test]
    fn the_pause_after_a_failure_doubles_up_to_a_limit() {
        let error = FlowError::Status { status: 503, retry_after: None };
        for (index, pause) in pauses(&error).into_iter().enumerate() {
            let middle = (5 << index.min(10)).min(300);
            assert!((middle / 2..=middle * 3 / 2).contains(&pause), "{index}: {pause}");
        }
    }

    #[test]
    fn the_pause_is_no_shorter_than_the_server_asks() {
        let asked = std::time::Duration::from_secs(120);
        let error = FlowError::Status { status: 503, retry_after: Some(asked) };
        assert!(pauses(&error).iter().all(|pause| *pause >= 120));
    }

    #[test]
    fn a_pause_that_was_noted_under_another_clock_does_not_count() {
        let noted = |at| RefreshState { retry_at: Some(at), ..RefreshState::default() };
        assert!(check_pause(&noted(1010), 1000).is_err());
        assert!(check_pause(&noted(1000), 1000).is_ok());
        assert!(check_pause(&noted(100_000), 1000).is_ok());
    }
}
