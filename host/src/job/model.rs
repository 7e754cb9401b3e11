//! A log in memory, with faults that a seed decides.
//!
//! A message to it is in transit until [`Model::deliver`] decides: it arrives, is lost, arrives twice, or
//! arrives long after its sender has given up or is gone. Answers can be lost, too. A replica that lags
//! behind may serve reads. Only the tests advance the time.

mod chance;
mod network;
mod published;
mod rules;
mod staged;

pub use chance::{Random, Tally};
pub use network::step;
pub use staged::Staged;

use network::{Request, Sent, answered};

use super::log::{
    Checkpoint, Commit, Delta, Fence, Held, Input, Log, LogError, Progress, Read, Snapshot, Stored,
};
use crate::message::Message;
use crate::outgoing::OutgoingMessage;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// A message of the log. None is ever taken out, so that a replica can be as it was before.
#[derive(Debug)]
struct Record {
    content: Content,
    sequence: u64,
    /// After how many changes it was there, and after how many it was not any more.
    added: u64,
    removed: u64,
}

#[derive(Debug)]
enum Content {
    Output(OutgoingMessage),
    Value(OutgoingMessage),
    Delta(Delta),
    Snapshot(Snapshot),
    Checkpoint(Checkpoint),
}

/// One log, with the inputs of its partition.
pub struct Model {
    pub random: RefCell<Random>,
    /// The time.
    pub now: Rc<Cell<u64>>,
    /// Whether nothing fails any more.
    pub calm: Cell<bool>,
    /// Messages of a commit that the log takes.
    limit: usize,
    pub inputs: RefCell<Vec<Vec<Message>>>,
    records: RefCell<Vec<Record>>,
    /// Changes so far.
    changes: Cell<u64>,
    last: RefCell<Option<Held>>,
    sent: RefCell<Vec<Sent>>,
    /// What a commit has violated that must not be stored.
    pub violation: RefCell<Option<String>>,
    /// What happened, to see that it did.
    pub tally: RefCell<Tally>,
}

impl Model {
    /// The payload of a message for another partition.
    pub const OTHERS: Bytes = Bytes::new();

    pub fn new(seed: u64, inputs: usize, limit: usize) -> Self {
        Self {
            random: RefCell::new(Random::new(seed)),
            now: Rc::default(),
            calm: Cell::new(false),
            limit,
            inputs: RefCell::new(vec![Vec::new(); inputs]),
            records: RefCell::default(),
            changes: Cell::new(0),
            last: RefCell::default(),
            sent: RefCell::default(),
            violation: RefCell::default(),
            tally: RefCell::default(),
        }
    }

    fn once_in(&self, of: usize) -> bool {
        !self.calm.get() && self.random.borrow_mut().once_in(of)
    }

    /// Takes records out, as of the next change.
    fn remove(&self, which: impl Fn(&Record) -> bool) {
        let change = self.changes.get() + 1;
        self.changes.set(change);
        let mut purged = 0;
        for record in &mut *self.records.borrow_mut() {
            if record.removed == u64::MAX && which(record) {
                record.removed = change;
                purged += 1;
            }
        }
        self.tally.borrow_mut().purged += purged;
    }

    fn store(&self, expected: Fence, commit: &Commit) -> Result<Fence, LogError> {
        let last = self.last.borrow().clone();
        let fence = last.as_ref().map_or(Fence::default(), |held| held.fence);
        if expected != fence {
            self.tally.borrow_mut().refused += 1;
            return Err(LogError::WrongFence);
        }
        if commit.outputs.len() + commit.dead_letters.len() + commit.views.len() + 2 > self.limit {
            return Err(LogError::TooLarge("it is too large".to_owned()));
        }
        let before = last.map(|held| held.checkpoint).unwrap_or_default();
        let follows = rules::follows(&before, commit);
        let inputs = self.inputs.borrow();
        let follows = follows.and_then(|()| rules::is_not_ahead(&commit.checkpoint, &inputs));
        if let Err(why) = follows {
            *self.violation.borrow_mut() = Some(why);
        }
        {
            let mut tally = self.tally.borrow_mut();
            match before.epoch == commit.checkpoint.epoch {
                true => tally.commits += 1,
                false => tally.claims += 1,
            }
            tally.snapshots += commit.snapshots.len() as u64;
        }
        let groups: Vec<u16> = commit.snapshots.iter().map(|taken| taken.group).collect();
        self.remove(|record| match &record.content {
            Content::Snapshot(old) => groups.contains(&old.group),
            Content::Checkpoint(_) => true,
            _ => false,
        });
        let number = commit.checkpoint.log;
        let delta = |content: &bytes::Bytes| Delta {
            number,
            content: content.clone(),
        };
        let results = commit.outputs.iter().chain(&commit.dead_letters);
        let contents = results
            .map(|output| Content::Output(output.clone()))
            .chain(commit.views.iter().cloned().map(Content::Value))
            .chain(
                commit
                    .delta
                    .iter()
                    .map(|content| Content::Delta(delta(content))),
            )
            .chain(
                commit
                    .snapshots
                    .iter()
                    .map(|taken| Content::Snapshot(taken.clone())),
            )
            .chain([Content::Checkpoint(commit.checkpoint.clone())]);
        let mut records = self.records.borrow_mut();
        let mut sequence = records.len() as u64;
        for content in contents {
            sequence += 1;
            let (added, removed) = (self.changes.get(), u64::MAX);
            records.push(Record {
                content,
                sequence,
                added,
                removed,
            });
        }
        let fence = Fence(sequence);
        let checkpoint = commit.checkpoint.clone();
        *self.last.borrow_mut() = Some(Held { fence, checkpoint });
        Ok(fence)
    }

    /// After how many changes a replica is that answers now.
    fn view(&self) -> u64 {
        let changes = self.changes.get();
        if !self.once_in(4) {
            return changes;
        }
        self.tally.borrow_mut().lagging += 1;
        changes.saturating_sub(self.random.borrow_mut().below(8) as u64)
    }

    /// What a reading of snapshots or deltas finds next, with its sequence.
    fn record(&self, view: u64, deltas: bool, behind: u64) -> Option<(u64, Stored)> {
        let records = self.records.borrow();
        let mut there = records.iter().skip(behind as usize);
        there.find_map(|record| {
            if record.added > view || view >= record.removed {
                return None;
            }
            let stored = match &record.content {
                Content::Snapshot(snapshot) if !deltas => Stored::Snapshot(snapshot.clone()),
                Content::Delta(delta) if deltas => {
                    Stored::Delta(delta.clone(), Fence(record.sequence + 1))
                }
                Content::Checkpoint(checkpoint) => Stored::Checkpoint(Held {
                    fence: Fence(record.sequence),
                    checkpoint: checkpoint.clone(),
                }),
                _ => return None,
            };
            Some((record.sequence, stored))
        })
    }

    /// Reads records from a place on, perhaps those of a replica that lags behind.
    async fn reading(
        &self,
        deltas: bool,
        from: Fence,
        upto: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        step().await;
        let (mut view, mut behind) = (self.view(), from.0.saturating_sub(1));
        loop {
            let Some((sequence, stored)) = self.record(view, deltas, behind) else {
                // Nothing more comes, or the replica catches up.
                let is_all = view == self.changes.get();
                if upto == Fence(u64::MAX) && (is_all || self.once_in(2)) {
                    // Nothing may be heard for a while, and what is purged meanwhile is never heard of.
                    let silent = self.random.borrow_mut().below(24);
                    for _ in 0..=silent {
                        step().await;
                    }
                    view = self.changes.get();
                    continue;
                } else if is_all || self.once_in(2) {
                    return Ok(());
                }
                view = self.changes.get().min(view + 1);
                continue;
            };
            behind = sequence;
            let is_end = matches!(&stored, Stored::Checkpoint(held) if held.fence >= upto);
            take(stored)?;
            if is_end {
                return Ok(());
            }
            if self.once_in(4) {
                view = self.changes.get().min(view + 1);
            }
            if self.once_in(16) {
                step().await;
            }
            if self.once_in(64) {
                return Err(LogError::Busy("the connection was lost".to_owned()));
            }
        }
    }

    /// All that a reading finds now.
    fn records(&self, deltas: bool) -> impl Iterator<Item = Stored> {
        let mut behind = 0;
        std::iter::from_fn(move || {
            let (sequence, stored) = self.record(self.changes.get(), deltas, behind)?;
            behind = sequence;
            Some(stored)
        })
    }

    /// The log as it is.
    pub fn content(&self) -> (Option<Held>, Vec<Stored>) {
        let stored = self.records(false).chain(self.records(true));
        (self.last.borrow().clone(), stored.collect())
    }

    /// Whether all of the inputs has been processed.
    pub fn is_read(&self) -> bool {
        let last = self.last.borrow();
        let inputs = self.inputs.borrow();
        last.as_ref().is_some_and(|held| {
            let mut inputs = held.checkpoint.inputs.iter().zip(&*inputs);
            inputs.all(|(progress, input)| progress.position >= input.len() as u64)
        })
    }
}

impl Log for Model {
    type Staged = Staged;

    async fn checkpoint(&self) -> Result<Option<Held>, LogError> {
        step().await;
        if self.once_in(16) {
            return Err(LogError::Busy("an election".to_owned()));
        }
        let view = self.view();
        if view == self.changes.get() {
            return Ok(self.last.borrow().clone());
        }
        let records = self.records.borrow();
        let mut there = records
            .iter()
            .filter(|it| it.added <= view && view < it.removed);
        Ok(there.find_map(|record| match &record.content {
            Content::Checkpoint(checkpoint) => Some(Held {
                fence: Fence(record.sequence),
                checkpoint: checkpoint.clone(),
            }),
            _ => None,
        }))
    }

    fn stage(&self, staged: &mut Staged, gathered: &Commit) {
        staged.add(gathered, |new| self.random.borrow_mut().below(new + 1));
    }

    async fn commit(
        &self,
        expected: Fence,
        commit: &Commit,
        staged: Staged,
    ) -> Result<Fence, LogError> {
        let commit = Rc::new(self.complete(staged, commit).await?);
        answered(self.send(Request::Commit(expected, commit))).await
    }

    async fn recover(
        &self,
        claim: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.reading(false, Fence(1), claim, take).await?;
        self.reading(true, Fence(1), claim, take).await
    }

    async fn follow(
        &self,
        from: Fence,
        upto: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.reading(true, from, upto, take).await
    }

    async fn read(&self, behind: &[Progress], most: usize) -> Result<Read, LogError> {
        poll_fn(|_| {
            if self.once_in(64) {
                return Poll::Ready(Err(LogError::Busy("the connection was lost".to_owned())));
            }
            let mut read = Read::default();
            for (input, (progress, messages)) in
                behind.iter().zip(&*self.inputs.borrow()).enumerate()
            {
                let come = messages.get(progress.position as usize..);
                let come = come.unwrap_or_default();
                let mine = come
                    .iter()
                    .filter(|message| message.payload != Self::OTHERS);
                let most = most - read.messages.len();
                let most = self.random.borrow_mut().below(most + 1);
                if !come.is_empty() && mine.clone().next().is_none() {
                    read.passed.push((input, messages.len() as u64));
                }
                let mine = mine.take(most).cloned();
                read.messages.extend(mine.map(|message| Input {
                    input,
                    message,
                    stored: 0,
                    timed: true,
                }));
            }
            if !read.messages.is_empty() {
                read.passed.clear();
            }
            match read == Read::default() {
                true => Poll::Pending,
                false => Poll::Ready(Ok(read)),
            }
        })
        .await
    }

    async fn idle(&self, behind: &[Progress]) {
        let has_mine = |(progress, messages): (&Progress, &Vec<Message>)| {
            let come = messages.get(progress.position as usize..);
            let mut come = come.unwrap_or_default().iter();
            come.any(|message| message.payload != Self::OTHERS)
        };
        poll_fn(|_| {
            let any = behind.iter().zip(&*self.inputs.borrow()).any(has_mine);
            match any || self.once_in(4) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
    }

    async fn purge(&self, before: Fence) -> Result<(), LogError> {
        answered(self.send(Request::Purge(before))).await.map(drop)
    }
}
