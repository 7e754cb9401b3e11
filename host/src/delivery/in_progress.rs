//! The in-progress registry: which deliveries a lane has in hand, for whoever extends their ack-wait.
//!
//! A lane may be busy in a plugin for longer than ack-wait; slow is not dead. So the host sends
//! in-progress for it, from a thread and over a connection of its own (`host/in_progress.rs`).

use crate::delivery::ticket::ReplyTo;
use crate::threads::locked;
use fnv::FnvHashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Names a delivery: whether it came from the parking stream, and its sequence in the stream that it
/// came from.
pub type Key = (bool, u64);

/// Deliveries in hand. Shared by one lane and the thread that sends in-progress.
#[derive(Default)]
pub struct InProgressRegistry(Mutex<FnvHashMap<Key, (ReplyTo, Instant)>>);

impl InProgressRegistry {
    /// Takes deliveries in; they count as seen by the server just now.
    pub fn insert(&self, deliveries: impl Iterator<Item = (Key, ReplyTo)>) {
        let now = Instant::now();
        let mut in_progress = locked(&self.0);
        in_progress.extend(deliveries.map(|(key, reply)| (key, (reply, now))));
    }

    /// Lets one go, because it is settled.
    pub fn remove(&self, key: Key) {
        locked(&self.0).remove(&key);
    }

    /// Lets all of them go when what it returns is dropped: whatever becomes of a lane, nobody must keep
    /// from others what it does not have any more.
    #[must_use]
    pub fn clear_on_drop(self: &Arc<Self>) -> impl Drop + use<> {
        ClearOnDrop(Arc::clone(self))
    }

    /// Where in-progress must go now: what the server has not heard of for `age`.
    pub fn due(&self, age: Duration) -> Vec<ReplyTo> {
        let now = Instant::now();
        let mut in_progress = locked(&self.0);
        let due = in_progress
            .values_mut()
            .filter(|(_, seen)| now.duration_since(*seen) >= age);
        due.map(|(reply, seen)| {
            *seen = now;
            reply.clone()
        })
        .collect()
    }
}

struct ClearOnDrop(Arc<InProgressRegistry>);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        locked(&self.0.0).clear();
    }
}
