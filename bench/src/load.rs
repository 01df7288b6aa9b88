//! One measured window: everything opened beforehand, the proxy's CPU read on both sides of it.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::client::Target;
use crate::cores;

pub(crate) mod events;
pub(crate) mod keep_alive;
pub(crate) mod transfer;
pub(crate) mod tunnels;

/// What was done in a window.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// One latency (or delay of an event) each, in nanoseconds.
    pub(crate) nanos: Vec<u64>,
}

impl Tally {
    /// Takes the other's work into this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.nanos.extend(other.nanos);
    }

    /// Counts one request that began at `start`.
    fn request(&mut self, start: Instant, bytes: u64) {
        self.requests += 1;
        self.bytes += bytes;
        self.nanos.push(start.elapsed().as_nanos() as u64);
    }
}

/// A kind of load; each worker thread has a runtime of its own and opens its own share.
pub(crate) trait Load: Sync {
    /// What is opened, and warmed, before the window.
    type Open;

    /// Opens one worker's share.
    async fn open(&self) -> Result<Self::Open>;

    /// Works until the deadline.
    async fn work(&self, open: Self::Open, until: Instant) -> Result<Tally>;
}

/// A window's outcome.
pub(crate) struct Window {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// What the proxy used; nothing for the direct lane.
    pub(crate) cpu: Option<Duration>,
}

/// Runs `load` on so many worker threads for about `length`.
pub(crate) fn drive<L: Load>(load: &L, target: &Target, workers: usize, length: Duration) -> Result<Window> {
    let gate = Barrier::new(workers + 1);
    let cpu = || target.lane.cpu(target.protocol);
    let (tallies, before, after, elapsed) = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(|| worker(load, &gate, length))).collect();
        gate.wait(); // all is open
        let before = cpu();
        let start = Instant::now();
        gate.wait(); // go
        gate.wait(); // all is done
        let elapsed = start.elapsed();
        let after = cpu();
        let tallies: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (tallies, before, after, elapsed)
    });
    let mut tally = Tally::default();
    for result in tallies {
        tally.add(result.map_err(|_| anyhow::anyhow!("a worker panicked"))??);
    }
    ensure!(tally.requests > 0, "not one request was answered");
    let cpu = before?.zip(after?).map(|(before, after)| after.saturating_sub(before));
    Ok(Window { tally, elapsed, cpu })
}

/// Passes every gate, whatever fails, so that nobody waits for ever.
fn worker<L: Load>(load: &L, gate: &Barrier, length: Duration) -> Result<Tally> {
    let runtime = cores::runtime();
    let opened = runtime.and_then(|runtime| {
        let open = runtime.block_on(load.open())?;
        Ok((runtime, open))
    });
    gate.wait(); // all is open
    gate.wait(); // go
    let until = Instant::now() + length;
    let done = opened.and_then(|(runtime, open)| {
        let tally = runtime.block_on(load.work(open, until))?;
        Ok((runtime, tally))
    });
    gate.wait(); // all is done
    // The runtime and with it every connection ends only here, outside the window.
    done.map(|(_runtime, tally)| tally)
}

/// Adds up what tasks did; the first failure ends all.
async fn collect(mut tasks: tokio::task::JoinSet<Result<Tally>>) -> Result<Tally> {
    let mut tally = Tally::default();
    while let Some(done) = tasks.join_next().await {
        tally.add(done??);
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lane::{Lane, Name};
    use crate::tls::Protocol;

    struct Broken;

    impl Load for Broken {
        type Open = ();

        async fn open(&self) -> Result<()> {
            anyhow::bail!("cannot open")
        }

        async fn work(&self, (): (), _until: Instant) -> Result<Tally> {
            Ok(Tally::default())
        }
    }

    #[test]
    fn a_load_that_cannot_open_fails_and_does_not_hang() {
        let pem = crate::authority::Authority::generate("test").unwrap().pem().to_owned();
        let nowhere = ([127, 0, 0, 1], 9).into();
        let lane = Lane::new(Name::Direct, (nowhere, Arc::default()), Vec::new(), pem.as_bytes()).unwrap();
        let target = Target::new(&Arc::new(lane), Protocol::H1, "api.bench.test");
        let error = drive(&Broken, &target, 2, Duration::ZERO).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("cannot open"));
    }
}
