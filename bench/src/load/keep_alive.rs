//! Small requests over connections that stay open.

use std::time::Instant;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::{Load, Tally, collect};
use crate::client::{Connection, Target};

/// Requests that each connection answers before the window.
const WARM_UP: usize = 50;

/// So many connections a worker, so many streams each (1 for HTTP/1.1).
pub(crate) struct KeepAlive {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
}

impl Load for KeepAlive {
    type Open = Vec<Connection>;

    async fn open(&self) -> Result<Vec<Connection>> {
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            let mut connection = self.target.open().await?;
            for _ in 0..WARM_UP {
                connection.get("/").await?;
            }
            for _ in 1..self.streams {
                streams.push(connection.share().context("HTTP/1.1 has no streams")?);
            }
            streams.push(connection);
        }
        Ok(streams)
    }

    async fn work(&self, open: Vec<Connection>, until: Instant) -> Result<Tally> {
        let mut tasks = JoinSet::new();
        for connection in open {
            tasks.spawn(requests(connection, until));
        }
        collect(tasks).await
    }
}

async fn requests(mut connection: Connection, until: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    loop {
        let start = Instant::now();
        let bytes = connection.get("/").await?;
        tally.request(start, bytes);
        if Instant::now() >= until {
            return Ok(tally);
        }
    }
}
