//! Between steps 4 and 6: carries out the disposition of each message.
//!
//! This file decides how each message leaves the lane; the outbox and the settler carry that out.

use super::in_flight::{State, TaskId};
use super::lane::Lane;
use super::outbox::{Outbox, Outcome};
use super::publication::{Publication, Settled, Then};
use super::sink::{Confirmation, Failure};
use crate::failpoint::Station;
use crate::parked::Origin;
use crate::process::chain::{Rejection, Retry, Verdict};
use crate::process::disposition::{DeadLetter, Disposition};
use crate::process::retry;
use smallvec::SmallVec;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

impl Lane {
    /// What each verdict means for its message.
    pub(super) async fn judge(&mut self, tasks: Vec<TaskId>, verdicts: Vec<Verdict>) {
        for (id, verdict) in tasks.into_iter().zip(verdicts) {
            let Some(task) = self.in_flight.get(id) else {
                continue;
            };
            let disposition = self.processor.judge(task.judged(&self.source_id), verdict);
            self.carry_out(id, disposition).await;
        }
    }

    async fn carry_out(&mut self, id: TaskId, disposition: Disposition) {
        let publication = match disposition {
            Disposition::Publish(messages) => Publication::new(messages, Then::Ack),
            Disposition::Drop => {
                self.metrics.dropped.inc();
                Publication::new(SmallVec::new(), Then::Ack)
            }
            Disposition::Dead(letter) => {
                self.log_dead_letter(id, &letter.rejection);
                let DeadLetter {
                    rejection,
                    messages,
                } = *letter;
                Publication::new(messages, Then::Term(Box::new(rejection)))
            }
            Disposition::Retry(retry) => return self.retry(id, retry).await,
        };
        self.in_flight.ready(id, publication);
    }

    fn log_dead_letter(&self, id: TaskId, rejection: &Rejection) {
        let Some(task) = self.in_flight.get(id) else {
            return;
        };
        if self.dead_letter_log.admits(Instant::now()) {
            tracing::warn!(
                pipeline = self.settings.name,
                operator = rejection.by(),
                sequence = task.message.sequence,
                kind = rejection.kind.as_str(),
                "dead letter: {}",
                rejection.reason,
            );
        }
    }

    /// A message is called again later. It waits in the lane; in the parking stream if that takes long
    /// or the lane has enough that waits; else at the consumer.
    async fn retry(&mut self, id: TaskId, retry: Retry) {
        let Some(task) = self.in_flight.get_mut(id) else {
            return;
        };
        let sequence = task.message.sequence;
        if !retry.counts {
            // Another host may be able to do its part.
            let delay = retry::delay(&self.settings.retry, retry.after, task.message.attempt);
            tracing::debug!(sequence, "retry: {}", retry.reason);
            self.activity.fails(&retry.reason, None);
            self.metrics.retried_infrastructure.inc();
            return self.nak(id, delay).await;
        }
        task.retries = task.retries.saturating_add(1);
        let retries = task.retries;
        let delay = retry::delay(&self.settings.retry, retry.after, retries);
        tracing::debug!(sequence, retries, "retry: {}", retry.reason);
        self.metrics.retried.inc();
        if delay <= self.settings.retry.park_after && !self.in_flight.is_crowded(id) {
            self.in_flight.wait(id, retry::due(delay));
        } else if !self.park(id, delay) {
            self.nak(id, delay).await;
        }
    }

    /// Hands a message back, to be delivered again; the lane remembers how often it was retried.
    pub(super) async fn nak(&mut self, id: TaskId, delay: Duration) {
        let Some(task) = self.in_flight.finish(id) else {
            return;
        };
        if task.retries > 0 {
            self.nakked.remember(task.key(), task.retries);
        }
        self.settler.nak(task, delay);
    }

    /// Prepares a message for the parking stream. False if it cannot be parked.
    fn park(&mut self, id: TaskId, delay: Duration) -> bool {
        let Some(task) = self.in_flight.get(id).filter(|_| self.intake.unparks()) else {
            return false;
        };
        let origin = Origin {
            source_id: task.source_id(&self.source_id).clone(),
            stored: task.stored(),
            retries: task.retries,
        };
        let Some(publication) = self.outbox.schedule(task, &origin, delay) else {
            return false;
        };
        self.in_flight.ready(id, publication);
        true
    }

    /// Step 5. Publishes what may be published now.
    pub(super) async fn publish(&mut self) {
        let mut published = 0;
        let (waiting, now) = (self.in_flight.publishable(), SystemTime::now());
        while let Some(id) = self.in_flight.next_publishable() {
            let nothing = self.outbox.publish(id, &mut self.in_flight, waiting).await;
            published += 1;
            if let Some(proof) = nothing {
                self.finish(id, proof, now).await;
            }
        }
        self.outbox.sink.end_burst();
        self.at_failpoint(Station::Published, published).await;
    }

    /// Step 6. Settles what has been confirmed.
    pub(super) async fn settle(&mut self, confirmed: Vec<Confirmation>) {
        self.at_failpoint(Station::Confirmed, confirmed.len()).await;
        let now = SystemTime::now();
        for confirmation in confirmed {
            match Outbox::confirm(confirmation, &mut self.in_flight) {
                Some((id, Outcome::Stored(proof))) => {
                    self.activity.succeeds();
                    self.finish(id, proof, now).await;
                }
                Some((id, Outcome::Failed(publication, failure))) => {
                    self.not_published(id, *publication, failure).await;
                }
                None => {}
            }
        }
    }

    /// What the plugins returned is held and published again: nothing is computed twice because of a
    /// broker in trouble. Only a server that says that it will never take it ends a message.
    async fn not_published(&mut self, id: TaskId, publication: Publication, failure: Failure) {
        let Some(task) = self.in_flight.get_mut(id) else {
            return;
        };
        if let Then::Parked(due) = publication.then {
            return self.not_parked(id, due, failure).await;
        }
        if failure == Failure::OutOfBatch {
            return self.in_flight.ready(id, publication);
        }
        task.publish_failures = task.publish_failures.saturating_add(1);
        let failures = task.publish_failures;
        let is_result = matches!(publication.then, Then::Ack);
        let end = match &failure {
            Failure::Refused(reason) | Failure::TooLarge(reason) if is_result => {
                Some(reason.clone())
            }
            // The same answer comes from a server that has just started. Only one that knows its streams
            // may end a message.
            Failure::NoAck { subject, .. }
                if is_result && failures >= self.settings.retry.max_attempts =>
            {
                self.outbox.sink.never_acks(subject).await
            }
            _ => None,
        };
        if let Some(reason) = end {
            return self.reject(id, Rejection::by_sink(reason)).await;
        }
        if let (Then::Term(rejection), Failure::TooLarge(_)) = (&publication.then, &failure)
            && self.processor.shrink_dead_letters(publication.largest())
        {
            return self.reject(id, (**rejection).clone()).await;
        }
        let (hint, reason) = (failure.hint(), failure.reason());
        self.activity.fails(reason, hint.clone());
        if self.failure_log.admits(Instant::now()) {
            let pipeline = &self.settings.name;
            tracing::warn!(pipeline, failures, hint, "{reason}; trying again");
        }
        self.metrics.retried_infrastructure.inc();
        let delay = retry::backoff(&self.settings.retry, failures);
        self.in_flight
            .publish_again(id, publication, retry::due(delay));
    }

    /// The sink will never take the results of a message, or its dead letter as it was.
    async fn reject(&mut self, id: TaskId, rejection: Rejection) {
        if let Some(task) = self.in_flight.get(id) {
            let source = task.judged(&self.source_id);
            let disposition = self.processor.reject(source, rejection);
            // A dead letter is never retried by its disposition, so this does not come back here.
            Box::pin(self.carry_out(id, disposition)).await;
        }
    }

    /// The server refused a message for the parking stream: it is nakked with the same delay.
    async fn not_parked(&mut self, id: TaskId, due: Instant, failure: Failure) {
        let reason = failure.reason();
        if self.outbox.parking_failed() {
            tracing::warn!(
                pipeline = self.settings.name,
                "cannot park retries; they count against max-ack-pending for now: {reason}"
            );
        }
        let left = due.saturating_duration_since(Instant::now());
        self.nak(id, left.max(self.settings.retry.initial)).await;
    }

    async fn finish(&mut self, id: TaskId, proof: Settled, now: SystemTime) {
        let Some(task) = self.in_flight.finish(id) else {
            return;
        };
        let then = match &task.state {
            State::Publishing(publication, ..) => publication.then.clone(),
            _ => Then::Ack,
        };
        if let Then::Parked(_) = then {
            self.at_failpoint(Station::Parked, 1).await;
            self.settler.parked(task, proof);
            return self.at_failpoint(Station::Settled, 1).await;
        }
        let stored = UNIX_EPOCH + Duration::from_nanos(task.stored());
        let took = now.duration_since(stored).unwrap_or_default();
        self.metrics.latency.observe(took.as_secs_f64());
        match then {
            Then::Term(rejection) => {
                if self.settings.dead_letter.is_some() {
                    self.metrics.dead.inc();
                }
                self.settler.term(task, &rejection.words(), proof);
            }
            Then::Ack | Then::Parked(_) => self.settler.ack(task, proof),
        }
        self.at_failpoint(Station::Settled, 1).await;
    }
}
