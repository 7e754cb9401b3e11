//! The messages of a stream in their order, as they come, for whoever owns no partition.

use super::reader::Reader;
use crate::job::log::LogError;
use crate::nats::wire::{Message, Wire};
use std::time::Duration;

/// After which a server that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a stream by a consumer of its own, which ends with it.
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
