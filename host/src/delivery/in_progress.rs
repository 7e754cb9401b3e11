//! The in-progress registry: the deliveries of a lane whose ack-wait the host extends.
//!
//! A plugin may keep a lane busy for longer than ack-wait, and the lane is still alive. So the host sends
//! in-progress acks for it, from a separate thread and connection (`host/in_progress.rs`).

use crate::delivery::ticket::ReplyTo;
use crate::threads::locked;
use fnv::FnvHashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Names a delivery: whether it came from the parking stream, and its sequence in the stream that it
/// came from.
pub type Key = (bool, u64);

/// Deliveries in flight. Shared by one lane and the thread that sends in-progress acks.
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

    /// Removes all deliveries when the returned guard is dropped: however a lane ends, the host must not
    /// extend the ack-wait of deliveries that the lane no longer has.
    #[must_use]
    pub fn clear_on_drop(self: &Arc<Self>) -> impl Drop + use<> {
        ClearOnDrop(Arc::clone(self))
    }

    /// The deliveries that need an in-progress ack now: those without one for `age`.
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
