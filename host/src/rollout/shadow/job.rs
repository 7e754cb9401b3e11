//! The loop of a shadow of a job: lets the copies follow the job, and compares results.
//!
//! It reads the source and the checkpoints by itself, for the partitions that this host owns; the lanes say nothing but
//! which these are. It claims nothing, and writes nothing but its report
//! (`docs/adr/0033-a-shadow-follows-checkpoints.md`). When they are others, when the state of the job was
//! replaced, or a plugin beside the candidate, it begins anew with other copies.

use super::copies::{Copies, Ended};
use super::follow::{Follow, Milestone, now};
use super::work::{LOOK, Work};
use crate::compare::matcher::Matcher;
use crate::compare::report::Why;
use crate::compare::{Identity, Slot};
use crate::job::dry_run::{JobDryRun, Parts};
use crate::job::operate::Operated;
use crate::nats::attachment::Attachment;
use crate::nats::history::{Begin, History, Reader};
use crate::nats::job::JobPlace;
use crate::nats::shadows::Shadows;
use crate::nats::{self, Connection, job_admin, jobs};
use crate::process::outputs::Target;
use crate::rollout::shadow::note;
use anyhow::{Context, Result, anyhow};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// A shadow at work.
struct Busy {
    connection: Connection,
    name: String,
    copies: Copies,
    reader: Reader,
    /// Up to here the source is read.
    read: u64,
    /// Messages that are read at once.
    batch: usize,
    follow: Follow,
    /// Messages that have waited for a retry: when the job has ended them is not known.
    late: HashSet<u64>,
    /// Where the commits of all inputs up to the second stand, while the streams of the results may lack some of them.
    committed: Option<(u64, u64)>,
    milestone: Option<Milestone>,
    /// How often the state of the job was replaced.
    replaced: u64,
}

/// Works until it has to begin anew.
///
/// # Errors
/// When it cannot go on; [`TooLarge`](crate::job::observe::TooLarge) when the states do not fit.
pub(super) async fn attempt(
    work: &Work,
    attachment: &Arc<Attachment>,
    matcher: &mut Matcher,
) -> Result<()> {
    let place = attachment.ensured.job.as_ref().context("it is no job")?;
    let (beside, owned) = (work.beside(), place.progress.owned());
    matcher.restart();
    let mut busy = Busy::begin(work, place, &owned).await?;
    let reports = Shadows::open(&busy.connection, attachment.ensured.replicas).await?;
    note(&work.told, None);
    let operator = work.running()?;
    let metrics = &operator.settings.metrics;
    work.report(matcher.report(), metrics, &reports, true)
        .await?;
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            arrived = busy.follow.arrives(), if !owned.is_empty() && !matcher.is_full() => {
                busy.follow.tell(matcher, &arrived?);
            }
            () = std::future::ready(()), if busy.is_behind() && !matcher.is_ahead() => {
                busy.go_on(matcher).await?;
            }
            _ = tick.tick() => {
                let is_it = |other: &Arc<Attachment>| Arc::ptr_eq(other, attachment);
                if !work.pipeline.attachment().as_ref().is_some_and(is_it)
                    || work.beside() != beside
                    || place.progress.owned() != owned
                    || busy.is_replaced().await?
                {
                    return Ok(());
                }
                busy.look(matcher).await?;
                let changed = work.set_states(busy.copies.states(), metrics);
                work.report(matcher.report(), metrics, &reports, changed).await?;
            }
        }
        busy.settle(matcher);
    }
}

impl Busy {
    /// Copies the state of these partitions.
    async fn begin(work: &Work, place: &JobPlace, owned: &BTreeSet<u16>) -> Result<Self> {
        let settings = Arc::clone(&work.pipeline.settings);
        let (name, stream) = (&settings.name, &settings.source.stream);
        let connection = nats::connect(&settings.nats, &format!("{name}/shadow")).await?;
        let history = History::find(&connection, stream).await?;
        let history = history.ok_or_else(|| anyhow!("there is no stream `{stream}`"))?;
        let identity = Identity::of(&settings, &history.source_id)?;
        let replaced = job_admin::control(&connection, name).await?.0.replaced;
        // Before the copies: so it has all results of what they do not have.
        let follow = Follow::open(&connection, &settings, identity, None).await?;
        let job = Operated::open(&connection, name).await?;
        let max_payload = connection.client().max_payload();
        let dry_run = JobDryRun::new(Parts {
            chain: work.chain()?,
            target: Target::new(&settings, &history.captured, max_payload),
            settings: Arc::clone(&settings),
            source: history.source_id.as_str().into(),
        });
        let dry_run = Box::pin(dry_run).await?;
        let operator = settings.operators.get(work.operator);
        let most = operator.map_or(0, |operator| operator.rollout.shadow_bytes);
        let mut copies = Copies::new(job, dry_run, &settings, &history.source_id, most);
        copies.copy(owned.iter().copied(), now()).await?;
        let read = copies.positions().min().unwrap_or(history.last);
        let begin = Begin::Sequence(read + 1);
        let filters = place.reads.first();
        let filters = filters.map_or(&[][..], |reads| &reads.filters);
        Ok(Self {
            reader: history.read(filters, begin, u64::MAX).await?,
            read,
            batch: settings.batch.messages,
            name: name.clone(),
            connection,
            copies,
            follow,
            late: HashSet::new(),
            committed: None,
            milestone: None,
            replaced,
        })
    }

    /// Whether the state of the job was restored or set back.
    async fn is_replaced(&self) -> Result<bool> {
        let (control, _) = job_admin::control(&self.connection, &self.name).await?;
        Ok(control.replaced != self.replaced)
    }

    /// Whether the job has committed what is not processed here.
    fn is_behind(&self) -> bool {
        self.copies.is_behind() || self.is_to_read()
    }

    fn is_to_read(&self) -> bool {
        let target = self.copies.positions().max();
        target.is_some_and(|target| self.read < target) && self.copies.has_room()
    }

    /// Reads and processes some of what the job has committed.
    async fn go_on(&mut self, matcher: &mut Matcher) -> Result<()> {
        for _ in 0..self.batch {
            if !self.is_to_read() || !self.read_next().await? {
                break;
            }
        }
        let ended = self.copies.go_on(self.read).await?;
        self.answered(ended, matcher);
        Ok(())
    }

    /// Reads one message, if there is one. If not, all is read that the job has committed.
    async fn read_next(&mut self) -> Result<bool> {
        let target = self.copies.positions().max().unwrap_or_default();
        let mut next = self.reader.next().await?;
        if next.is_none() {
            // That was asked for before, perhaps, when there was none.
            next = self.reader.next().await?;
        }
        let through = match &next {
            Some(_) => self.reader.read_up_to(),
            None => target,
        };
        self.read = self.read.max(through);
        let found = next.is_some();
        next.into_iter().for_each(|stored| self.copies.take(stored));
        Ok(found)
    }

    fn answered(&mut self, ended: Vec<Ended>, matcher: &mut Matcher) {
        for Ended { first, messages } in ended {
            for (sequence, mut outputs) in messages {
                if !self.follow.dead_letters {
                    outputs.retain(|(slot, _)| *slot != Slot::DeadLetter);
                }
                if sequence < first {
                    self.late.insert(sequence);
                }
                matcher.answered(sequence, outputs);
            }
        }
        // What other hosts process, and what the copies have, is not answered here. What waits for a retry is, unless
        // it waits for too long.
        let answered = match matcher.is_full() {
            true => self.copies.processed(self.read),
            false => self.copies.ended(self.read),
        };
        matcher.pass(answered.unwrap_or_default());
    }

    /// Finds out where the job is.
    async fn look(&mut self, matcher: &mut Matcher) -> Result<()> {
        let looked = now();
        self.copies.look(looked).await?;
        let mut ended = self.copies.go_on(self.read).await?;
        while self.copies.begin_to_compare(looked).await? {
            ended.extend(self.copies.go_on(self.read).await?);
        }
        // Where the source has nothing more, the time of the job goes on by itself.
        if !self.is_behind() && self.copies.has_room() && !self.read_next().await? {
            ended.extend(self.copies.wait_until(looked).await?);
        }
        self.answered(ended, matcher);
        if self.milestone.is_some() {
            return Ok(());
        }
        let Some((fence, processed)) = self.committed else {
            let processed = self.copies.processed(self.read);
            self.committed = processed.map(|processed| (self.copies.fence(), processed));
            return Ok(());
        };
        let left = jobs::first_output(&self.connection, &self.name).await?;
        if left.is_none_or(|first| first > fence) {
            self.committed = None;
            let milestone = self.follow.milestone(processed, HashSet::new());
            self.milestone = Some(milestone.await?);
        }
        Ok(())
    }

    /// Ends the comparison of inputs of which the job has no further results.
    fn settle(&mut self, matcher: &mut Matcher) {
        let reached = |milestone: &mut Milestone| self.follow.has_reached(milestone);
        if let Some(Milestone { settled, .. }) = self.milestone.take_if(reached) {
            let late = |sequence: u64, _| self.late.contains(&sequence).then_some(Why::Unsettled);
            matcher.settle(settled, late);
            matcher.forget(settled);
            self.late.retain(|sequence| *sequence > settled);
        }
    }
}
