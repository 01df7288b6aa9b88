use std::fs;

use super::*;
use crate::clock::SystemClock;

struct Place {
    _folder: tempfile::TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home"), &SystemClock).unwrap();
        Self { _folder: folder, home }
    }

    fn audit(&self, capacity: usize, rotate_at: u64) -> Audit {
        Audit::with_limits(&self.home, Arc::new(SystemClock), capacity, rotate_at).unwrap()
    }

    fn reasons(&self) -> Vec<String> {
        let events = last(&self.home, usize::MAX).unwrap();
        events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    fn rotated(&self) -> usize {
        let entries = fs::read_dir(self.home.root()).unwrap();
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("audit.log."))
            .count()
    }
}

fn numbered(number: &str) -> Event<'_> {
    Event { reason: Some(number), ..Event::new(EventName::Exchange) }
}

/// Records, waiting for room.
fn insist(audit: &Audit, number: &str) {
    while let Err(error) = audit.record(&numbered(number)) {
        assert!(matches!(error, AuditError::Full), "{error}");
        thread::yield_now();
    }
}

#[test]
fn events_are_on_disk_in_order_after_a_flush() {
    let place = Place::new();
    let audit = place.audit(CAPACITY, ROTATE_AT);
    let clone = audit.clone();
    for number in 0..100 {
        let writer = if number % 2 == 0 { &audit } else { &clone };
        writer.record(&numbered(&number.to_string())).unwrap();
    }
    audit.flush().unwrap();
    assert_eq!(place.reasons(), (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    audit.flush().unwrap();
    clone.record(&numbered("last")).unwrap();
    drop(audit);
    drop(clone);
    assert_eq!(place.reasons().last().unwrap(), "last", "the last handle writes what is left");
}

#[test]
fn a_full_queue_refuses_and_what_was_taken_is_written() {
    let place = Place::new();
    fs::File::create(place.home.audit_log()).unwrap().set_len(1000).unwrap();
    // The log is full, and the home's lock stands in the way of its rotation.
    let lock = place.home.lock().unwrap();
    let audit = place.audit(2000, 1000);
    let mut taken = 0;
    let error = loop {
        match audit.record(&numbered(&taken.to_string())) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AuditError::Full));
    assert!((10..60).contains(&taken), "{taken}");
    drop(lock);
    audit.flush().unwrap();
    assert_eq!(place.reasons().len(), taken);
    audit.record(&numbered("again")).unwrap();
}

#[test]
fn a_log_that_cannot_be_written_refuses_until_it_can() {
    let place = Place::new();
    let audit = place.audit(CAPACITY, ROTATE_AT);
    audit.record(&numbered("before")).unwrap();
    audit.flush().unwrap();
    let log = place.home.audit_log();
    let aside = place.home.root().join("aside");
    fs::rename(&log, &aside).unwrap();
    fs::create_dir(&log).unwrap();
    audit.record(&numbered("kept")).unwrap();
    assert!(matches!(audit.flush(), Err(AuditError::Failed(_))));
    assert!(matches!(audit.record(&numbered("refused")), Err(AuditError::Failed(_))));
    fs::remove_dir(&log).unwrap();
    fs::rename(&aside, &log).unwrap();
    while audit.record(&numbered("after")).is_err() {
        thread::yield_now();
    }
    audit.flush().unwrap();
    assert_eq!(place.reasons(), ["before", "kept", "after"]);
}

#[test]
fn rotation_loses_no_line_with_several_writers_and_numbers_never_repeat() {
    let place = Place::new();
    let write_much = &|writer: u32| {
        let audit = place.audit(CAPACITY, 4000);
        for number in 0..200 {
            insist(&audit, &format!("{writer}:{number}"));
            if number % 10 == 0 {
                audit.flush().unwrap();
            }
        }
    };
    thread::scope(|scope| {
        for writer in 0..3 {
            scope.spawn(move || write_much(writer));
        }
        for number in 0..20 {
            append(&place.home, &SystemClock, &numbered(&format!("command:{number}"))).unwrap();
        }
    });
    let mut reasons = place.reasons();
    assert_eq!(reasons.len(), 620);
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), 620);
    assert!(place.rotated() > 3, "{}", place.rotated());
}

#[test]
fn a_torn_line_costs_only_itself() {
    let place = Place::new();
    append(&place.home, &SystemClock, &numbered("one")).unwrap();
    let log = place.home.audit_log();
    let mut content = fs::read(&log).unwrap();
    content.extend_from_slice(b"{\"time\":\"2026-");
    fs::write(&log, content).unwrap();
    append(&place.home, &SystemClock, &numbered("two")).unwrap();
    assert_eq!(place.reasons(), ["one", "two"]);
}

#[test]
fn the_last_events_reach_back_over_chunks_and_rotated_logs() {
    let place = Place::new();
    let audit = place.audit(CAPACITY, 300_000);
    let filler = "x".repeat(1000);
    for number in 0..500 {
        insist(&audit, &format!("{number}:{filler}"));
        audit.flush().unwrap();
    }
    assert_eq!(place.rotated(), 1);
    for count in [0, 1, 150, 499, 500, 501] {
        let events = last(&place.home, count).unwrap();
        assert_eq!(events.len(), count.min(500));
        for (event, number) in events.iter().zip(500 - count.min(500)..) {
            assert!(event["reason"].as_str().unwrap().starts_with(&format!("{number}:")));
        }
    }
}

#[test]
fn a_link_in_the_place_of_the_log_is_refused() {
    let place = Place::new();
    let elsewhere = place.home.root().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.home.audit_log()).unwrap();
    assert!(Audit::open(&place.home, Arc::new(SystemClock)).is_err());
    assert!(append(&place.home, &SystemClock, &Event::new(EventName::Login)).is_err());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");
}
