//! A new tunnel for every request, to one host or each to a host never met before; and tunnels held open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::{Load, Tally, collect};
use crate::client::{Connection, Target};

/// Tunnels that one worker opens at the same time.
const CONCURRENT: usize = 4;

/// One request a tunnel, to the same host each time.
pub(crate) struct Warm {
    pub(crate) target: Target,
}

impl Load for Warm {
    type Open = ();

    async fn open(&self) -> Result<()> {
        for _ in 0..CONCURRENT * 2 {
            self.target.open().await?.get("/").await?;
        }
        Ok(())
    }

    async fn work(&self, (): (), until: Instant) -> Result<Tally> {
        let mut tasks = JoinSet::new();
        for _ in 0..CONCURRENT {
            let target = self.target.clone();
            tasks.spawn(async move {
                let mut tally = Tally::default();
                while Instant::now() < until {
                    one(&target, &mut tally).await?;
                }
                Ok(tally)
            });
        }
        collect(tasks).await
    }
}

/// One request a tunnel, each to a host that the proxy has not met; so many in all, whatever the deadline.
pub(crate) struct Cold {
    target: Target,
    left: AtomicUsize,
}

impl Cold {
    pub(crate) fn new(target: Target, count: usize) -> Self {
        Self { target, left: AtomicUsize::new(count) }
    }

    fn next(&self) -> Option<Target> {
        let take = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Target { host: self.target.lane.cold_host(), ..self.target.clone() })
    }
}

impl Load for Cold {
    type Open = ();

    async fn open(&self) -> Result<()> {
        Ok(())
    }

    async fn work(&self, (): (), _until: Instant) -> Result<Tally> {
        let mut tally = Tally::default();
        while let Some(target) = self.next() {
            one(&target, &mut tally).await?;
        }
        Ok(tally)
    }
}

async fn one(target: &Target, tally: &mut Tally) -> Result<()> {
    let start = Instant::now();
    let bytes = target.open().await?.get("/").await?;
    tally.request(start, bytes);
    Ok(())
}

/// Opens tunnels that have answered one request each, and are then silent.
pub(crate) async fn hold(target: &Target, count: usize) -> Result<Vec<Connection>> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = target.open().await?;
        connection.get("/").await?;
        held.push(connection);
    }
    Ok(held)
}
