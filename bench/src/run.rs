//! `authsome-bench run`: every scenario, in interleaved rounds over the lanes, then the table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::figures::{Figures, Quantity, Values};
use crate::lane::{Lane, Name};
use crate::ledger::{Count, Ledger, Slot};
use crate::peers::{Peer as Prepared, Setup};
use crate::tls::Protocol;
use crate::{client::Target, cores, origin, report, targets};

mod fresh;
mod scenario;

pub(crate) use scenario::Scenario;

/// Options of `run`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary to measure, or `none`
    #[arg(long, default_value = "target/release/authsome")]
    authsome: PathBuf,
    /// Another proxy to measure beside it
    #[arg(long, value_enum, default_value_t = Peer::None)]
    pub(crate) peer: Peer,
    /// How the bare relay runs
    #[arg(long, value_enum, default_value_t = Floor::Plain)]
    floor: Floor,
    /// Rounds: each measures every lane once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds of a timed measurement
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Only these scenarios (may be given several times)
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Also write everything, each round's values too, to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The bare relay's runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Floor {
    /// tokio's usual one
    Plain,
    /// One a core, as authsome has: a lower floor
    PerCore,
}

/// Proxies that can be measured beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Peer {
    None,
    Mitmproxy,
}

impl Options {
    /// The binary to measure, where there is one.
    pub(crate) fn authsome(&self) -> Option<&Path> {
        (self.authsome.as_os_str() != "none").then_some(self.authsome.as_path())
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let all = Scenario::ALL.into_iter();
        all.filter(|scenario| self.only.is_empty() || self.only.contains(scenario)).collect()
    }
}

/// Measures and prints; false when a target was missed or a request arrived as it should not.
pub(crate) fn run(options: Options) -> Result<bool> {
    let rounds = usize::from(options.rounds);
    let setup = Setup::start(rounds * scenario::COLD_TUNNELS, options.floor)?;
    let scenarios = options.scenarios();
    let mut figures = Figures::default();
    timed(&options, &setup, &scenarios, &mut figures)?;
    let unsteady: Vec<_> = scenarios.iter().copied().filter(|scenario| scenario.starts_afresh()).collect();
    if !unsteady.is_empty() {
        let peers = Prepared::prepare(&setup, &options, "fresh")?;
        for scenario in unsteady {
            eprintln!("{}", scenario.title());
            fresh::measure(scenario, &setup, &peers, rounds, &mut figures)
                .with_context(|| scenario.title().to_owned())?;
        }
    }
    let arrived = arrivals(&setup)?;
    let verdicts = targets::judge(&figures, &arrived);
    print!("{}", report::table(&figures, &verdicts));
    if let Some(path) = &options.json {
        let document = report::json(&figures, &verdicts, &arrived);
        std::fs::write(path, document.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(verdicts.iter().all(|verdict| verdict.pass))
}

/// The scenarios that work on long-lived processes.
fn timed(options: &Options, setup: &Setup, scenarios: &[Scenario], figures: &mut Figures) -> Result<()> {
    let steady: Vec<_> = scenarios.iter().copied().filter(|scenario| !scenario.starts_afresh()).collect();
    if steady.is_empty() {
        return Ok(());
    }
    let peers = Prepared::prepare(setup, options, "steady")?;
    let lanes = peers.iter().map(|peer| peer.start(setup).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    for scenario in steady {
        eprintln!("{}", scenario.title());
        for _ in 0..options.rounds {
            round(scenario, &lanes, options.seconds, figures).with_context(|| scenario.title().to_owned())?;
        }
    }
    Ok(())
}

/// One value of every lane; the direct one comes first, so the others know what they add to it.
fn round(scenario: Scenario, lanes: &[Arc<Lane>], seconds: f64, figures: &mut Figures) -> Result<()> {
    let mut direct = Values::new();
    for lane in lanes {
        let mut values = scenario::measure(scenario, lane, seconds)?;
        if lane.name == Name::Direct {
            direct.clone_from(&values);
        } else {
            values.extend(added(&values, &direct));
        }
        figures.add(scenario, lane.name, &values);
    }
    Ok(())
}

fn added(values: &[(Quantity, f64)], direct: &[(Quantity, f64)]) -> Values {
    let beside = |quantity| direct.iter().find(|(other, _)| *other == quantity).map(|(_, value)| *value);
    let difference =
        |&(quantity, value): &(Quantity, f64)| Some((quantity.added()?, value - beside(quantity)?));
    values.iter().filter_map(difference).collect()
}

/// A slot's requests as they were sent and as they arrived.
pub(crate) struct Arrival {
    pub(crate) lane: Name,
    pub(crate) passed: bool,
    pub(crate) sent: u64,
    pub(crate) arrived: Count,
}

/// Asks the origin what arrived, and lays it beside what was sent.
fn arrivals(setup: &Setup) -> Result<Vec<Arrival>> {
    let direct = Arc::new(Prepared::Direct.start(setup)?);
    let target = Target::new(&direct, Protocol::H1, origin::INTERCEPTED);
    let stats = cores::runtime()?.block_on(async {
        let mut body = target.open().await?.ask("/stats").await?;
        let mut text = Vec::new();
        while let Some(data) = crate::client::next(&mut body).await? {
            text.extend_from_slice(&data);
        }
        Ok::<_, anyhow::Error>(text)
    })?;
    let stats = serde_json::from_slice(&stats)?;
    let mut arrivals = Vec::new();
    for lane in [Name::Direct, Name::Relay, Name::Authsome, Name::Mitmproxy] {
        for passed in [false, true] {
            let slot = Slot::new(lane, passed);
            let sent = setup.ledger.count(slot).requests;
            arrivals.push(Arrival { lane, passed, sent, arrived: Ledger::read(&stats, slot) });
        }
    }
    arrivals.retain(|arrival| arrival.sent > 0);
    Ok(arrivals)
}
