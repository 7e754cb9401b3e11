//! The loop of a shadow of a job: lets the copies follow the job, and compares results.
//!
//! It reads the source and the checkpoints itself, for the partitions that this host owns; the lanes only say
//! which these are. It claims nothing, and writes only its report
//! (`docs/adr/0033-a-shadow-follows-checkpoints.md`). It starts again with new copies if the host gets other
//! partitions, the state of the job is replaced, or a plugin beside the candidate is swapped.

use super::copies::{Copies, Ended};
use super::follow::{Follow, Milestone, Unnamed, now};
use super::work::{LOOK, Work};
use crate::compare::Identity;
use crate::compare::matcher::Matcher;
use crate::compare::report::Why;
use crate::job::dry_run::{JobDryRun, Parts};
use crate::job::operate::Operated;
use crate::nats::attachment::Attachment;
use crate::nats::history::{Begin, History, Reader};
use crate::nats::job::JobPlace;
use crate::nats::shadows::Shadows;
use crate::nats::{self, Connection, job, job_admin, jobs};
use crate::process::outputs::Target;
use crate::rollout::shadow::note;
use anyhow::{Context, Result, anyhow};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// How many times all has to be known of both sides until it is a difference that one of them lacks an output which no input
/// names. At the first, the output may have come behind what is known; and timers of the shadow are up to a second
/// later.
const ROUNDS: u32 = 4;

/// A shadow at work.
struct Busy {
    connection: Connection,
    name: String,
    copies: Copies,
    readers: Vec<Reader>,
    /// Up to here each source is read.
    read: Vec<u64>,
    /// Messages that are read at once.
    batch: usize,
    follow: Follow,
    /// Messages that have waited for a retry: when the job has ended them is not known.
    late: HashSet<u64>,
    /// No input names any of the outputs: in which order the job has read several streams is not known, nor which message
    /// ends a window.
    is_unnamed: bool,
    committed: Option<Committed>,
    milestone: Option<(Milestone, bool)>,
    /// How often the state of the job was replaced.
    replaced: u64,
}

/// What the job was seen to have committed, while the streams of the results may lack some of it.
struct Committed {
    /// Where the last checkpoint stands.
    fence: u64,
    /// Up to where the first source is processed here, and whether all is that the job was seen to have committed before.
    processed: u64,
    is_level: bool,
}

/// Works until it must start again.
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
        let name = &settings.name;
        let connection = nats::connect(&settings.nats, &format!("{name}/shadow")).await?;
        let mut histories = Vec::new();
        for stream in settings.streams() {
            let history = History::find(&connection, stream).await?;
            histories.push(history.ok_or_else(|| anyhow!("there is no stream `{stream}`"))?);
        }
        let identities = histories.iter();
        let identities = identities.map(|it| Identity::of(&settings, &it.source_id));
        let identities: Vec<Identity> = identities.collect::<Result<_>>()?;
        let identity = identities.first().context("nothing is read")?.clone();
        let replaced = job_admin::control(&connection, name).await?.0.replaced;
        // Before the copies: so it has all results of what they do not have.
        let mut follow = Follow::open(&connection, &settings, identity, None).await?;
        let job = Operated::open(&connection, name).await?;
        let max_payload = connection.client().max_payload();
        let captured = histories.iter().flat_map(|it| it.captured.clone());
        let captured: Vec<String> = captured.collect();
        let sources = histories.iter().map(|it| it.source_id.as_str().into());
        let sources: Vec<Arc<str>> = sources.collect();
        let dry_run = JobDryRun::new(Parts {
            chain: work.chain()?,
            target: Target::new(&settings, &captured, max_payload),
            settings: Arc::clone(&settings),
            sources: sources.clone(),
        });
        let dry_run = Box::pin(dry_run).await?;
        let operator = settings.operators.get(work.operator);
        let most = operator.map_or(0, |operator| operator.rollout.shadow_bytes);
        let mut copies = Copies::new(job, dry_run, &settings, sources, most);
        copies.copy(owned.iter().copied(), now()).await?;
        let is_unnamed = histories.len() > 1 || settings.has_windows();
        follow.unnamed = Some(Unnamed {
            job: job::names(name).1,
            identities,
            is_all: is_unnamed,
            copied: copies.fences(),
            is_whole: copies.are_all(),
        });
        let (mut readers, mut read) = (Vec::new(), Vec::new());
        for (source, history) in histories.iter().enumerate() {
            let behind = copies.positions(source).min().unwrap_or(history.last);
            let mut reads = place.reads.iter();
            let filters = reads.find(|reads| reads.of == history.name);
            let filters = filters.map_or(&[][..], |reads| &reads.filters);
            let begin = Begin::Sequence(behind + 1);
            readers.push(history.read(filters, begin, u64::MAX).await?);
            read.push(behind);
        }
        Ok(Self {
            readers,
            read,
            batch: settings.batch.messages,
            name: name.clone(),
            connection,
            copies,
            follow,
            late: HashSet::new(),
            is_unnamed,
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
        self.copies.is_behind() || self.to_read().next().is_some()
    }

    /// The sources of which something is to be read that the job has committed.
    fn to_read(&self) -> impl Iterator<Item = usize> {
        let read = self.read.iter().enumerate();
        read.filter_map(|(source, read)| {
            let target = self.copies.positions(source).max();
            let is_behind = target.is_some_and(|target| *read < target);
            (is_behind && self.copies.has_room()).then_some(source)
        })
    }

    /// Reads and processes some of what the job has committed.
    async fn go_on(&mut self, matcher: &mut Matcher) -> Result<()> {
        for _ in 0..self.batch {
            let sources: Vec<usize> = self.to_read().collect();
            if sources.is_empty() || !self.read_next(&sources).await? {
                break;
            }
        }
        let ended = self.copies.go_on(&self.read).await?;
        self.answered(ended, matcher);
        Ok(())
    }

    /// Reads one message of each of these sources, if there is one; whether there was any. If not, all of a source is read
    /// that the job has committed.
    async fn read_next(&mut self, sources: &[usize]) -> Result<bool> {
        let mut found = false;
        for source in sources {
            let target = self.copies.positions(*source).max().unwrap_or_default();
            let reader = self.readers.get_mut(*source);
            let Some((reader, read)) = reader.zip(self.read.get_mut(*source)) else {
                continue;
            };
            let mut next = reader.next().await?;
            if next.is_none() {
                // That was asked for before, perhaps, when there was none.
                next = reader.next().await?;
            }
            let through = match &next {
                Some(_) => reader.read_up_to(),
                None => target,
            };
            *read = through.max(*read);
            found |= next.is_some();
            next.into_iter()
                .for_each(|stored| self.copies.take(*source, stored));
        }
        Ok(found)
    }

    fn answered(&mut self, ended: Vec<Ended>, matcher: &mut Matcher) {
        for Ended {
            first,
            messages,
            of_timers,
        } in ended
        {
            let of_timers = of_timers.into_iter();
            of_timers
                .filter(|line| self.follow.compares(line))
                .for_each(|line| matcher.answered_unnamed(line));
            for (message, mut outputs) in messages {
                outputs.retain(|(_, line)| self.follow.compares(line));
                if self.is_unnamed {
                    matcher.answered_any(message, outputs);
                    continue;
                }
                let (_, sequence) = message;
                if sequence < first {
                    self.late.insert(sequence);
                }
                matcher.answered(sequence, outputs);
            }
        }
        if self.is_unnamed {
            return;
        }
        // What other hosts process, and what the copies have, is not answered here. What waits for a retry is, unless
        // it waits for too long.
        let read = self.read.first().copied().unwrap_or_default();
        let answered = match matcher.is_full() {
            true => self.copies.processed(read),
            false => self.copies.ended(read),
        };
        matcher.pass(answered.unwrap_or_default());
    }

    /// Finds out where the job is.
    async fn look(&mut self, matcher: &mut Matcher) -> Result<()> {
        let (looked, is_level) = (now(), !self.is_behind());
        self.copies.look(looked).await?;
        let mut ended = self.copies.go_on(&self.read).await?;
        while self.copies.begin_to_compare(looked).await? {
            ended.extend(self.copies.go_on(&self.read).await?);
        }
        // Where the sources have nothing more, the time of the job goes on by itself.
        let all: Vec<usize> = (0..self.read.len()).collect();
        let is_idle = !self.is_behind() && self.copies.has_room() && !self.read_next(&all).await?;
        let now = is_idle.then_some(looked);
        ended.extend(self.copies.wait(&self.read, now).await?);
        self.answered(ended, matcher);
        if self.milestone.is_some() {
            return Ok(());
        }
        let Some(committed) = &self.committed else {
            let read = self.read.first().copied().unwrap_or_default();
            let processed = self.copies.processed(read);
            self.committed = processed.map(|processed| Committed {
                fence: self.copies.fence(),
                processed,
                is_level,
            });
            return Ok(());
        };
        let left = jobs::first_output(&self.connection, &self.name).await?;
        if left.is_none_or(|first| first > committed.fence) {
            let (processed, is_level) = (committed.processed, committed.is_level);
            self.committed = None;
            let milestone = self.follow.milestone(processed, HashSet::new());
            self.milestone = Some((milestone.await?, is_level));
        }
        Ok(())
    }

    /// Ends the comparison of inputs of which the job has no further results.
    fn settle(&mut self, matcher: &mut Matcher) {
        let reached = |it: &mut (Milestone, bool)| self.follow.has_reached(&it.0);
        if let Some((Milestone { settled, .. }, is_level)) = self.milestone.take_if(reached) {
            let late = |sequence: u64, _| self.late.contains(&sequence).then_some(Why::Unsettled);
            matcher.settle(settled, late);
            matcher.forget(settled);
            self.late.retain(|sequence| *sequence > settled);
            if is_level {
                matcher.settle_unnamed(ROUNDS, |_| None);
            }
        }
    }
}
