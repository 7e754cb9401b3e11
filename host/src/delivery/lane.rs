//! A lane: one OS thread, one runtime, one connection, one warm instance per operator.
//!
//! It has five parts: [`Intake`], [`Processor`], [`Outbox`], [`Settler`] and [`Control`], and the messages in
//! flight. It owns everything that it uses; it shares only counters and the in-progress registry with the
//! host. This file connects the parts; `mod.rs` has the loop, and `judge.rs` carries out dispositions.

use super::control::Control;
use super::in_flight::{InFlight, TaskId};
use super::intake::Intake;
use super::nakked::Nakked;
use super::outbox::Outbox;
use super::publication::Publication;
use super::settler::{Settler, gauge};
use super::sink::Confirmation;
use super::source::Delivery;
use crate::config::resolved;
use crate::failpoint::Station;
use crate::process::Processor;
use crate::process::activity::{Activity, Answer};
use crate::process::chain::{Routed, Verdict};
use crate::process::changeover::Boundary;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::metrics::PipelineMetrics;
use anyhow::{Result, anyhow};
use bytestring::ByteString;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a lane that leaves waits for the server to hear its last words.
const PARTING: Duration = Duration::from_secs(2);
/// How long a lane that waits for nothing sleeps.
const LONG: Duration = Duration::from_secs(3600);

/// Everything one lane works with.
pub struct Lane {
    pub(super) settings: Arc<resolved::Pipeline>,
    pub(super) intake: Intake,
    pub(super) processor: Processor,
    pub(super) outbox: Outbox,
    pub(super) settler: Settler,
    pub(super) control: Control,
    pub(super) in_flight: InFlight<Publication>,
    pub(super) nakked: Nakked,
    pub(super) activity: Arc<Activity>,
    /// `<stream>@<incarnation>` of the source.
    pub(super) source_id: ByteString,
    pub(super) metrics: Arc<PipelineMetrics>,
    pub(super) dead_letter_log: Arc<LogLimit>,
    pub(super) failure_log: Arc<LogLimit>,
}

/// What a lane has to do next.
pub(super) enum Event {
    /// Messages have come, perhaps none.
    Deliveries(Vec<Delivery>),
    /// The server has said what became of publishes.
    Confirmed(Vec<Confirmation>),
    /// Something that waited for its time, or for the host, may go on.
    Due,
    /// A new version of a plugin can take over.
    Swap,
    /// The host wants to know what the lane waits for.
    Asked,
    /// The lane was stopped, and holds nothing any more.
    Stopped,
}

impl Lane {
    /// Step 1. Waits for the next event. Safe to drop while it waits.
    ///
    /// # Errors
    /// When a consumer or the host is gone, or the permission to pull from the source's consumer is missing.
    pub(super) async fn pull(&mut self) -> Result<Event> {
        if self.control.is_stopping() && self.stop().await {
            return Ok(Event::Stopped);
        }
        if self.control.changeover.is_pending() {
            self.in_flight.call_unpublished();
            if !self.in_flight.has_unpublished() {
                return Ok(Event::Swap);
            }
        }
        let wake = self.in_flight.next_wake();
        let wake = wake.unwrap_or_else(|| Instant::now() + LONG).into();
        let room = self.intake.room(&self.in_flight);
        let (control, sink) = (&mut self.control, &mut self.outbox.sink);
        tokio::select! {
            biased;
            changed = control.stages.changed() => match changed {
                Ok(()) => Ok(Event::Due),
                Err(_) => Err(anyhow!("the host that started this lane is gone")),
            },
            () = control.changeover.arrives() => Ok(Event::Due),
            () = self.activity.asked() => Ok(Event::Asked),
            words = control.health.deaf() => Err(deaf(&words)),
            confirmed = sink.confirmed(), if sink.is_waiting() => confirmed.map(Event::Confirmed),
            pulled = self.intake.pull(room) => pulled.map(Event::Deliveries),
            () = tokio::time::sleep_until(wake) => Ok(Event::Due),
        }
    }

    /// Goes on with a soft stop; whether it is done.
    async fn stop(&mut self) -> bool {
        self.intake.drain();
        if !self.intake.is_drained() {
            return false;
        }
        self.nak_all(self.in_flight.waiting()).await;
        self.in_flight.is_empty()
    }

    /// What waited for its time goes on.
    pub(super) fn wake(&mut self) {
        self.in_flight.wake(Instant::now());
    }

    /// Says to the host what it waits for.
    pub(super) fn answer(&self) {
        let oldest = self.outbox.sink.oldest();
        self.activity.answer(Answer {
            held: self.in_flight.len(),
            retries: self.in_flight.retries(),
            publish: oldest.map(|(subject, since)| (subject.to_owned(), since)),
            pull: self.intake.said().map(ToOwned::to_owned),
        });
    }

    /// A new version of a plugin takes over.
    pub(super) fn swap(&mut self) {
        let changeover = &mut self.control.changeover;
        changeover.apply(&self.in_flight, &mut self.processor);
    }

    /// Step 2. Adds deliveries to those in flight, with their keys and event times.
    pub(super) async fn decode(&mut self, deliveries: Vec<Delivery>) {
        self.at_failpoint(Station::Pulled, deliveries.len()).await;
        let unparked = deliveries.iter().filter(|one| one.origin.is_some());
        self.at_failpoint(Station::Unparked, unparked.count()).await;
        for delivery in deliveries {
            let Delivery {
                mut message,
                ticket,
                origin,
            } = delivery;
            let parked = origin.as_ref().map_or(0, |origin| origin.retries);
            let delivery = (origin.is_some(), ticket.facts.sequence);
            let retries = self.nakked.recall(delivery).max(parked);
            self.metrics.in_flight.inc();
            self.metrics.in_flight_bytes.inc_by(gauge(message.size()));
            if !self.processor.decode(&mut message) {
                self.metrics.event_times_invalid.inc();
            }
            if self.processor.on_missing_key(&message).is_some() {
                self.metrics.messages_without_key.inc();
            }
            self.in_flight.admit(message, ticket, origin, retries);
        }
    }

    /// Step 3. The next tasks to work on, with the operators that see each. `None` when there
    /// are none for now, and before a swap.
    pub(super) fn route(&mut self) -> Option<(Vec<TaskId>, Vec<Routed>)> {
        if self.control.changeover.is_pending() {
            return None;
        }
        let tasks = self.in_flight.next_batch(self.settings.batch);
        let routed = tasks.iter().filter_map(|id| {
            let task = self.in_flight.get(*id)?;
            Some(self.processor.route(task.message.clone()))
        });
        let batch: Vec<_> = routed.collect();
        (!tasks.is_empty()).then_some((tasks, batch))
    }

    /// Step 4. Calls the plugins. While they compute, the lane reads deliveries, because nobody extends the
    /// ack-wait of an unread one, and publish acks. It handles both after the call.
    pub(super) async fn call(&mut self, batch: Vec<Routed>) -> Vec<Verdict> {
        let (messages, began) = (batch.len(), Instant::now());
        self.control.observe(&batch, began);
        self.activity.calls(Some(began));
        let verdicts = tokio::select! {
            biased;
            verdicts = self.processor.call(batch) => verdicts,
            never = self.outbox.sink.attend() => match never {},
            never = self.intake.attend() => match never {},
        };
        self.activity.calls(None);
        self.metrics.batches.inc();
        self.intake.observe(messages, began.elapsed());
        self.at_failpoint(Station::Called, messages).await;
        verdicts
    }

    async fn nak_all(&mut self, tasks: Vec<TaskId>) {
        for id in tasks {
            self.nak(id, self.settings.retry.initial).await;
        }
    }

    /// Naks the messages in flight, and waits until all naks are sent. Without a connection the server
    /// redelivers them after ack-wait.
    pub(super) async fn leave(&mut self) {
        let unread = self.intake.give_up();
        self.decode(unread).await;
        let (pipeline, left) = (&self.settings.name, self.in_flight.len());
        if !self.control.health.is_connected() {
            tracing::warn!(
                pipeline,
                left,
                "stopped without a connection to nats; messages in flight will be redelivered"
            );
            for id in self.in_flight.all() {
                if let Some(task) = self.in_flight.finish(id) {
                    self.settler.leave(task);
                }
            }
            return;
        }
        if left > 0 {
            tracing::warn!(
                pipeline,
                left,
                "nakked the messages in flight for redelivery"
            );
        }
        self.nak_all(self.in_flight.all()).await;
        self.settler.flush(PARTING).await;
    }

    /// A fault test may want the lane to end here, with everything written so far.
    pub(super) async fn at_failpoint(&mut self, station: Station, messages: usize) {
        if let Some(failure) = self.control.failpoint.passed(station, messages) {
            self.settler.flush(PARTING).await;
            failure.happen(station);
        }
    }
}

/// Neither deliveries nor publish acks come any more on this connection.
fn deaf(words: &str) -> anyhow::Error {
    let error = anyhow!("the server refused: {words}").context("cannot receive from nats");
    crate::report::hint(error, crate::nats::INBOXES)
}
