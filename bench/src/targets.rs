//! The project's own limits, and whether this run kept them.

use crate::figures::{Figures, Quantity};
use crate::lane::Name;
use crate::run::{Arrival, Scenario};

/// One limit with what was measured.
pub(crate) struct Verdict {
    pub(crate) text: String,
    pub(crate) value: f64,
    pub(crate) limit: f64,
    /// The direct lane's value, where that says what this machine can do today.
    pub(crate) direct: Option<f64>,
    pub(crate) pass: bool,
}

/// How a value is compared.
enum Against {
    /// A plain value.
    Itself,
    /// Divided by another lane's value of the same round.
    Lane(Name),
}

struct Target {
    text: &'static str,
    scenario: Scenario,
    quantity: Quantity,
    against: Against,
    limit: f64,
}

const TARGETS: [Target; 8] = [
    Target {
        text: "CPU of a kept-alive h1 request / relay's",
        scenario: Scenario::H1,
        quantity: Quantity::CpuMicros,
        against: Against::Lane(Name::Relay),
        limit: 1.7,
    },
    Target {
        text: "CPU of a kept-alive h1 request / mitmproxy's",
        scenario: Scenario::H1,
        quantity: Quantity::CpuMicros,
        against: Against::Lane(Name::Mitmproxy),
        limit: 1.0 / 60.0,
    },
    Target {
        text: "CPU of a warm tunnel / relay's",
        scenario: Scenario::Warm,
        quantity: Quantity::CpuMillis,
        against: Against::Lane(Name::Relay),
        limit: 0.6,
    },
    Target {
        text: "added p50 on one h1 connection, µs",
        scenario: Scenario::LatencyH1,
        quantity: Quantity::AddedP50Micros,
        against: Against::Itself,
        limit: 40.0,
    },
    Target {
        text: "p99 delay of an event, h1, µs",
        scenario: Scenario::SseH1,
        quantity: Quantity::P99Micros,
        against: Against::Itself,
        limit: 1000.0,
    },
    Target {
        text: "p99 delay of an event, h2, µs",
        scenario: Scenario::SseH2,
        quantity: Quantity::P99Micros,
        against: Against::Itself,
        limit: 1000.0,
    },
    Target {
        text: "an idle intercepted tunnel, KiB",
        scenario: Scenario::Idle,
        quantity: Quantity::InterceptedKib,
        against: Against::Itself,
        limit: 32.0,
    },
    Target {
        text: "start of `run` to its child, ms",
        scenario: Scenario::Run,
        quantity: Quantity::ExecMillis,
        against: Against::Itself,
        limit: 15.0,
    },
];

/// Judges what was measured; what was not is left out.
pub(crate) fn judge(figures: &Figures, arrivals: &[Arrival]) -> Vec<Verdict> {
    let measured = TARGETS.iter().filter_map(|target| {
        let (scenario, quantity) = (target.scenario, target.quantity);
        let value = match target.against {
            Against::Itself => figures.value(scenario, quantity, Name::Authsome),
            Against::Lane(lane) => figures.ratio(scenario, quantity, [Name::Authsome, lane]),
        }?;
        let direct = match target.against {
            Against::Itself => figures.value(scenario, quantity, Name::Direct),
            Against::Lane(_) => None,
        };
        let pass = value <= target.limit;
        Some(Verdict { text: target.text.to_owned(), value, limit: target.limit, direct, pass })
    });
    measured.chain(arrivals.iter().map(arrived)).collect()
}

/// Every request arrives exactly once: with the credential where the lane places it, else without.
fn arrived(arrival: &Arrival) -> Verdict {
    let injected = arrival.lane.injects() && !arrival.passed;
    let right = if injected {
        arrival.arrived.authorised
    } else {
        arrival.arrived.requests.saturating_sub(arrival.arrived.authorised)
    };
    let way = if arrival.passed { " passed through" } else { "" };
    let credential = if injected { "with" } else { "without" };
    Verdict {
        text: format!("{}: requests{way} that arrived {credential} the credential", arrival.lane.text()),
        value: right as f64,
        limit: arrival.sent as f64,
        direct: None,
        pass: right == arrival.sent && arrival.arrived.requests == arrival.sent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Count;

    fn arrival(lane: Name, passed: bool, requests: u64, authorised: u64) -> bool {
        arrived(&Arrival { lane, passed, sent: 10, arrived: Count { requests, authorised } }).pass
    }

    #[test]
    fn one_request_without_its_credential_or_one_too_many_with_it_fails() {
        assert!(arrival(Name::Authsome, false, 10, 10));
        assert!(!arrival(Name::Authsome, false, 10, 9));
        assert!(!arrival(Name::Authsome, false, 11, 11));
        assert!(arrival(Name::Authsome, true, 10, 0));
        assert!(!arrival(Name::Authsome, true, 10, 1));
        assert!(arrival(Name::Relay, false, 10, 0));
        assert!(!arrival(Name::Relay, false, 9, 0));
    }

    #[test]
    fn a_target_is_judged_only_where_it_was_measured() {
        let mut figures = Figures::default();
        figures.add(Scenario::H1, Name::Relay, &[(Quantity::CpuMicros, 10.0)]);
        figures.add(Scenario::H1, Name::Authsome, &[(Quantity::CpuMicros, 18.0)]);
        figures.add(Scenario::Run, Name::Authsome, &[(Quantity::ExecMillis, 14.0)]);
        let passes: Vec<_> = judge(&figures, &[]).iter().map(|verdict| verdict.pass).collect();
        assert_eq!(passes, [false, true]);
    }
}
