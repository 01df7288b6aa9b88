//! Who sent how many requests, and how many arrived with the credential: kept by the load generator and by the origin alike.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::lane::Name;

/// The request header that carries the slot to the origin.
pub(crate) const HEADER: &str = "bench-slot";
const SLOTS: usize = 8;

/// One line of the ledger: a lane, and whether its tunnel was meant to be passed through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(usize);

impl Slot {
    pub(crate) fn new(lane: Name, passed: bool) -> Self {
        Self(lane as usize * 2 + usize::from(passed))
    }

    /// As the header's value: one digit.
    pub(crate) fn digit(self) -> String {
        self.0.to_string()
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        match text {
            [digit @ b'0'..=b'7'] => Some(Self(usize::from(digit - b'0'))),
            _ => None,
        }
    }
}

/// Counters for every slot.
#[derive(Default)]
pub(crate) struct Ledger {
    requests: [AtomicU64; SLOTS],
    authorised: [AtomicU64; SLOTS],
}

/// One slot's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    pub(crate) authorised: u64,
}

impl Ledger {
    pub(crate) fn add(&self, slot: Slot, authorised: bool) {
        self.requests[slot.0].fetch_add(1, Ordering::Relaxed);
        self.authorised[slot.0].fetch_add(u64::from(authorised), Ordering::Relaxed);
    }

    pub(crate) fn count(&self, slot: Slot) -> Count {
        Count {
            requests: self.requests[slot.0].load(Ordering::Relaxed),
            authorised: self.authorised[slot.0].load(Ordering::Relaxed),
        }
    }

    /// `[[requests, authorised], …]` by slot.
    pub(crate) fn to_json(&self) -> Value {
        (0..SLOTS)
            .map(Slot)
            .map(|slot| self.count(slot))
            .map(|count| json!([count.requests, count.authorised]))
            .collect()
    }

    /// Reads one slot out of [`Ledger::to_json`].
    pub(crate) fn read(json: &Value, slot: Slot) -> Count {
        let number = |index: usize| json[slot.0][index].as_u64().unwrap_or(0);
        Count { requests: number(0), authorised: number(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_survives_its_header_and_the_ledger_its_json() {
        let slot = Slot::new(Name::Mitmproxy, true);
        assert_eq!(Slot::parse(slot.digit().as_bytes()), Some(slot));
        assert_eq!(Slot::parse(b"8"), None);
        let ledger = Ledger::default();
        ledger.add(slot, true);
        ledger.add(slot, false);
        assert_eq!(Ledger::read(&ledger.to_json(), slot), Count { requests: 2, authorised: 1 });
    }
}
