//! The scenarios that start processes of their own: memory of idle tunnels, time to start, time to a run's child.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::client::Target;
use crate::figures::{Figures, Quantity, Values};
use crate::load::tunnels::hold;
use crate::peers::{Peer, Setup, until_stamp};
use crate::tls::Protocol;
use crate::{clock, cores, origin, process};

/// Tunnels held open.
const IDLE: usize = 1000;
/// Tunnels opened and closed first: what a process allocates once is no tunnel's cost.
const FIRST: usize = 4;
/// Rounds of the memory scenario at most: they hardly differ.
const IDLE_ROUNDS: usize = 3;
/// Starts are short and vary more: so many for each round.
const STARTS: usize = 4;
/// Silence before memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// Measures one of the scenarios in interleaved rounds.
pub(super) fn measure(
    scenario: Scenario,
    setup: &Setup,
    peers: &[Peer],
    rounds: usize,
    figures: &mut Figures,
) -> Result<()> {
    let rounds = if scenario == Scenario::Idle { rounds.min(IDLE_ROUNDS) } else { rounds * STARTS };
    for _ in 0..rounds {
        for peer in peers {
            let values = one(scenario, setup, peer).with_context(|| peer.name().text())?;
            figures.add(scenario, peer.name(), &values);
        }
    }
    Ok(())
}

fn one(scenario: Scenario, setup: &Setup, peer: &Peer) -> Result<Values> {
    match (scenario, peer) {
        (Scenario::Run, Peer::Direct) => {
            let millis = until_stamp(process::command(&setup.program).arg("stamp"))?;
            Ok(vec![(Quantity::ExecMillis, millis)])
        }
        (Scenario::Run, Peer::Authsome(home)) => Ok(vec![(Quantity::ExecMillis, home.run_to_exec(setup)?)]),
        (Scenario::Run, _) | (_, Peer::Direct) => Ok(Values::new()),
        (Scenario::Idle, _) => memory(setup, peer),
        _ => start(setup, peer),
    }
}

fn memory(setup: &Setup, peer: &Peer) -> Result<Values> {
    let (base, intercepted) = idle(setup, peer, origin::INTERCEPTED)?;
    let (_, passed) = idle(setup, peer, origin::PASSED)?;
    Ok(vec![
        (Quantity::BaseMib, base / 1024.0),
        (Quantity::InterceptedKib, intercepted),
        (Quantity::PassedKib, passed),
    ])
}

/// Resident KiB of a fresh process without tunnels, and what each idle tunnel to `host` adds.
fn idle(setup: &Setup, peer: &Peer, host: &str) -> Result<(f64, f64)> {
    let lane = Arc::new(peer.start(setup)?);
    let resident = || lane.resident_kib(Protocol::H1)?.context("no process").map(|kib| kib as f64);
    let target = Target::new(&lane, Protocol::H1, host);
    let runtime = cores::runtime()?;
    drop(runtime.block_on(hold(&target, FIRST))?);
    runtime.block_on(async { tokio::time::sleep(SETTLE).await });
    let base = resident()?;
    let mut held = runtime.block_on(hold(&target, IDLE))?;
    runtime.block_on(async { tokio::time::sleep(SETTLE).await });
    let full = resident()?;
    let open = held.iter().filter(|connection| connection.is_open()).count();
    ensure!(open == IDLE, "only {open} of {IDLE} idle tunnels stayed open");
    runtime.block_on(async {
        for connection in &mut held {
            connection.get("/").await?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok((base, (full - base) / IDLE as f64))
}

fn start(setup: &Setup, peer: &Peer) -> Result<Values> {
    let lane = Arc::new(peer.start(setup)?);
    let entry = lane.entry(Protocol::H1).context("no process")?;
    let ready = clock::milliseconds(entry.server.spawned, entry.ready);
    let target = Target::new(&lane, Protocol::H1, origin::INTERCEPTED);
    let runtime = cores::runtime()?;
    let begin = Instant::now();
    runtime.block_on(async { target.open().await?.get("/").await })?;
    let first = ready + begin.elapsed().as_secs_f64() * 1e3;
    // Let the end of that tunnel be over before the next process starts.
    thread::sleep(Duration::from_millis(20));
    Ok(vec![(Quantity::ReadyMillis, ready), (Quantity::FirstResponseMillis, first)])
}
