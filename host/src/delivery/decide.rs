//! Stations 5 and 6 of a lane: what each verdict means, and what each publish ack does.
//!
//! Every way that a message can take out of the host is decided here; `sink.rs` and `settle.rs` carry
//! it out.

use crate::config::resolved::Order;
use crate::delivery::failpoint::Station;
use crate::delivery::in_flight::{State, TaskId};
use crate::delivery::lane::Lane;
use crate::delivery::sink::{Confirmation, Failure, Settled};
use crate::message::Message;
use crate::outgoing::Publication;
use crate::parked::Parking;
use crate::process::chain::{Kind, Rejection, Retry, Verdict};
use crate::process::retry::backoff;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

impl Lane {
    /// Between 4 and 5: what each verdict means for its message.
    pub(crate) async fn decide(&mut self, tasks: Vec<TaskId>, verdicts: Vec<Verdict>) {
        for (id, verdict) in tasks.into_iter().zip(verdicts) {
            if !self.in_flight.is_called(id) {
                // One before it in its group is to be called again, and then this one as well.
                self.metrics.deferred.inc();
                continue;
            }
            match verdict {
                Verdict::Publish(results) => self.build(id, results),
                Verdict::Dead(rejection) => self.reject(id, &rejection),
                Verdict::Retry(retry) => self.try_again(id, retry).await,
            }
        }
    }

    fn build(&mut self, id: TaskId, results: SmallVec<[Message; 1]>) {
        let Some(task) = self.in_flight.get_mut(id) else {
            return;
        };
        let dropped = results.is_empty();
        let source_id = task.source_id(&self.source_id);
        match self.outputs.build(&task.message, source_id, results) {
            Ok(publication) => {
                if dropped {
                    self.metrics.dropped.inc();
                }
                self.in_flight.ready(id, publication);
            }
            Err(reason) => self.reject(id, &Rejection::by_sink(reason)),
        }
    }

    fn reject(&mut self, id: TaskId, rejection: &Rejection) {
        let Some(task) = self.in_flight.get_mut(id) else {
            return;
        };
        if self.dead_letter_log.admits(Instant::now()) {
            tracing::warn!(
                pipeline = self.settings.name,
                operator = rejection.operator.as_deref().unwrap_or("sink"),
                sequence = task.message.sequence,
                kind = rejection.kind.as_str(),
                "dead message: {}",
                rejection.reason,
            );
        }
        let source_id = task.source_id(&self.source_id);
        let publication = self.dead_letters.build(&task.message, source_id, rejection);
        self.in_flight.ready(id, publication);
    }

    async fn try_again(&mut self, id: TaskId, retry: Retry) {
        let Some(task) = self.in_flight.get_mut(id) else {
            return;
        };
        let attempt = task.message.attempt.saturating_add(task.retries);
        if retry.counts && attempt >= self.settings.retry.max_attempts {
            let reason = format!("gave up after {attempt} attempts: {}", retry.reason);
            let source = &task.message;
            let rejection = self
                .chain
                .rejection(source, &retry.operator, Kind::Retries, reason);
            self.reject(id, &rejection);
            return;
        }
        tracing::debug!(
            sequence = task.message.sequence,
            attempt,
            "retry: {}",
            retry.reason
        );
        let counter = if retry.counts {
            &self.metrics.retried
        } else {
            &self.metrics.retried_infrastructure
        };
        counter.inc();
        let delay = retry
            .after
            .unwrap_or_else(|| backoff(&self.settings.retry, attempt));
        // Only what a plugin puts off is parked: an outage would else copy the whole source.
        let far_off = retry.counts && delay > self.settings.retry.park_after;
        if !(far_off && self.park(id, attempt, delay)) {
            self.defer(id, delay).await;
        }
    }

    /// Makes a message ready for the parking stream. False where it cannot go there.
    fn park(&mut self, id: TaskId, attempt: u32, delay: Duration) -> bool {
        let (Some(parking), true) = (&self.parking, self.intake.unparks()) else {
            return false;
        };
        let Some(task) = self.in_flight.get(id) else {
            return false;
        };
        let origin = self.origin(task);
        let message = parking.schedule(&task.message, &origin, attempt, delay, self.max_payload);
        let (Some(message), Some(due)) = (message, Instant::now().checked_add(delay)) else {
            return false;
        };
        self.in_flight
            .ready(id, Publication::Parked(SmallVec::from([message]), due));
        true
    }

    /// In order, a message that is to be tried again stays in hand; otherwise it goes back.
    async fn defer(&mut self, id: TaskId, delay: Duration) {
        if self.settings.order == Order::None {
            self.nak(id, delay).await;
        } else {
            self.in_flight.wait(id, Instant::now() + delay);
        }
    }

    /// Station 5. Publishes what may be published now.
    pub(crate) async fn publish(&mut self) {
        let mut published = 0;
        while let Some(id) = self.in_flight.next_publishable() {
            let Some(task) = self.in_flight.get_mut(id) else {
                continue;
            };
            let State::Ready(mut publication) = std::mem::replace(&mut task.state, State::Called)
            else {
                continue;
            };
            let messages = publication.take_messages();
            let nothing = Settled::nothing_to_store(&messages);
            task.state = State::Publishing(publication, messages.len(), None);
            for message in messages {
                self.sink.publish(id, message).await;
            }
            published += 1;
            if let Some(proof) = nothing {
                self.finish(id, proof).await;
            }
        }
        self.at_failpoint(Station::Published, published).await;
    }

    /// Station 6. Settles what has been confirmed, and publishes what waited for that.
    pub(crate) async fn settle(&mut self) {
        let confirmed = std::mem::take(&mut self.confirmed);
        self.at_failpoint(Station::Confirmed, confirmed.len()).await;
        let any = !confirmed.is_empty();
        for Confirmation { task: id, result } in confirmed {
            let Some(task) = self.in_flight.get_mut(id) else {
                continue;
            };
            let State::Publishing(_, left, failure) = &mut task.state else {
                continue;
            };
            *left -= 1;
            let last = *left == 0;
            match result {
                Ok(proof) if last && failure.is_none() => self.finish(id, proof).await,
                Ok(_) => {}
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
            if last && let Some(failure) = self.take_failure(id) {
                self.not_published(id, failure).await;
            }
        }
        if any {
            self.publish().await;
        }
    }

    fn take_failure(&mut self, id: TaskId) -> Option<Failure> {
        match &mut self.in_flight.get_mut(id)?.state {
            State::Publishing(_, 0, failure) => failure.take(),
            _ => None,
        }
    }

    async fn not_published(&mut self, id: TaskId, failure: Failure) {
        let Some(task) = self.in_flight.get_mut(id) else {
            return;
        };
        let attempt = task.message.attempt.saturating_add(task.retries);
        if let State::Publishing(Publication::Parked(_, due), ..) = task.state {
            return self.not_parked(id, due, failure).await;
        }
        let hint = failure.hint();
        let is_result = matches!(task.state, State::Publishing(Publication::Results(_), ..));
        let reason = match failure {
            Failure::Refused(reason) if is_result => {
                self.reject(id, &Rejection::by_sink(reason));
                return self.publish().await;
            }
            Failure::NoStream { subject, reason } if is_result => {
                // The same answer comes from a server that has just started. Only one that knows
                // its streams and has none for the subject may end a message.
                let exhausted = attempt >= self.settings.retry.max_attempts;
                if exhausted && self.sink.nobody_captures(&subject).await {
                    self.reject(id, &Rejection::by_sink(reason));
                    return self.publish().await;
                }
                reason
            }
            Failure::Refused(reason)
            | Failure::Unavailable(reason)
            | Failure::NoStream { reason, .. } => reason,
        };
        if self.failure_log.admits(Instant::now()) {
            let pipeline = &self.settings.name;
            tracing::warn!(pipeline, attempt, hint, "{reason}; trying again");
        }
        self.metrics.retried_infrastructure.inc();
        self.defer(id, backoff(&self.settings.retry, attempt)).await;
    }

    /// The server did not take a message for the parking stream: it goes back to where it came from,
    /// for as long as it would have been parked.
    async fn not_parked(&mut self, id: TaskId, due: Instant, failure: Failure) {
        let (Failure::Refused(reason)
        | Failure::Unavailable(reason)
        | Failure::NoStream { reason, .. }) = failure;
        if self.parking.as_mut().is_some_and(Parking::rest) {
            tracing::warn!(
                pipeline = self.settings.name,
                "cannot park retries, they count against max-ack-pending for now: {reason}"
            );
        }
        let left = due.saturating_duration_since(Instant::now());
        self.nak(id, left.max(self.settings.retry.initial)).await;
    }

    async fn finish(&mut self, id: TaskId, proof: Settled) {
        if let Some(State::Publishing(Publication::Parked(..), ..)) =
            self.in_flight.get(id).map(|task| &task.state)
        {
            self.at_failpoint(Station::Parked, 1).await;
            if let Some(task) = self.release(id) {
                self.settle.parked(task.ticket, proof).await;
            }
            return self.at_failpoint(Station::Settled, 1).await;
        }
        let Some(task) = self.release(id) else { return };
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let stored = Duration::from_nanos(task.stored());
        self.metrics
            .latency
            .observe(now.saturating_sub(stored).as_secs_f64());
        match task.state {
            State::Publishing(Publication::DeadLetter(_, reason), ..) => {
                if self.settings.dead_letter.is_some() {
                    self.metrics.dead.inc();
                }
                self.settle.term(task.ticket, &reason, proof).await;
            }
            _ => self.settle.ack(task.ticket, proof).await,
        }
        self.at_failpoint(Station::Settled, 1).await;
    }
}
