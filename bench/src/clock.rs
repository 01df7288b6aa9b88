//! The one clock that processes of this machine share.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, comparable between processes; 0 where the clock cannot be read.
pub(crate) fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(|time| Duration::from(time).as_nanos() as u64).unwrap_or(0)
}

/// Milliseconds between two readings of [`monotonic_ns`].
pub(crate) fn milliseconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}
