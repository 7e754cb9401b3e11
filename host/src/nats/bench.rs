//! Operations of `weir bench` on its private server: empties it, and asks for the progress of a consumer.
//! Never called with a connection to any other server.

use super::streams::{self, Ensured};
use super::{Connection, consumers, parking};
use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;

/// How far a pipeline has come with its source.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Whether anything was delivered yet.
    pub begun: bool,
    /// The sequence in the source of the last message that was delivered; 0 for a job.
    pub delivered: u64,
    /// Messages that wait for delivery.
    pub pending: u64,
    /// Messages that were delivered and are not settled.
    pub unsettled: u64,
    /// Messages in the parking stream. Only looked for when there are no others.
    pub parked: u64,
}

impl Position {
    /// Whether every message is settled that the consumer knows of. The server tells it of a message after
    /// it has confirmed the publish, so a publisher compares `delivered` too.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.pending == 0 && self.unsettled == 0 && self.parked == 0
    }
}

/// Asks the server how far the pipeline is.
///
/// # Errors
/// When it does not say, or the consumer is gone.
pub async fn position(connection: &Connection, ensured: &Ensured) -> Result<Position> {
    let context = streams::jetstream(connection);
    let info = consumers::info(&context, &ensured.source).await?;
    let info = info.context("the consumer of the pipeline is gone")?;
    let mut position = Position {
        begun: info.delivered.consumer_sequence > 0,
        delivered: info.delivered.stream_sequence,
        pending: info.num_pending,
        unsettled: info.num_ack_pending as u64,
        parked: 0,
    };
    if let (true, Ok(place)) = (position.is_drained(), &ensured.parking) {
        position.parked = parking::pending(&context, place).await?;
    }
    Ok(position)
}

/// Deletes every stream, with the message ids that it remembers. `source` stays, without its
/// consumers, if it holds the `filled` messages that it was filled with and no others. Returns whether
/// it stayed.
///
/// # Errors
/// When the server does not do it.
pub async fn clear(connection: &Connection, source: &str, filled: u64) -> Result<bool> {
    let context = streams::jetstream(connection);
    let mut names = Vec::new();
    let mut listed = context.stream_names();
    while let Some(name) = listed.next().await {
        names.push(name.map_err(|error| anyhow!("cannot list the streams: {error}"))?);
    }
    let mut kept = false;
    for name in names {
        let what = || format!("cannot empty stream `{name}`");
        if name == source && filled > 0 {
            let stream = context.get_stream(&name).await;
            let stream = stream
                .map_err(|error| anyhow!("{}", error.kind()))
                .with_context(what)?;
            let state = &stream.cached_info().state;
            if (state.messages, state.last_sequence) == (filled, filled) {
                let mut consumers = stream.consumer_names();
                while let Some(consumer) = consumers.next().await {
                    let consumer = consumer.map_err(anyhow::Error::msg);
                    let deleted = stream.delete_consumer(&consumer.with_context(what)?).await;
                    deleted.map_err(anyhow::Error::msg).with_context(what)?;
                }
                kept = true;
                continue;
            }
        }
        let deleted = context.delete_stream(&name).await;
        deleted
            .map_err(|error| anyhow!("{}", error.kind()))
            .with_context(what)?;
    }
    Ok(kept)
}
