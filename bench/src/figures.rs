//! What was measured: one value a round for each scenario, quantity and lane.

use std::collections::BTreeMap;

use crate::lane::Name;
use crate::run::Scenario;

/// What a number says, with its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quantity {
    RequestsPerSecond,
    TunnelsPerSecond,
    CpuMicros,
    P50Micros,
    P99Micros,
    AddedP50Micros,
    AddedP99Micros,
    CpuMillis,
    CpuSecondsPerGib,
    MibPerSecond,
    BaseMib,
    InterceptedKib,
    PassedKib,
    ReadyMillis,
    FirstResponseMillis,
    ExecMillis,
}

impl Quantity {
    /// The name in JSON.
    pub(crate) fn id(self) -> &'static str {
        self.names().0
    }

    /// The words in the table.
    pub(crate) fn label(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::RequestsPerSecond => ("requests_per_s", "requests/s"),
            Self::TunnelsPerSecond => ("tunnels_per_s", "tunnels/s"),
            Self::CpuMicros => ("cpu_us", "CPU µs a request"),
            Self::P50Micros => ("p50_us", "p50 µs"),
            Self::P99Micros => ("p99_us", "p99 µs"),
            Self::AddedP50Micros => ("added_p50_us", "added p50 µs"),
            Self::AddedP99Micros => ("added_p99_us", "added p99 µs"),
            Self::CpuMillis => ("cpu_ms", "CPU ms a tunnel"),
            Self::CpuSecondsPerGib => ("cpu_s_per_gib", "CPU s a GiB"),
            Self::MibPerSecond => ("mib_per_s", "MiB/s"),
            Self::BaseMib => ("base_mib", "MiB at 0 tunnels"),
            Self::InterceptedKib => ("intercepted_kib", "KiB a tunnel, intercepted"),
            Self::PassedKib => ("passed_kib", "KiB a tunnel, passed"),
            Self::ReadyMillis => ("ready_ms", "ms to ready"),
            Self::FirstResponseMillis => ("first_response_ms", "ms to first response"),
            Self::ExecMillis => ("exec_ms", "ms to the child's main"),
        }
    }

    /// The quantity that a lane adds to the direct one.
    pub(crate) fn added(self) -> Option<Self> {
        match self {
            Self::P50Micros => Some(Self::AddedP50Micros),
            Self::P99Micros => Some(Self::AddedP99Micros),
            _ => None,
        }
    }
}

/// The outcome of one measurement.
pub(crate) type Values = Vec<(Quantity, f64)>;

/// One line of the table: a value a round for every lane.
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) quantity: Quantity,
    pub(crate) lanes: BTreeMap<Name, Vec<f64>>,
}

/// All lines, in the order in which they were first measured.
#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<Row>,
}

impl Figures {
    pub(crate) fn add(&mut self, scenario: Scenario, lane: Name, values: &[(Quantity, f64)]) {
        for &(quantity, value) in values {
            let known = self.rows.iter().position(|row| row.scenario == scenario && row.quantity == quantity);
            let index = known.unwrap_or(self.rows.len());
            if known.is_none() {
                self.rows.push(Row { scenario, quantity, lanes: BTreeMap::new() });
            }
            self.rows[index].lanes.entry(lane).or_default().push(value);
        }
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The median of one lane's rounds.
    pub(crate) fn value(&self, scenario: Scenario, quantity: Quantity, lane: Name) -> Option<f64> {
        self.series(scenario, quantity, lane).map(|series| Spread::of(series).median)
    }

    /// The median over the rounds of one lane's value divided by another's in the same round.
    pub(crate) fn ratio(&self, scenario: Scenario, quantity: Quantity, lanes: [Name; 2]) -> Option<f64> {
        let [over, under] = lanes.map(|lane| self.series(scenario, quantity, lane));
        let ratios: Vec<f64> = over?.iter().zip(under?).map(|(over, under)| over / under).collect();
        Some(Spread::of(&ratios).median)
    }

    fn series(&self, scenario: Scenario, quantity: Quantity, lane: Name) -> Option<&[f64]> {
        let row = self.rows.iter().find(|row| row.scenario == scenario && row.quantity == quantity)?;
        row.lanes.get(&lane).map(Vec::as_slice)
    }
}

/// Median and extremes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { median: f64::midpoint(low, high), min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

/// The p50 and p99 of latencies in nanoseconds, as microseconds.
pub(crate) fn percentiles(nanos: &mut [u64]) -> Values {
    nanos.sort_unstable();
    let at = |share: f64| {
        let index = (nanos.len() as f64 * share).ceil() as usize;
        nanos.get(index.saturating_sub(1)).map_or(0.0, |&nanos| nanos as f64 / 1e3)
    };
    vec![(Quantity::P50Micros, at(0.50)), (Quantity::P99Micros, at(0.99))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_and_the_median_of_an_even_count_lies_between() {
        let mut nanos: Vec<u64> = (1..=200).rev().map(|value| value * 1000).collect();
        assert_eq!(percentiles(&mut nanos), [(Quantity::P50Micros, 100.0), (Quantity::P99Micros, 198.0)]);
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[7.0]).median, 7.0);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let mut figures = Figures::default();
        for (relay, ours) in [(1.0, 2.0), (10.0, 20.0), (100.0, 100.0)] {
            figures.add(Scenario::H1, Name::Relay, &[(Quantity::CpuMicros, relay)]);
            figures.add(Scenario::H1, Name::Authsome, &[(Quantity::CpuMicros, ours)]);
        }
        let ratio = |lanes| figures.ratio(Scenario::H1, Quantity::CpuMicros, lanes);
        assert_eq!(ratio([Name::Authsome, Name::Relay]), Some(2.0));
        assert_eq!(ratio([Name::Authsome, Name::Mitmproxy]), None);
    }
}
