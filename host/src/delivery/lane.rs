//! A lane: one OS thread, one runtime, one connection, one warm instance per operator.
//!
//! The parts of a lane, and what it decides between the stations of the corridor (`mod.rs`). It owns
//! everything it touches; it shares only counters, and [`InProgressRegistry`] with the supervisor.

use crate::config::resolved::{self, Order};
use crate::delivery::failover::Failover;
use crate::delivery::failpoint::{Failpoint, Station};
use crate::delivery::in_flight::{InFlight, Task, TaskId};
use crate::delivery::in_progress::InProgressRegistry;
use crate::delivery::intake::{Intake, Room};
use crate::delivery::settle::Settle;
use crate::delivery::sink::{Confirmation, Sink};
use crate::delivery::source::Delivery;
use crate::delivery::swap::{Changeover, Sampler};
use crate::message::Message;
use crate::nats::streams::{Context, Ensured};
use crate::nats::{Health, consumers};
use crate::outgoing::Publication;
use crate::parked::{Origin, Parking};
use crate::process::chain::{Chain, Verdict};
use crate::process::dead_letter::DeadLetterBuilder;
use crate::process::outputs::OutputBuilder;
use crate::process::route::{OperatorSet, Route};
use crate::shutdown::{Stage, Stages, reached};
use crate::telemetry::metrics::PipelineMetrics;
use crate::telemetry::sampled::Sampled;
use anyhow::{Result, anyhow};
use bytestring::ByteString;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a lane that leaves waits for the server to hear its last words.
const PARTING: Duration = Duration::from_secs(2);

/// Everything one lane works with.
pub struct Lane {
    pub(crate) settings: Arc<resolved::Pipeline>,
    pub(crate) intake: Intake,
    pub(crate) route: Route,
    pub(crate) chain: Chain,
    pub(crate) outputs: OutputBuilder,
    pub(crate) dead_letters: DeadLetterBuilder,
    pub(crate) sink: Sink,
    pub(crate) settle: Settle,
    /// `None` where the server has no parking stream for the pipeline.
    pub(crate) parking: Option<Parking>,
    /// `<stream>@<incarnation>` of the source.
    pub(crate) source_id: ByteString,
    pub(crate) max_payload: usize,
    pub(crate) in_flight: InFlight<Publication>,
    pub(crate) confirmed: Vec<Confirmation>,
    /// For ordered pipelines: whose turn it is.
    pub(crate) failover: Failover,
    pub(crate) jetstream: Context,
    pub(crate) health: Arc<Health>,
    pub(crate) ensured: Ensured,
    pub(crate) in_progress: Arc<InProgressRegistry>,
    pub(crate) dead_letter_log: Arc<Sampled>,
    pub(crate) failure_log: Arc<Sampled>,
    pub(crate) stages: Stages,
    pub(crate) metrics: Arc<PipelineMetrics>,
    pub(crate) pace: Pace,
    pub(crate) changeover: Changeover,
    pub(crate) sampler: Sampler,
    pub(crate) failpoint: Failpoint,
    pub(crate) drained: bool,
}

/// How fast messages go through the plugins, so that no more is fetched than can be worked on well
/// within ack-wait.
pub(crate) struct Pace {
    /// What may be in hand at the present speed.
    most: usize,
    /// The time in which all of it must be done.
    within: Duration,
    seconds_per_message: f64,
}

impl Pace {
    pub(crate) fn new(ack_wait: Duration, first: usize) -> Self {
        Self {
            most: first,
            within: ack_wait / 4,
            seconds_per_message: 0.0,
        }
    }

    fn observe(&mut self, messages: usize, took: Duration) {
        let latest = took.as_secs_f64() / messages.max(1) as f64;
        // A slower batch counts at once, faster ones bit by bit.
        let weight = if latest > self.seconds_per_message {
            0.5
        } else {
            0.1
        };
        self.seconds_per_message += (latest - self.seconds_per_message) * weight;
        let fitting = self.within.as_secs_f64() / self.seconds_per_message.max(1e-9);
        self.most = (fitting as usize).max(1);
    }
}

/// Messages, each with the operators that see it.
pub(crate) type Routed = Vec<(Message, OperatorSet)>;

impl Lane {
    /// How it is with the lane's connection.
    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Waits for a hard stop; or for a soft one while the connection is down, because then nothing
    /// that is in hand can be settled.
    pub(crate) fn must_leave_at_once(&self) -> impl Future<Output = ()> + use<> {
        let (mut soft, mut hard) = (self.stages.clone(), self.stages.clone());
        let health = Arc::clone(&self.health);
        async move {
            tokio::select! {
                () = reached(&mut hard, Stage::Hard) => {}
                () = async {
                    reached(&mut soft, Stage::Soft).await;
                    health.down().await;
                } => {}
            }
        }
    }

    /// Station 1. Waits for deliveries, for confirmations, or for a retry to come due; returns the
    /// deliveries, perhaps none. `None` when the lane has stopped and holds nothing any more.
    pub(crate) async fn pull(&mut self) -> Result<Option<Vec<Delivery>>> {
        let stage = *self.stages.borrow_and_update();
        if stage >= Stage::Soft {
            self.intake.drain();
            if self.drained {
                let resting = self.failover.give_up();
                self.decode(resting);
                self.nak_all(self.in_flight.waiting()).await;
            }
            if self.drained && self.in_flight.is_empty() {
                return Ok(None);
            }
        }
        if self.apply_swap() {
            return Ok(Some(self.failover.pass(Vec::new())));
        }
        let room = self.room();
        let most = self.settings.batch.messages;
        let wakes = [self.in_flight.next_wake(), self.failover.wake()];
        let wake = wakes
            .into_iter()
            .flatten()
            .min()
            .map(tokio::time::Instant::from_std);
        let later = wake.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            biased;
            changed = self.stages.changed() => if changed.is_err() {
                return Err(anyhow!("the host that started this lane is gone"));
            },
            () = self.changeover.arrives() => {}
            confirmed = self.sink.confirmed(), if self.sink.is_waiting() => self.confirmed = confirmed,
            pulled = self.intake.pull(room, most), if !self.drained => match pulled? {
                Some(deliveries) => return Ok(Some(self.in_turn(deliveries).await)),
                None => self.drained = true,
            },
            () = tokio::time::sleep_until(later) => {}
        }
        self.in_flight.wake(Instant::now());
        Ok(Some(self.failover.pass(Vec::new())))
    }

    /// Under `order: key` and `order: stream`, what another lane left unsettled comes first.
    async fn in_turn(&mut self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        if self.failover.is_new(self.intake.pin()) {
            // Those of the deliveries that have come again are among the outstanding ones, and are
            // counted off as they pass.
            let fresh = deliveries
                .iter()
                .filter(|delivery| delivery.message.attempt == 1)
                .count();
            let own = self.in_flight.len() + self.failover.resting() + fresh;
            let others = match consumers::info(&self.jetstream, &self.ensured.source).await {
                Ok(Some(info)) => info.num_ack_pending.saturating_sub(own),
                Ok(None) => 0,
                // Not to know is no reason to break the order.
                Err(error) => {
                    tracing::warn!("cannot tell what another host left unsettled: {error:#}");
                    1
                }
            };
            self.failover
                .begin(self.intake.pin(), others, self.settings.source.ack_wait);
        }
        self.failover.pass(deliveries)
    }

    /// What may be fetched besides what is in hand.
    fn room(&self) -> Room {
        let Room {
            mut source,
            mut parking,
        } = self.in_flight.room();
        if self.in_flight.is_empty() {
            // One message is always taken, however large.
            let least = self.intake.least_bytes();
            source.bytes = source.bytes.max(least);
            parking.bytes = parking.bytes.max(least);
        }
        let paced = self.pace.most.saturating_sub(self.in_flight.len());
        source.messages = self.failover.room(source.messages.min(paced));
        parking.messages = parking.messages.min(paced);
        Room { source, parking }
    }

    /// Station 2. Takes deliveries in hand, with their keys and event times.
    pub(crate) fn decode(&mut self, deliveries: Vec<Delivery>) {
        for Delivery {
            mut message,
            ticket,
            origin,
        } in deliveries
        {
            self.metrics.in_flight.inc();
            self.metrics.in_flight_bytes.inc_by(gauge(message.size()));
            message.key = self
                .settings
                .key
                .as_ref()
                .and_then(|rule| rule.extract(&message));
            if let Some(rule) = &self.settings.event_time
                && let Some(time) = rule.extract(&message.headers, &message.payload)
            {
                message.event_time = time;
            }
            self.in_flight.admit(message, ticket, origin);
        }
    }

    /// Station 3. The next tasks to work on, with the operators that see each. `None` when there
    /// are none for now, and before a swap.
    pub(crate) fn route(&mut self) -> Option<(Vec<TaskId>, Routed)> {
        if self.changeover.is_pending() {
            return None;
        }
        let tasks = self.in_flight.next_batch(self.settings.batch);
        let routed = tasks.iter().filter_map(|id| {
            let task = self.in_flight.get_mut(*id)?;
            let mut message = task.message.clone();
            message.attempt = message.attempt.saturating_add(task.retries);
            let operators = self.route.operators(&message.subject);
            Some((message, operators))
        });
        let batch: Vec<_> = routed.collect();
        (!tasks.is_empty()).then_some((tasks, batch))
    }

    /// Station 4.
    pub(crate) async fn call(&mut self, batch: Routed) -> Vec<Verdict> {
        let (messages, began) = (batch.len(), Instant::now());
        self.changeover.observe(&batch);
        self.sampler.keep(&batch, began);
        let verdicts = self.work(batch).await;
        self.metrics.batches.inc();
        self.pace.observe(messages, began.elapsed());
        verdicts
    }

    /// Calls the plugins. While they compute, what arrives is taken in hand, because unread nobody would
    /// keep it alive, and acks of publishes are heard; what either means waits until after the call.
    async fn work(&mut self, batch: Routed) -> Vec<Verdict> {
        tokio::select! {
            biased;
            verdicts = self.chain.run(batch) => verdicts,
            never = self.sink.attend() => match never {},
            never = self.intake.attend(self.settings.batch.messages) => match never {},
        }
    }

    pub(crate) async fn nak(&mut self, id: TaskId, delay: Duration) {
        if let Some(task) = self.release(id) {
            self.settle.nak(task.ticket, delay).await;
        }
    }

    pub(crate) fn release(&mut self, id: TaskId) -> Option<Task<Publication>> {
        let task = self.in_flight.finish(id)?;
        self.in_progress
            .remove((task.origin.is_some(), task.ticket.facts.sequence));
        self.metrics.in_flight.dec();
        self.metrics
            .in_flight_bytes
            .dec_by(gauge(task.message.size()));
        Some(task)
    }

    /// Where the message of a task first came from.
    pub(crate) fn origin(&self, task: &Task<Publication>) -> Origin {
        Origin {
            source_id: task.source_id(&self.source_id).clone(),
            stored: task.stored(),
        }
    }

    async fn nak_all(&mut self, tasks: Vec<TaskId>) {
        for id in tasks {
            self.nak(id, self.settings.retry.initial).await;
        }
    }

    /// Hands back what is still in hand, and waits until every answer is on its way. Without a
    /// connection the server delivers it again by itself, after ack-wait.
    pub(crate) async fn leave(&mut self) {
        let unread = self.intake.unread();
        self.decode(unread);
        if !self.health.is_connected() {
            let pipeline = &self.settings.name;
            let left = self.in_flight.len();
            tracing::warn!(
                pipeline,
                left,
                "stopped without a connection to nats; what was in hand is delivered again"
            );
            for id in self.in_flight.all() {
                drop(self.release(id));
            }
            return;
        }
        let left = self.in_flight.len();
        if left > 0 {
            let pipeline = &self.settings.name;
            tracing::warn!(
                pipeline,
                left,
                "handed back what was in hand; it is delivered again"
            );
        }
        self.nak_all(self.in_flight.all()).await;
        self.settle.flush(PARTING).await;
        if self.settings.order != Order::None {
            let unpinned = consumers::unpin(&self.jetstream, &self.ensured.source);
            if tokio::time::timeout(PARTING, unpinned).await.is_err() {
                tracing::debug!("the server does not answer; the pin will time out");
            }
        }
    }

    /// A fault test may want the host to stand still here, with everything written so far.
    pub(crate) async fn at_failpoint(&mut self, station: Station, messages: usize) {
        if self.failpoint.passed(station, messages) {
            self.settle.flush(PARTING).await;
            self.failpoint.halt(station);
        }
    }
}

fn gauge(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
