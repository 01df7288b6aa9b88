//! Times as a person says them.

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// When a credential ends, seen from `now`; both in Unix seconds.
pub(super) fn expiry(expires_at: i64, now: i64) -> String {
    let left = expires_at.saturating_sub(now);
    if left > 0 { format!("in {}", span(left)) } else { format!("{} ago", span(left.saturating_neg())) }
}

/// How long ago something was.
pub(super) fn ago(then: i64, now: i64) -> String {
    let passed = now.saturating_sub(then);
    if passed >= 0 {
        format!("{} ago", span(passed))
    } else {
        format!("in {}", span(passed.saturating_neg()))
    }
}

/// A duration by its largest unit.
fn span(seconds: i64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative() {
        let now = 1_000_000;
        for (at, text) in [
            (now + 3 * HOUR + 5, "in 3h"),
            (now + 1, "in 1s"),
            (now + 90, "in 1m"),
            (now, "0s ago"),
            (now - 2 * DAY, "2d ago"),
            (i64::MAX, "in 106751991167289d"),
        ] {
            assert_eq!(expiry(at, now), text);
        }
        assert_eq!(ago(now - 5, now), "5s ago");
        assert_eq!(ago(now + 61, now), "in 1m");
    }
}
