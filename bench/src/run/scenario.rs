//! The scenarios, and how those on long-lived processes are measured.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::client::Target;
use crate::figures::{Quantity, Values, percentiles};
use crate::lane::Lane;
use crate::load::events::Events;
use crate::load::keep_alive::KeepAlive;
use crate::load::transfer::{Direction, Transfer};
use crate::load::tunnels::{Cold, Warm};
use crate::load::{Load, Window, drive};
use crate::origin;
use crate::tls::Protocol;

/// Worker threads of a load: two, so that neither a proxy of one runtime a core nor its single connection is starved.
const WORKERS: usize = 2;
/// Hosts met once in each round.
pub(crate) const COLD_TUNNELS: usize = 200;
const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Scenario {
    H1,
    H2,
    LatencyH1,
    LatencyH2,
    Warm,
    Cold,
    Down,
    Up,
    Passed,
    SseH1,
    SseH2,
    Idle,
    Start,
    Run,
}

impl Scenario {
    pub(crate) const ALL: [Self; 14] = [
        Self::H1,
        Self::H2,
        Self::LatencyH1,
        Self::LatencyH2,
        Self::Warm,
        Self::Cold,
        Self::Down,
        Self::Up,
        Self::Passed,
        Self::SseH1,
        Self::SseH2,
        Self::Idle,
        Self::Start,
        Self::Run,
    ];

    /// The name in JSON and the words in the table.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::H1 => ("h1", "keep-alive, h1, 64 connections"),
            Self::H2 => ("h2", "keep-alive, h2, 2 x 100 streams"),
            Self::LatencyH1 => ("latency_h1", "latency, h1, 1 connection"),
            Self::LatencyH2 => ("latency_h2", "latency, h2, 1 stream"),
            Self::Warm => ("warm", "new tunnel a request, warm host"),
            Self::Cold => ("cold", "new tunnel a request, cold host"),
            Self::Down => ("down", "download, h1, 2 connections"),
            Self::Up => ("up", "upload, h1, 2 connections"),
            Self::Passed => ("passed", "download passed through unread"),
            Self::SseH1 => ("sse_h1", "event delay, h1"),
            Self::SseH2 => ("sse_h2", "event delay, h2"),
            Self::Idle => ("idle", "memory, 1,000 idle tunnels"),
            Self::Start => ("start", "start of the proxy"),
            Self::Run => ("run", "start of `run`"),
        }
    }

    pub(crate) fn id(self) -> &'static str {
        self.names().0
    }

    pub(crate) fn title(self) -> &'static str {
        self.names().1
    }

    /// Whether every measurement starts processes of its own.
    pub(crate) fn starts_afresh(self) -> bool {
        matches!(self, Self::Idle | Self::Start | Self::Run)
    }
}

/// Measures one lane once; nothing for the scenarios that start afresh.
pub(crate) fn measure(scenario: Scenario, lane: &Arc<Lane>, seconds: f64) -> Result<Values> {
    let length = Duration::from_secs_f64(seconds);
    let target = |protocol| Target::new(lane, protocol, origin::INTERCEPTED);
    let passed = Target::new(lane, Protocol::H1, origin::PASSED);
    match scenario {
        Scenario::H1 => keep_alive(target(Protocol::H1), [32, 1], length),
        Scenario::H2 => keep_alive(target(Protocol::H2), [1, 100], length),
        Scenario::LatencyH1 => latency(target(Protocol::H1), length),
        Scenario::LatencyH2 => latency(target(Protocol::H2), length),
        Scenario::Warm => {
            let target = target(Protocol::H1);
            tunnels(&Warm { target: target.clone() }, &target, length)
        }
        Scenario::Cold => {
            let target = target(Protocol::H1);
            tunnels(&Cold::new(target.clone(), COLD_TUNNELS), &target, length)
        }
        Scenario::Down => transfer(target(Protocol::H1), Direction::Down, length),
        Scenario::Up => transfer(target(Protocol::H1), Direction::Up, length),
        Scenario::Passed => transfer(passed, Direction::Down, length),
        Scenario::SseH1 => events(target(Protocol::H1), length),
        Scenario::SseH2 => events(target(Protocol::H2), length),
        Scenario::Idle | Scenario::Start | Scenario::Run => Ok(Values::new()),
    }
}

/// `shape`: connections a worker, streams a connection.
fn keep_alive(target: Target, shape: [usize; 2], length: Duration) -> Result<Values> {
    let [connections, streams] = shape;
    let load = KeepAlive { target: target.clone(), connections, streams };
    let window = drive(&load, &target, WORKERS, length)?;
    let mut values = vec![(Quantity::RequestsPerSecond, rate(&window))];
    values.extend(cpu_each(&window, 1e6).map(|micros| (Quantity::CpuMicros, micros)));
    Ok(values)
}

fn latency(target: Target, length: Duration) -> Result<Values> {
    let load = KeepAlive { target: target.clone(), connections: 1, streams: 1 };
    let mut window = drive(&load, &target, 1, length)?;
    Ok(percentiles(&mut window.tally.nanos))
}

/// Without latencies: all cores are busy, a tunnel's time is mostly its turn in the queue.
fn tunnels<L: Load>(load: &L, target: &Target, length: Duration) -> Result<Values> {
    let window = drive(load, target, WORKERS, length)?;
    let mut values = vec![(Quantity::TunnelsPerSecond, rate(&window))];
    values.extend(cpu_each(&window, 1e3).map(|millis| (Quantity::CpuMillis, millis)));
    Ok(values)
}

fn transfer(target: Target, direction: Direction, length: Duration) -> Result<Values> {
    let load = Transfer { target: target.clone(), direction };
    let window = drive(&load, &target, WORKERS, length)?;
    let bytes = window.tally.bytes as f64;
    let mut values = vec![(Quantity::MibPerSecond, bytes / MIB / window.elapsed.as_secs_f64())];
    values.extend(window.cpu.map(|cpu| (Quantity::CpuSecondsPerGib, cpu.as_secs_f64() * GIB / bytes)));
    Ok(values)
}

fn events(target: Target, length: Duration) -> Result<Values> {
    let mut window = drive(&Events { target: target.clone() }, &target, 1, length)?;
    Ok(percentiles(&mut window.tally.nanos))
}

fn rate(window: &Window) -> f64 {
    window.tally.requests as f64 / window.elapsed.as_secs_f64()
}

/// CPU of one request, in seconds times `unit`.
fn cpu_each(window: &Window, unit: f64) -> Option<f64> {
    window.cpu.map(|cpu| cpu.as_secs_f64() * unit / window.tally.requests as f64)
}
