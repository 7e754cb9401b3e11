//! The loop of a shadow: calls the candidate, reads the live side, compares, reports.

use crate::compare::matcher::{Matcher, Room};
use crate::compare::report::{Report, SAMPLES, States, Why};
use crate::compare::{Identity, Slot};
use crate::config::resolved::{Bounds, Pipeline};
use crate::delivery::settle::Observer;
use crate::delivery::source::{Delivery, Ended, Source};
use crate::delivery::ticket::Ticket;
use crate::job::observe::TooLarge;
use crate::nats::attachment::Attachment;
use crate::nats::history::History;
use crate::nats::shadows::{self, ShadowReport, Shadows};
use crate::nats::streams::{self, Durable};
use crate::nats::wire::Wire;
use crate::nats::{self, Connection, consumers};
use crate::plugin::{Plugin, Runtime};
use crate::process::chain::Chain;
use crate::process::dry_run::DryRun;
use crate::process::outputs::Target;
use crate::process::plugin_set::OperatorVersion;
use crate::rollout::shadow::follow::{Follow, Milestone};
use crate::rollout::shadow::{LONGEST, PAUSE, job, note};
use crate::rollout::target::RolloutTarget;
use crate::shutdown::{Stage, Stages, reached};
use crate::telemetry::metrics::{Counter, Metrics, OperatorMetrics};
use crate::threads::locked;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often the live pipeline is looked at, and the report written if it has changed.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// An input that the live pipeline has not settled for this long is released, well before the server would
/// deliver it to another host.
const PATIENCE: Duration = Duration::from_secs(120);
/// What may wait on each side.
const ROOM: Room = Room {
    outputs: 4 * shadows::MOST,
    bytes: 64 << 20,
};

/// The parts of a shadow.
pub(crate) struct Work {
    pub(crate) pipeline: Arc<RolloutTarget>,
    pub(crate) runtime: Runtime,
    pub(crate) operator: usize,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) told: Arc<Mutex<ShadowReport>>,
}

/// A shadow at work.
struct Busy {
    connection: Connection,
    settings: Arc<Pipeline>,
    live: Durable,
    durable: Durable,
    source: Source,
    dry_run: DryRun,
    follow: Follow,
    observer: Observer,
    /// The tickets of the inputs that are not compared yet, with their times.
    tickets: BTreeMap<u64, (Ticket, Instant)>,
    milestone: Option<Milestone>,
}

impl Work {
    /// Works until it is stopped; starts again after an error.
    pub(crate) async fn run(self, stages: &mut Stages) {
        tokio::select! {
            () = self.attempts() => {}
            () = reached(stages, Stage::Soft) => {}
        }
        if let Ok(running) = self.running() {
            running.settings.metrics.shadow_state_differences.set(0);
        }
    }

    /// Never ends.
    async fn attempts(&self) {
        let mut matcher = Matcher::new(ROOM, SAMPLES);
        let mut pause = PAUSE;
        loop {
            let ended =
                self.attempt(&mut matcher)
                    .await
                    .map_err(|error| match error.is::<TooLarge>() {
                        true => error.context("it has ended (`rollout.shadow-max-bytes`)"),
                        false => error,
                    });
            note(&self.told, ended.as_ref().err());
            pause = match &ended {
                Ok(()) => PAUSE,
                Err(_) => {
                    // Where the server takes no report, the log has it.
                    let _ = self.tell().await;
                    (pause * 2).min(LONGEST)
                }
            };
            if ended.is_err_and(|error| error.is::<TooLarge>()) {
                return std::future::pending().await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Writes the report.
    async fn tell(&self) -> Result<()> {
        let attachment = self.pipeline.attachment().context("there is no server")?;
        let replicas = attachment.ensured.replicas;
        let reports = Shadows::open(&attachment.connection, replicas).await?;
        let told = locked(&self.told).clone();
        reports.write(&told).await
    }

    async fn attempt(&self, matcher: &mut Matcher) -> Result<()> {
        let attachment = self
            .pipeline
            .attachment()
            .context("the pipeline has not started")?;
        if self.pipeline.settings.job.is_some() {
            return job::attempt(self, &attachment, matcher).await;
        }
        let beside = self.beside();
        let mut busy = self.begin(&attachment).await?;
        let reports = Shadows::open(&busy.connection, attachment.ensured.replicas).await?;
        note(&self.told, None);
        let operator = self.running()?;
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.report(matcher.report(), &operator.settings.metrics, &reports, true)
            .await?;
        loop {
            let room = busy.room();
            let most = busy.settings.batch.messages;
            tokio::select! {
                pulled = busy.source.pull(room, most), if room.messages > 0 => {
                    busy.answer(matcher, pulled).await?;
                }
                arrived = busy.follow.arrives(), if !matcher.is_full() => {
                    busy.follow.tell(matcher, &arrived?);
                }
                _ = tick.tick() => {
                    if self.beside() != beside {
                        // The chain around the candidate has changed: a new one is made.
                        return busy.acknowledge(u64::MAX - 1).await;
                    }
                    busy.look(matcher).await?;
                    self.report(matcher.report(), &operator.settings.metrics, &reports, false).await?;
                }
            }
            busy.advance(matcher).await?;
        }
    }

    /// The digests of the operators that the candidate is not tried for.
    pub(super) fn beside(&self) -> Vec<String> {
        let plugins = self.pipeline.versions.plugins();
        let others = (0..plugins.operators()).filter(|index| *index != self.operator);
        let digest = |index| Some(plugins.get(index)?.plugin.digest().to_owned());
        others.filter_map(digest).collect()
    }

    /// What runs where the candidate is tried.
    pub(super) fn running(&self) -> Result<OperatorVersion> {
        let plugins = self.pipeline.versions.plugins();
        let running = plugins.get(self.operator).cloned();
        running.context("there is no such operator")
    }

    /// The chain of the pipeline with the candidate.
    pub(super) fn chain(&self) -> Result<Chain> {
        let mut plugins = self.pipeline.versions.plugins();
        let settings = Arc::clone(&self.running()?.settings);
        let candidate = OperatorVersion::new(Arc::clone(&self.plugin), settings);
        plugins.replace(self.operator, candidate);
        let workers = plugins.apart().workers(&self.runtime);
        Ok(Chain::new(workers, self.pipeline.settings.batch))
    }

    /// Connects, finds or makes the consumer, and warms the candidate.
    async fn begin(&self, attachment: &Attachment) -> Result<Busy> {
        let settings = Arc::clone(&self.pipeline.settings);
        let purpose = format!("{}/shadow", settings.name);
        let connection = nats::connect(&settings.nats, &purpose).await?;
        let name = &settings.source.stream;
        let source = History::find(&connection, name).await?;
        let source = source.ok_or_else(|| anyhow!("there is no stream `{name}`"))?;
        let operator = settings.operators.get(self.operator);
        let operator = operator.context("there is no such operator")?;
        let identity = Identity::of(&settings, &source.source_id)?;
        let digest = self.plugin.digest();
        let consumer =
            shadows::ensure_consumer(&connection, &settings, &operator.name, digest).await?;
        let durable = consumer.durable().clone();
        locked(&self.told).run = u64::try_from(durable.created / 1_000_000).unwrap_or_default();
        let begin = Follow::behind(&source, durable.settled).await?;
        let follow = Follow::open(&connection, &settings, identity, Some(begin)).await?;
        let chain = self.chain()?;
        let max_payload = connection.client().max_payload();
        let target = Target::new(&settings, &source.captured, max_payload);
        let mut dry_run = DryRun::new(&settings, chain, &source.source_id, target);
        dry_run.warm().await?;
        // What the shadow does is no part of what the pipeline counts.
        let apart = Metrics::new().pipeline(&settings.name);
        let wire = Wire::connect(&settings.nats, &purpose, Counter::default()).await?;
        let source = Source::open(wire.clone(), &durable, Arc::clone(&apart));
        Ok(Busy {
            live: attachment.ensured.source.clone(),
            observer: Observer::new(wire, apart, &consumer),
            settings,
            durable,
            source,
            dry_run,
            follow,
            connection,
            tickets: BTreeMap::new(),
            milestone: None,
        })
    }

    /// How the states compare; whether that is new.
    pub(super) fn set_states(
        &self,
        states: BTreeMap<u16, States>,
        metrics: &OperatorMetrics,
    ) -> bool {
        let different: u64 = states.values().map(|states| states.different).sum();
        let different = i64::try_from(different).unwrap_or(i64::MAX);
        metrics.shadow_state_differences.set(different);
        let mut told = locked(&self.told);
        let is_new = told.states != states;
        told.states = states;
        is_new
    }

    /// Counts what is new, and writes the report if it has changed.
    pub(super) async fn report(
        &self,
        found: &Report,
        metrics: &OperatorMetrics,
        reports: &Shadows,
        always: bool,
    ) -> Result<()> {
        let whole = {
            let mut told = locked(&self.told);
            let before = &told.comparison;
            let grown = |now: u64, before: u64| now.saturating_sub(before);
            let compared = grown(found.compared(), before.compared());
            let different = grown(found.different, before.different);
            let left = grown(found.not_compared.total(), before.not_compared.total());
            metrics.shadow_compared.inc_by(compared);
            metrics.shadow_differences.inc_by(different);
            metrics.shadow_not_compared.inc_by(left);
            if found.inputs == before.inputs && compared + left == 0 && !always {
                return Ok(());
            }
            told.comparison = found.clone();
            told.clone()
        };
        reports.write(&whole).await
    }
}

impl Busy {
    /// What may be pulled besides what waits to be compared.
    fn room(&self) -> Bounds {
        let in_flight = self.settings.in_flight;
        let left = shadows::MOST.saturating_sub(self.tickets.len());
        Bounds {
            messages: in_flight.messages.min(left),
            bytes: in_flight.bytes.max(self.source.least_bytes()),
        }
    }

    /// Calls the candidate with what has come.
    async fn answer(
        &mut self,
        matcher: &mut Matcher,
        pulled: Result<Vec<Delivery>, Ended>,
    ) -> Result<()> {
        let deliveries = pulled.map_err(|ended| match ended {
            Ended::Gone(why) => anyhow!(why),
            Ended::Refused(why) => anyhow!(why),
            Ended::Drained => anyhow!("the subscription has ended"),
        });
        let deliveries = deliveries.context("cannot pull from the consumer of the shadow")?;
        if self.source.is_doubtful() {
            if !consumers::is_the_same(&self.connection, &self.durable).await? {
                return Err(anyhow!("the consumer of the shadow is gone"));
            }
            self.source.trust();
        }
        let now = Instant::now();
        let mut batch = Vec::with_capacity(deliveries.len());
        for Delivery {
            mut message,
            ticket,
            ..
        } in deliveries
        {
            // How often the shadow was given it says nothing of the live pipeline.
            message.attempt = 1;
            self.tickets.insert(message.sequence, (ticket, now));
            batch.push(message);
        }
        let sequences: Vec<u64> = batch.iter().map(|message| message.sequence).collect();
        let answers = self.dry_run.run(batch).await?;
        for (sequence, mut outputs) in sequences.into_iter().zip(answers) {
            if !self.follow.dead_letters {
                outputs.retain(|(slot, _)| *slot != Slot::DeadLetter);
            }
            matcher.answered(sequence, outputs);
        }
        Ok(())
    }

    /// Asks for the position of the live pipeline, unless the previous position is not reached yet; releases
    /// inputs that have waited too long.
    async fn look(&mut self, matcher: &mut Matcher) -> Result<()> {
        if self.milestone.is_none() {
            let live = &self.live;
            let look = self.follow.look(&self.connection, &self.settings, live);
            self.milestone = Some(look.await?);
        }
        let late = |since: &Instant| since.elapsed() > PATIENCE;
        let tickets = self.tickets.iter().rev();
        let mut tickets = tickets.filter(|(_, (_, since))| late(since));
        if let Some((through, _)) = tickets.next() {
            let through = *through;
            matcher.settle(through, |_, _| Some(Why::Unsettled));
            self.acknowledge(through).await?;
        }
        let context = streams::jetstream(&self.connection);
        if let Some(own) = consumers::info(&context, &self.durable).await? {
            // All of these were answered, here or on another host.
            matcher.pass(own.ack_floor.stream_sequence);
            matcher.forget(own.ack_floor.stream_sequence);
        }
        Ok(())
    }

    /// Settles what is compared.
    async fn advance(&mut self, matcher: &mut Matcher) -> Result<()> {
        let reached = |milestone: &mut Milestone| self.follow.has_reached(milestone);
        if let Some(milestone) = self.milestone.take_if(reached) {
            matcher.settle(milestone.settled, |sequence, slot| {
                milestone.judge(sequence, slot)
            });
            self.acknowledge(milestone.settled).await?;
        }
        Ok(())
    }

    async fn acknowledge(&mut self, through: u64) -> Result<()> {
        let rest = self.tickets.split_off(&(through + 1));
        for (_, (ticket, _)) in std::mem::replace(&mut self.tickets, rest) {
            self.observer.done(ticket);
        }
        Ok(())
    }
}
