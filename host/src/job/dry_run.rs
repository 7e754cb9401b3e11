//! A job in memory: partitions with a state each, whose commits are not stored. For `weir replay` and for
//! shadows.
//!
//! Messages, timers and retries use the same code as in a running job (`worker.rs`, `processing.rs`), with
//! the same limits. Processing time is the time at which the current message was stored, so that timers and
//! retries are due between the same messages as in the job. Event time is the watermark, as always. Knows no
//! broker, and publishes nothing.

mod partition;

use super::bounds::{self, Bounds};
use super::log::{Checkpoint, Fence, Held, Input, Progress, Snapshot};
use super::positions::{Span, merged};
use super::processing::Processing;
use super::shared::{Reads, Shared};
use super::work::{Unreadable, Work};
use crate::compare::Outputs;
use crate::config::resolved;
use crate::jsonl::Line;
use crate::message::Message;
use crate::nats::job_progress::JobProgress;
use crate::process::Processor;
use crate::process::activity::Activity;
use crate::process::chain::Chain;
use crate::process::changeover::Changeover;
use crate::process::decode::Decoder;
use crate::process::outputs::Target;
use crate::process::samples::Sampler;
use crate::state::{Group, Groups, SharedState};
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::metrics::Metrics;
use anyhow::{Context as _, Result, anyhow};
use partition::{How, Partition};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What it is made of.
pub struct Parts {
    pub settings: Arc<resolved::Pipeline>,
    /// That of the pipeline, perhaps with other versions in it.
    pub chain: Chain,
    pub target: Target,
    /// What it reads, as `<stream>@<incarnation>`: one for each of its streams.
    pub sources: Vec<Arc<str>>,
}

/// The place of a source among those that are read, and the sequence of a message there.
pub type Place = (usize, u64);

/// Makes messages ready to be processed, and says to which partition each belongs.
pub struct Dealer {
    decoders: Vec<Decoder>,
    of: u16,
}

impl Dealer {
    /// For the streams of a pipeline, in their order.
    #[must_use]
    pub fn new(settings: &resolved::Pipeline, of: u16) -> Self {
        let streams = settings.streams();
        let decoders = streams.iter();
        Self {
            decoders: decoders
                .map(|stream| Decoder::of_stream(settings, stream))
                .collect(),
            of,
        }
    }

    /// The partition of a message that was stored in a stream then, and the message with its key, source and event time.
    #[must_use]
    pub fn deal(&self, source: usize, mut message: Message, stored: u64) -> (u16, Input) {
        let decoder = self.decoders.get(source);
        let timed = decoder.is_none_or(|decoder| decoder.decode(&mut message));
        let partition = Group::of(message.state_key()).partition(self.of);
        let input = Input {
            input: source,
            message,
            stored,
            timed,
        };
        (partition, input)
    }
}

/// What has become of messages.
#[derive(Debug, Default)]
pub struct Answers {
    /// The messages that have ended, each with its outputs. One that waits for a retry ends later.
    pub ended: Vec<(Place, Outputs)>,
    /// What timers have emitted, or have become: it comes of no message.
    pub of_timers: Vec<Line>,
}

impl Answers {
    /// Those of several partitions.
    pub fn add(&mut self, other: Self) {
        self.ended.extend(other.ended);
        self.of_timers.extend(other.of_timers);
    }
}

/// See the top of this file.
pub struct JobDryRun {
    shared: Rc<Shared>,
    sources: Arc<[Arc<str>]>,
    /// How many partitions the job has; those that are here.
    of: u16,
    partitions: BTreeMap<u16, Partition>,
    bounds: Bounds,
    batch: usize,
}

impl JobDryRun {
    /// Warms the plugins. There is no partition yet.
    ///
    /// # Errors
    /// What a plugin that refuses said, and a pipeline that is no job.
    pub async fn new(parts: Parts) -> Result<Self> {
        let settings = parts.settings;
        let job = settings.job.clone().context("the pipeline is not a job")?;
        // Where there are no dead letters, it is of interest all the same what would be one.
        let dead_letters = parts.target.dead_letters.or_else(|| Some("-".to_owned()));
        let target = Target {
            dead_letters,
            ..parts.target
        };
        let activity = Arc::new(Activity::new(Vec::new(), parts.chain.place()));
        // The ids say of which message an output comes.
        let mut named = resolved::Pipeline::clone(&settings);
        named.sink.message_ids = true;
        // As in the job, also for the size of results.
        let mut processor = Processor::new(&named, parts.chain, &target).with_provenance();
        processor.warm().await?;
        let (_, swaps) = mpsc::channel(1);
        let control = (Changeover::new(0, 0, swaps), Sampler::new(Arc::default()));
        let (metrics, silent) = (Metrics::new(), LogLimit::new((0, Duration::MAX)));
        let shared = Shared::new(
            Arc::clone(&settings),
            processor,
            activity,
            metrics.pipeline(&settings.name),
            Arc::new(silent),
            control,
            Arc::new(JobProgress::new(1, 1)),
        );
        let reads = parts.sources.iter().map(|id| {
            let (stream, _) = id.rsplit_once('@').unwrap_or((id, ""));
            Reads {
                id: Arc::clone(id),
                origin: None,
                is_table: settings.sources_of(stream).any(|named| named.is_table),
                decoder: Decoder::of_stream(&settings, stream),
            }
        });
        Ok(Self {
            shared: Rc::new(shared.with_inputs(reads.collect())),
            sources: parts.sources.into(),
            of: job.partitions,
            partitions: BTreeMap::new(),
            bounds: Bounds::of_commit(job.commit, bounds::part(target.max_payload)),
            batch: settings.batch.messages,
        })
    }

    /// Begins a partition with an empty state, at these positions.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn begin(&mut self, partition: u16, spans: &[Span]) -> Result<()> {
        let groups = Groups::of_partition(partition, self.of);
        let groups = groups.with_context(|| format!("there is no partition {partition}"))?;
        let mut inputs = merged(&groups.numbers(), spans);
        for source in &*self.sources {
            if !inputs.iter().any(|input| input.source == *source) {
                inputs.push(Progress::at(Arc::clone(source), 0));
            }
        }
        let mut work = Processing::new(Rc::clone(&self.shared), groups)?;
        let clock = work.clock();
        clock.tell(0);
        let checkpoint = Checkpoint {
            inputs,
            ..Checkpoint::default()
        };
        work.begin(&checkpoint);
        let partition_of = Partition {
            work,
            clock,
            held: Held {
                fence: Fence(1),
                checkpoint,
            },
            sources: Arc::clone(&self.sources),
            waiting: BTreeMap::new(),
            infrastructure: self.shared.metrics.retried_infrastructure.clone(),
        };
        self.partitions.insert(partition, partition_of);
        Ok(())
    }

    /// Gives a key group its state, before the first message.
    ///
    /// # Errors
    /// When it cannot be read, or is of a partition that is not here.
    pub fn restore(&mut self, group: Group, content: bytes::Bytes) -> Result<()> {
        let partition = self.partitions.get_mut(&group.partition(self.of));
        let partition = partition.context("its partition is not here")?;
        let restored = partition.work.restore(&Snapshot {
            group: group.number(),
            reach: 0,
            content,
        });
        restored.map_err(|Unreadable(why)| anyhow!(why))
    }

    /// The states are whole.
    ///
    /// # Errors
    /// When the plugins cannot read what is in them.
    pub fn restored(&mut self) -> Result<()> {
        let mut partitions = self.partitions.values_mut();
        let recovered = partitions.try_for_each(|partition| partition.work.recovered());
        recovered.map_err(|Unreadable(why)| anyhow!(why))
    }

    /// Whether a message of a partition is not in its state yet.
    #[must_use]
    pub fn is_new(&self, partition: u16, input: &Input) -> bool {
        let is_new = |here: &Partition| {
            let progress = here.held.checkpoint.inputs.get(here.place(input.input)?)?;
            let group = Group::of(input.message.state_key()).number();
            let sequence = input.message.sequence;
            Some(sequence > progress.position && !progress.is_done(group, sequence))
        };
        self.partitions
            .get(&partition)
            .and_then(is_new)
            .unwrap_or_default()
    }

    /// Processes messages of a partition in this order, as the [`Dealer`] has made them ready.
    ///
    /// # Errors
    /// When a plugin cannot be started any more.
    pub async fn run(&mut self, partition: u16, messages: Vec<Input>) -> Result<Answers> {
        let how = self.how();
        let mut answers = Answers::default();
        if let Some(partition) = self.partitions.get_mut(&partition) {
            Box::pin(partition.take(messages, how, &mut answers)).await?;
        }
        self.check()?;
        Ok(answers)
    }

    /// Event time has come to where these inputs are, of a checkpoint at whose positions the partition is.
    pub fn follow(&mut self, partition: u16, inputs: &[Progress]) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            let here = &partition.held.checkpoint.inputs;
            let of = |mine: &Progress| {
                let mut inputs = inputs.iter();
                let input = inputs.find(|input| input.source == mine.source);
                input.unwrap_or(mine).clone()
            };
            let inputs: Vec<Progress> = here.iter().map(of).collect();
            partition.work.resume(&inputs);
        }
    }

    /// It is this time for a partition, or later: what is due by then is carried out.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn advance(&mut self, partition: u16, to: u64) -> Result<Answers> {
        let how = self.how();
        let mut answers = Answers::default();
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.fire(to, how, &mut answers).await?;
        }
        self.check()?;
        Ok(answers)
    }

    /// No message comes any more: what waits for a retry is tried until it ends.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn finish(&mut self) -> Result<Answers> {
        let how = self.how();
        let mut answers = Answers::default();
        for partition in self.partitions.values_mut() {
            while partition.work.has_held()
                && let Some(due) = partition.work.next_due()
                && partition.infrastructure.get() == 0
            {
                partition.fire(due, how, &mut answers).await?;
            }
        }
        self.check()?;
        Ok(answers)
    }

    /// Before the first message that has not ended, all have that are of the same source.
    #[must_use]
    pub fn oldest_waiting(&self) -> Option<u64> {
        let partitions = self.partitions.values();
        let oldest = partitions.filter_map(|partition| partition.waiting.keys().next());
        oldest.min().map(|(_, sequence)| *sequence)
    }

    /// The state of a partition.
    #[must_use]
    pub fn state(&self, partition: u16) -> Option<SharedState> {
        Some(self.partitions.get(&partition)?.work.state())
    }

    /// How often a partition has committed: its state has not changed since, if that is the same.
    #[must_use]
    pub fn commits(&self, partition: u16) -> u64 {
        let partition = self.partitions.get(&partition);
        partition.map_or(0, |partition| partition.held.fence.0)
    }

    /// Bytes of the states of all partitions, as they count against the budget.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.partitions.values();
        sizes.map(|partition| partition.work.size() as u64).sum()
    }

    fn how(&self) -> How {
        How {
            bounds: self.bounds,
            batch: self.batch,
        }
    }

    /// A plugin that does not start asks for retries forever.
    fn check(&self) -> Result<()> {
        match self.shared.metrics.retried_infrastructure.get() {
            0 => Ok(()),
            _ => Err(anyhow!(
                "a plugin cannot be started any more, or its calls have no room"
            )),
        }
    }
}
