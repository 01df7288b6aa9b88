//! Server-sent events: the time from the origin's writing one to its arrival here.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{Load, Tally};
use crate::client::{Connection, Target, next};
use crate::clock;

/// Events of one stream.
const EVENTS: u64 = 250;

/// One stream of events after another.
pub(crate) struct Events {
    pub(crate) target: Target,
}

impl Load for Events {
    type Open = Connection;

    async fn open(&self) -> Result<Connection> {
        let mut connection = self.target.open().await?;
        connection.get("/").await?;
        Ok(connection)
    }

    async fn work(&self, mut open: Connection, until: Instant) -> Result<Tally> {
        let mut tally = Tally::default();
        while Instant::now() < until {
            let mut body = open.stream(&format!("/sse/{EVENTS}")).await?;
            let mut seen = Vec::new();
            while let Some(data) = next(&mut body).await? {
                let now = clock::monotonic_ns();
                seen.extend(stamps(&data)?.into_iter().map(|stamp| now.saturating_sub(stamp)));
            }
            ensure!(seen.len() as u64 == EVENTS, "{} of {EVENTS} events arrived", seen.len());
            tally.requests += 1;
            tally.nanos.extend(seen);
        }
        Ok(tally)
    }
}

/// The stamps in one piece of the stream; the origin writes an event at once, so none is ever cut.
fn stamps(data: &[u8]) -> Result<Vec<u64>> {
    let text = std::str::from_utf8(data)?;
    ensure!(text.ends_with("\n\n"), "an event was cut: {text:?}");
    text.split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").and_then(|stamp| stamp.parse().ok()).context("no stamp"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_piece_has_its_stamp() {
        assert_eq!(stamps(b"data: 12\n\ndata: 34\n\n").unwrap(), [12, 34]);
        assert!(stamps(b"data: 12\n\ndata: 3").is_err());
        assert!(stamps(b"id: 12\n\n").is_err());
    }
}
