//! What the partitions on one thread share: the processor, the counters, and new versions of the plugins.

use super::clock::nanoseconds;
use super::log::Input;
use crate::config::resolved::{self, Order};
use crate::headers::{SOURCED, sourced_from};
use crate::message::Message;
use crate::nats::job_progress::JobProgress;
use crate::outgoing::OutgoingMessage;
use crate::process::Processor;
use crate::process::activity::Activity;
use crate::process::chain::{Rejection, Routed};
use crate::process::changeover::{Boundary, Changeover};
use crate::process::decode::Decoder;
use crate::process::samples::Sampler;
use crate::state::SharedState;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::metrics::PipelineMetrics;
use crate::time::watermark::Rules;
use bytestring::ByteString;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, Notify};

/// What became of messages. Counted once it is committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Messages that were processed, be it that they wait now.
    pub taken: i64,
    /// Payload and header bytes of these, and payload bytes of what was published.
    pub taken_bytes: u64,
    pub published_bytes: u64,
    /// Messages that ended.
    pub inputs: u64,
    pub published: u64,
    pub dropped: u64,
    /// Messages and timers that are dead letters, and those of them that are messages.
    pub dead: u64,
    pub termed: u64,
    pub retried: u64,
    pub retried_infrastructure: u64,
    /// Times that a result has no key for a view.
    pub not_viewed: u64,
    /// Messages without the key that their source has a rule for.
    pub keyless: u64,
    /// Messages whose event time is not valid, or too far ahead.
    pub untimed: u64,
    pub ahead: u64,
    /// Messages that were late for all windows.
    pub late: u64,
}

impl Counts {
    /// Messages are processed; returns how many.
    pub(super) fn take(&mut self, batch: &[Input]) -> i64 {
        let taken = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        self.taken += taken;
        let sizes = batch.iter().map(|input| input.message.size() as u64);
        self.taken_bytes += sizes.sum::<u64>();
        taken
    }

    /// Results or dead letters are published.
    pub(super) fn publish(&mut self, messages: &[OutgoingMessage]) {
        self.published += messages.len() as u64;
        let payloads = messages.iter().map(|message| message.payload.len() as u64);
        self.published_bytes += payloads.sum::<u64>();
    }
}

/// See the top of this file.
pub struct Shared {
    pub(super) settings: Arc<resolved::Pipeline>,
    /// Those of its operators in the state, in the order of the chain.
    pub(super) state_ids: Vec<String>,
    pub(super) processor: Mutex<Processor>,
    /// Of each partition.
    pub(super) state_bytes: u64,
    /// The time to live of values without their own, in nanoseconds; none keeps them forever.
    pub(super) state_ttl: Option<u64>,
    pub(super) order: Order,
    /// The source of a message whose input is not known.
    pub(super) unknown: ByteString,
    /// The inputs that are read; all of a checkpoint if empty. It may have others, of streams that are gone.
    reads: Vec<Reads>,
    pub(super) watermark: Rules,
    activity: Arc<Activity>,
    pub(super) metrics: Arc<PipelineMetrics>,
    dead_letter_log: Arc<LogLimit>,
    control: RefCell<(Changeover, Sampler)>,
    pub(super) progress: Arc<JobProgress>,
    /// Partitions with something that is processed and not known to be committed.
    uncommitted: Cell<usize>,
    /// None has any more.
    committed: Notify,
    /// A new version has taken over.
    changed: Notify,
    /// By operator, the format of its plugin's values, if it is not 0.
    formats: RefCell<BTreeMap<String, u32>>,
}

/// An input that a job reads.
pub(super) struct Reads {
    /// `<stream>@<incarnation>`.
    pub id: Arc<str>,
    /// The same of what it sources, if it is a stream of the job's own.
    pub origin: Option<ByteString>,
    /// Whether it is read before those that are not. Event time does not wait for it.
    pub is_table: bool,
    pub decoder: Decoder,
}

impl Reads {
    /// A message as it is in the source, if another stream is read that says so.
    pub(super) fn as_in_source(&self, message: &Message) -> Option<Message> {
        let sequence = self.sequence_in_source(message)?;
        let is_kept = |(name, _): &&(ByteString, ByteString)| !name.eq_ignore_ascii_case(SOURCED);
        Some(Message {
            sequence,
            headers: message.headers.iter().filter(is_kept).cloned().collect(),
            ..message.clone()
        })
    }

    /// Its sequence there.
    pub(super) fn sequence_in_source(&self, message: &Message) -> Option<u64> {
        let (stream, _) = self.origin.as_ref()?.rsplit_once('@')?;
        let (from, sequence) = sourced_from(message.headers.get(SOURCED)?)?;
        (from == stream).then_some(sequence)
    }
}

/// Everything processed is committed.
struct Committed;

impl Boundary for Committed {
    fn has_unpublished(&self) -> bool {
        false
    }
}

impl Shared {
    pub(super) fn new(
        settings: Arc<resolved::Pipeline>,
        processor: Processor,
        activity: Arc<Activity>,
        metrics: Arc<PipelineMetrics>,
        dead_letter_log: Arc<LogLimit>,
        control: (Changeover, Sampler),
        progress: Arc<JobProgress>,
    ) -> Self {
        let job = settings.job.as_ref();
        let operators = settings.operators.iter();
        Self {
            state_ids: operators.map(|it| it.state_id().into_owned()).collect(),
            formats: RefCell::new(formats(&processor)),
            state_bytes: job.map_or(0, |job| job.state_bytes),
            state_ttl: job.and_then(|job| job.state_ttl).map(nanoseconds),
            order: job.map_or(Order::Key, |job| job.order),
            watermark: job.map_or_else(Rules::default, |job| job.watermark),
            settings,
            processor: Mutex::new(processor),
            unknown: ByteString::new(),
            reads: Vec::new(),
            activity,
            metrics,
            dead_letter_log,
            control: RefCell::new(control),
            progress,
            uncommitted: Cell::new(0),
            committed: Notify::new(),
            changed: Notify::new(),
        }
    }

    /// The same of a job that reads these inputs.
    pub(super) fn with_inputs(self, reads: Vec<Reads>) -> Self {
        Self { reads, ..self }
    }

    /// Whether an input of a checkpoint is read, and event time is that of its messages.
    pub(super) fn has_time(&self, id: &str) -> bool {
        let has_time = |reads: &Reads| *reads.id == *id && !reads.is_table;
        self.reads.is_empty() || self.reads.iter().any(has_time)
    }

    /// What is known of an input, or of the one in the place of one that is gone.
    pub(super) fn reads(&self, id: &str) -> Option<&Reads> {
        let stream = |id: &str| id.rsplit_once('@').map(|(stream, _)| stream.to_owned());
        let mut reads = self.reads.iter();
        let exact = self.reads.iter().find(|reads| *reads.id == *id);
        exact.or_else(|| reads.find(|reads| stream(&reads.id) == stream(id)))
    }
    /// The plugins are about to be called with a batch, and write to `state` if they have any.
    pub(super) fn calls(&self, batch: &[Routed], state: Option<&SharedState>) {
        let now = Instant::now();
        let (changeover, sampler) = &mut *self.control.borrow_mut();
        changeover.observe(batch);
        sampler.keep(batch, state, now);
        self.activity.calls(Some(now));
    }

    /// They have returned.
    pub(super) fn called(&self) {
        self.activity.calls(None);
        self.metrics.batches.inc();
    }

    /// A partition has something uncommitted, or has not any more.
    pub(super) fn set_uncommitted(&self, any: bool) {
        let before = self.uncommitted.get();
        self.uncommitted.set(match any {
            true => before + 1,
            false => before.saturating_sub(1),
        });
        if self.uncommitted.get() == 0 {
            self.committed.notify_one();
        }
    }

    /// So many more messages are processed and not committed, or fewer.
    pub(super) fn in_hand(&self, change: i64) {
        self.metrics.in_flight.inc_by(change);
    }

    /// Messages that were stored at these times are committed; 0 if a time is unknown.
    pub(super) fn observe(&self, stored: &[u64]) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let known = stored.iter().filter(|stored| **stored > 0);
        known.for_each(|stored| {
            let took = now.saturating_sub(Duration::from_nanos(*stored));
            self.metrics.latency.observe(took.as_secs_f64());
        });
    }

    /// What was committed.
    pub(super) fn count(&self, counts: Counts) {
        let metrics = &self.metrics;
        metrics.in_flight.dec_by(counts.taken);
        metrics.received.inc_by(counts.inputs);
        metrics.acked.inc_by(counts.inputs - counts.termed);
        metrics.termed.inc_by(counts.termed);
        metrics.dropped.inc_by(counts.dropped);
        metrics.published.inc_by(counts.published);
        metrics.published_bytes.inc_by(counts.published_bytes);
        metrics.received_bytes.inc_by(counts.taken_bytes);
        metrics.retried.inc_by(counts.retried);
        metrics
            .retried_infrastructure
            .inc_by(counts.retried_infrastructure);
        metrics.job_view_skipped.inc_by(counts.not_viewed);
        metrics.messages_without_key.inc_by(counts.keyless);
        metrics.event_times_invalid.inc_by(counts.untimed);
        metrics.event_times_ahead.inc_by(counts.ahead);
        metrics.late_messages.inc_by(counts.late);
        if self.settings.dead_letter.is_some() {
            metrics.dead.inc_by(counts.dead);
        }
        self.activity.succeeds();
    }

    pub(super) fn log_dead_letter(&self, sequence: Option<u64>, rejection: &Rejection) {
        if self.dead_letter_log.admits(Instant::now()) {
            tracing::warn!(
                pipeline = self.settings.name,
                sequence,
                operator = rejection.by(),
                kind = rejection.kind.as_str(),
                "dead letter: {}",
                rejection.reason,
            );
        }
    }

    /// Whether the plugins read values in these formats; why not, if they do not.
    pub(super) fn check<'a>(
        &self,
        formats: impl Iterator<Item = (&'a str, u32)>,
    ) -> Result<(), String> {
        let reads = self.formats.borrow();
        for (operator, format) in formats {
            let reads = reads.get(operator).copied().unwrap_or_default();
            if reads < format {
                return Err(format!(
                    "operator `{operator}` has values of format {format}, and its plugin reads format {reads}; run a \
                     later version of the plugin"
                ));
            }
        }
        Ok(())
    }

    /// Waits while a new version is to take over.
    pub(super) async fn permitted(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.control.borrow().0.is_pending() {
                return;
            }
            changed.await;
        }
    }

    /// Installs new versions, each after everything that the previous one has processed is committed. Never
    /// ends.
    pub(super) async fn change(&self) {
        loop {
            // The changeover is lent for one look at a time, because calls note in it what they see.
            poll_fn(|context| {
                let mut control = self.control.borrow_mut();
                pin!(control.0.arrives()).poll(context)
            })
            .await;
            loop {
                let mut processor = self.processor.lock().await;
                if self.uncommitted.get() == 0 {
                    let changeover = &mut self.control.borrow_mut().0;
                    changeover.apply(&Committed, &mut processor);
                    self.formats.replace(formats(&processor));
                    break;
                }
                drop(processor);
                self.committed.notified().await;
            }
            self.changed.notify_waiters();
        }
    }
}

fn formats(processor: &Processor) -> BTreeMap<String, u32> {
    let formats = processor.formats();
    formats
        .map(|(operator, format)| (operator.to_owned(), format))
        .collect()
}
