//! The only reader of the wall clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of day.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now, since 1970-01-01 00:00:00 UTC.
    fn since_epoch(&self) -> Duration;

    /// Whole seconds since 1970-01-01 00:00:00 UTC.
    fn unix_seconds(&self) -> i64 {
        i64::try_from(self.since_epoch().as_secs()).unwrap_or(i64::MAX)
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// Writes a time as RFC 3339 in UTC, to the second.
pub fn rfc3339(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).unwrap_or_default().to_string()
}

/// Reads a time written by RFC 3339, in seconds since 1970-01-01 00:00:00 UTC.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}
