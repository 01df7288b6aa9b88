//! Bulk: bodies down or up, one after another, on one connection a worker.

use std::time::Instant;

use anyhow::Result;

use super::{Load, Tally};
use crate::client::{Connection, Target};

/// Bytes of one body.
const BODY: u64 = 32 << 20;

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Down,
    Up,
}

/// Bodies of 32 MiB.
pub(crate) struct Transfer {
    pub(crate) target: Target,
    pub(crate) direction: Direction,
}

impl Load for Transfer {
    type Open = Connection;

    async fn open(&self) -> Result<Connection> {
        let mut connection = self.target.open().await?;
        connection.get("/").await?;
        Ok(connection)
    }

    async fn work(&self, mut open: Connection, until: Instant) -> Result<Tally> {
        let mut tally = Tally::default();
        let path = format!("/bytes/{BODY}");
        while Instant::now() < until {
            let start = Instant::now();
            let bytes = match self.direction {
                Direction::Down => open.get(&path).await?,
                Direction::Up => open.upload(BODY).await.map(|()| BODY)?,
            };
            tally.request(start, bytes);
        }
        Ok(tally)
    }
}
