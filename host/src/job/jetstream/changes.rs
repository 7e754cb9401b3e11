//! The messages of a stream in order, as they arrive, for readers that own no partition.

use super::reader::Reader;
use crate::job::log::LogError;
use crate::nats::wire::{Message, Wire};
use std::time::Duration;

/// The time after which a request to a server counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a stream with its own consumer, which ends with the reader.
pub struct Changes(Reader);

impl Changes {
    /// Those that match `filter`, behind this sequence.
    #[must_use]
    pub fn behind(wire: Wire, stream: &str, filter: String, sequence: u64) -> Self {
        let mut reader = Reader::new(wire, stream, vec![filter], PATIENCE);
        reader.begin_at(sequence.saturating_add(1));
        Self(reader)
    }

    /// Waits for the next message, and its sequence. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the server says or does what it should not. What was given is not given again.
    pub async fn next(&mut self) -> Result<(Message, u64), LogError> {
        let (message, place) = self.0.next().await?;
        Ok((message, place.sequence))
    }
}
