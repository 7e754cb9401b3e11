//! The counter of `counter.rs`, with a way from the form of `stateful` to its own.

mod counter;

use counter::{Count, Counter};
use weir_sdk::{Error, Migrate, Stored, serde_json};

impl Migrate for Counter {
    const FORMAT: u32 = 1;

    fn migrate(old: &Stored) -> Result<Option<Vec<u8>>, Error> {
        if old.name != "count" {
            return Ok(None);
        }
        let messages = serde_json::from_slice(&old.value)?;
        Ok(Some(serde_json::to_vec(&Count { messages })?))
    }
}

weir_sdk::export_migrating!(Counter);
