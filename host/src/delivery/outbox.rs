//! The lane's outbox: publishes what tasks have ready, and receives the publish acks.
//!
//! Owns the sink, and the publishes of this lane to the parking stream.

use super::fast_ingest::LEAST;
use super::in_flight::{InFlight, State, Task, TaskId};
use super::publication::{Publication, Settled, Then};
use super::sink::{Confirmation, Failure, Sink};
use crate::outgoing::OutgoingMessage;
use crate::parked::{Origin, Parking};
use std::time::{Duration, Instant};

/// The third part of a lane.
pub struct Outbox {
    pub sink: Sink,
    /// `None` where the server has no parking stream for the pipeline.
    parking: Option<Parking>,
    /// The largest message that the server takes, in bytes.
    max_payload: usize,
}

/// What the acks of a task have come to.
pub enum Outcome {
    /// All of it is stored.
    Stored(Settled),
    /// Not all of it is, and no more acks are to come.
    Failed(Box<Publication>, Failure),
}

impl Outbox {
    #[must_use]
    pub fn new(sink: Sink, parking: Option<Parking>, max_payload: usize) -> Self {
        Self {
            sink,
            parking,
            max_payload,
        }
    }

    /// Publishes what a task has ready, one of `waiting` tasks or fewer that are published in one go. The proof if
    /// there was nothing to publish.
    pub async fn publish(
        &mut self,
        id: TaskId,
        in_flight: &mut InFlight<Publication>,
        waiting: usize,
    ) -> Option<Settled> {
        let task = in_flight.get_mut(id)?;
        // A server that has an id in process would confirm its repeat with the batch, stored or not.
        let is_first = task.message.attempt == 1 && task.publish_failures == 0;
        let mut publication = match std::mem::replace(&mut task.state, State::Called) {
            State::Ready(publication) => publication,
            other => {
                task.state = other;
                return None;
            }
        };
        let nothing = publication.settled();
        // Repeats go out one by one: then the server says which of them it had.
        let is_result = matches!(publication.then, Then::Ack);
        let in_batch = is_first && is_result && publication.is_new();
        let in_batch = in_batch && waiting.max(publication.count()) >= LEAST;
        let mut sent = 0;
        for (index, message) in publication.unstored() {
            self.sink.publish(id, index, message, in_batch).await;
            sent += 1;
        }
        publication.published();
        task.state = State::Publishing(publication, sent, None);
        nothing
    }

    /// Notes what the server said of one message of a task; what it has come to with the last.
    pub fn confirm(
        confirmation: Confirmation,
        in_flight: &mut InFlight<Publication>,
    ) -> Option<(TaskId, Outcome)> {
        let Confirmation {
            task: id,
            index,
            result,
        } = confirmation;
        let task = in_flight.get_mut(id)?;
        let State::Publishing(publication, left, failure) = &mut task.state else {
            return None;
        };
        *left -= 1;
        match result {
            Ok(proof) => publication.stored(proof),
            Err(error) => {
                publication.not_stored(index);
                failure.get_or_insert(error);
            }
        }
        if *left > 0 {
            return None;
        }
        let outcome = match failure.take() {
            Some(failure) => Outcome::Failed(Box::new(take(task)?), failure),
            None => Outcome::Stored(publication.settled()?),
        };
        Some((id, outcome))
    }

    /// The message that makes the server deliver a task again after `delay`. `None` where it cannot be
    /// parked.
    #[must_use]
    pub fn schedule(
        &self,
        task: &Task<Publication>,
        origin: &Origin,
        delay: Duration,
    ) -> Option<Publication> {
        let parking = self.parking.as_ref()?;
        let due = Instant::now().checked_add(delay)?;
        let message: OutgoingMessage =
            parking.schedule(&task.message, origin, delay, self.max_payload)?;
        Some(Publication::new([message].into(), Then::Parked(due)))
    }

    /// The server did not take a message for the parking stream. True if this is worth a line in
    /// the log.
    pub fn parking_failed(&mut self) -> bool {
        self.parking.as_mut().is_some_and(Parking::rest)
    }
}

/// What a task was publishing.
fn take(task: &mut Task<Publication>) -> Option<Publication> {
    match std::mem::replace(&mut task.state, State::Called) {
        State::Publishing(publication, ..) => Some(publication),
        _ => None,
    }
}
