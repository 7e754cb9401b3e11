//! The path of messages to and from a server: a small client of our own.
//!
//! It accepts any bytes in a subject or a header, writes publishes straight into one buffer, and reads
//! credentials again for each connection. `docs/adr/0021-a-wire-of-our-own.md` has the reason for a second
//! client beside the general one.
//!
//! A [`Wire`] is a handle of a connection; a task on the runtime of its creator reads and writes
//! (`wire/task.rs`). A publish does not wait for it: [`Wire::publish`] adds to a buffer, and [`Wire::room`]
//! waits while that is full.

mod command;
mod dial;
mod parser;
mod servers;
mod state;
mod task;
mod tls;

pub use command::{Parts, Unwritable, is_subject};
pub use parser::{Frame, Malformed, Message, Parser};

use super::Health;
use super::api::Api;
use crate::config::resolved::Nats;
use crate::telemetry::metrics::Counter;
use crate::threads::locked;
use anyhow::{Context, Result};
use bytes::Bytes;
use state::State;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;
use task::Task;
use tokio::task::AbortHandle;

/// Bytes that may wait to be written before a publisher waits for room.
const FULL: usize = 1 << 20;

/// A handle of a connection. The last one to be dropped ends it; what was not written is lost then.
#[derive(Clone)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    pub health: Arc<Health>,
    pub api: Api,
    inbox_prefix: Arc<str>,
    _task: Arc<Abort>,
}

/// Ends the task with the last handle.
struct Abort(AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What comes for a subject. Ends when it is dropped.
pub struct Subscription {
    state: Arc<Mutex<State>>,
    number: u64,
}

impl Wire {
    /// Connects to one of the servers. `purpose` names the connection in the server's own lists, as
    /// `weir/<purpose>`; `reconnects` counts how often it is found again after it was lost.
    ///
    /// # Errors
    /// Names the servers and the cause: no answer, refused credentials, a failure of TLS.
    pub async fn connect(settings: &Nats, purpose: &str, reconnects: Counter) -> Result<Self> {
        let health = Arc::new(Health::new(&settings.inbox_prefix, reconnects));
        let state = Arc::default();
        let name = format!("weir/{purpose}");
        let mut task = Task::new(settings, name, Arc::clone(&state), Arc::clone(&health));
        let connected = task.connect().await;
        let (link, address) = connected.with_context(|| {
            format!(
                "cannot connect to nats at `{}`",
                settings.servers.join(", ")
            )
        })?;
        locked(&state).max_payload = link.info.max_payload;
        health.opened();
        let task = tokio::spawn(task.run(link, address));
        Ok(Self {
            state,
            health,
            api: Api::of(settings),
            inbox_prefix: settings.inbox_prefix.as_str().into(),
            _task: Arc::new(Abort(task.abort_handle())),
        })
    }

    /// A unique subject.
    #[must_use]
    pub fn new_inbox(&self) -> String {
        format!("{}.{}", self.inbox_prefix, self.new_id())
    }

    /// A unique name.
    #[must_use]
    pub fn new_id(&self) -> String {
        nuid::next().to_string()
    }

    /// The largest message, headers and payload, that the server takes at present, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        locked(&self.state).max_payload
    }

    /// Subscribes for the life of the handle: a new connection begins with it.
    #[must_use]
    pub fn subscribe(&self, subject: &str) -> Subscription {
        self.subscription(subject.to_owned(), true)
    }

    /// As [`subscribe`](Self::subscribe), but of all subscriptions of a queue group one gets each message.
    #[must_use]
    pub fn subscribe_in_turn(&self, subject: &str, queue: &str) -> Subscription {
        self.subscription(format!("{subject} {queue}"), true)
    }

    /// Subscribes for the present connection. Nothing comes for it on the next.
    #[must_use]
    pub fn subscribe_once(&self, subject: &str) -> Subscription {
        self.subscription(subject.to_owned(), false)
    }

    /// `subject` may have a queue group behind it.
    fn subscription(&self, subject: String, lasting: bool) -> Subscription {
        let subject = Bytes::from(subject);
        let number = locked(&self.state).subscribe(subject, lasting);
        let state = Arc::clone(&self.state);
        Subscription { state, number }
    }

    /// Adds a message to the next write. Without a connection it waits for one. Returns its place among all
    /// messages ever added, to compare with [`lost`](Self::lost).
    ///
    /// # Errors
    /// When a subject cannot be written.
    pub fn publish(&self, message: &Parts<'_>) -> Result<u64, Unwritable> {
        let mut state = locked(&self.state);
        command::publish(&mut state.out, message)?;
        state.wake_writer();
        Ok(state.taken + state.out.len() as u64)
    }

    /// No answer comes any more to what has this place or one before: it went over a connection that was
    /// lost. What has a later place goes over the present connection, or the next. And since when there is
    /// that one.
    #[must_use]
    pub fn lost(&self) -> (u64, Option<Instant>) {
        let state = locked(&self.state);
        (state.lost, state.began)
    }

    /// Whether what is to be written is not too much, so that [`room`](Self::room) does not wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = locked(&self.state);
        state.out.len() < FULL || state.closed
    }

    /// Waits until what is to be written is not too much. Safe to drop while it waits.
    pub async fn room(&self) {
        poll_fn(|context| {
            let mut state = locked(&self.state);
            if state.out.len() < FULL || state.closed {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until there will be no further connection: its task has ended. Safe to drop while it waits.
    pub async fn closed(&self) {
        poll_fn(|context| {
            let mut state = locked(&self.state);
            if state.closed {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until the server has read all that was published before. Safe to drop while it waits.
    pub async fn flush(&self) {
        let mut asked = None;
        poll_fn(|context| {
            let mut state = locked(&self.state);
            match asked {
                Some((connection, ping)) if connection == state.connections => {
                    if state.pongs >= ping {
                        return Poll::Ready(());
                    }
                }
                _ => {
                    asked = Some((state.connections, state.pings + 1));
                    state.ping = true;
                    state.wake_writer();
                }
            }
            if state.closed {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Subscription {
    /// Waits for a message; `None` behind the last. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| locked(&self.state).take(self.number, Some(context.waker()))).await
    }

    /// A message that has come already.
    pub fn has_come(&mut self) -> Option<Message> {
        match locked(&self.state).take(self.number, None) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// Ends when this many further messages have been taken. Of a subscription for one connection, whose
    /// messages both ends count.
    pub fn end_after(&mut self, count: usize) {
        locked(&self.state).unsubscribe_after(self.number, count);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        locked(&self.state).unsubscribe(self.number);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests;
