//! The work of one partition: the processor of its lane, on a state of its own. START HERE.
//!
//! A batch becomes effects and writes. If a plugin asks for a retry, the message waits in the state, and so
//! do the messages behind it: those of its key, or all with `order: stream`
//! (`docs/adr/0023-what-a-commit-holds.md`). `due.rs` processes what is due. Knows no log and no broker.

mod due;
mod judged;
mod kept;
mod noted;
#[cfg(test)]
mod tests;
mod timed;
mod viewed;

use super::clock::{PartitionClock, nanoseconds};
use super::held::waits_for;
use super::log::{Checkpoint, Input, Progress, Snapshot};
use super::shared::{Counts, Shared};
use super::watermarks::Watermarks;
use super::work::{Effects, Room, Unreadable, Unsealed, Work};
use crate::config::resolved::Order;
use crate::outgoing::OutgoingMessage;
use crate::process::chain::Retry;
use crate::process::disposition::Disposition;
use crate::state::{
    Corrupt, Group, Groups, Location, Mark, Operator, Savepoint, SharedState, Usage,
};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use viewed::Filling;

/// See the top of this file.
pub struct Processing {
    shared: Rc<Shared>,
    groups: Groups,
    state: SharedState,
    /// Where it is kept, if it is kept on disk, and why it cannot be.
    disk: Option<Location>,
    unusable: Option<String>,
    clock: Rc<PartitionClock>,
    /// `<stream>@<incarnation>` of each input.
    sources: Vec<ByteString>,
    watermarks: Watermarks,
    /// The operators of the chain, as the state knows them.
    operators: Vec<Operator>,
    /// Whether any of the plugins has state, as of the last call.
    is_stateful: bool,
    /// Before the last batch: the state, what has gathered, and the watermarks.
    before: (Savepoint, Counts, Watermarks),
    /// Of what has gathered, and of the commit in flight.
    gathered: Counts,
    in_flight: Counts,
    /// When the messages of both were stored.
    stored: (Vec<u64>, Vec<u64>),
    /// Whether something has gathered, and whether a commit is in flight.
    uncommitted: (bool, bool),
    /// Whether messages wait in the state.
    waits: bool,
    /// When the commit in flight was made.
    sealed: Option<Instant>,
    /// What the state was said to take.
    usage: Usage,
    filling: Filling,
}

impl Processing {
    /// That of the partition with these groups.
    ///
    /// # Errors
    /// More than 4,095 operators.
    pub fn new(shared: Rc<Shared>, groups: Groups) -> Result<Self, Corrupt> {
        Ok(Self {
            state: SharedState::new(kept::empty(&shared, &groups)?),
            disk: None,
            unusable: None,
            shared,
            groups,
            clock: Rc::default(),
            sources: Vec::new(),
            watermarks: Watermarks::default(),
            operators: Vec::new(),
            is_stateful: false,
            before: (Savepoint(0), Counts::default(), Watermarks::default()),
            gathered: Counts::default(),
            in_flight: Counts::default(),
            stored: Default::default(),
            uncommitted: (false, false),
            waits: false,
            sealed: None,
            usage: Usage::default(),
            filling: Filling::default(),
        })
    }

    /// By which its due entries are due.
    #[must_use]
    pub fn clock(&self) -> Rc<PartitionClock> {
        Rc::clone(&self.clock)
    }

    /// A batch begins.
    fn start(&mut self) {
        let mut state = self.state.lock();
        let now = self.clock.now_after(state.now());
        state.begin(now);
        state.keep();
        self.before = (state.savepoint(), self.gathered, self.watermarks.clone());
        drop(state);
        self.mark((true, self.uncommitted.1));
    }

    /// Processes messages of which none has to wait for another.
    async fn run(&mut self, mut left: Vec<&Input>, effects: &mut Effects) {
        let begin = self.state.lock().savepoint();
        let mut waiting: Vec<(&Input, Option<Retry>)> = Vec::new();
        loop {
            let dispositions = self.dispose(&left, 0).await;
            let mut keys: HashSet<&str> = HashSet::new();
            let mut ended = Vec::with_capacity(left.len());
            let (mut any_retry, mut any_behind) = (false, false);
            for (input, disposition) in left.into_iter().zip(dispositions) {
                let key = waits_for(self.shared.order, &input.message);
                match disposition {
                    Disposition::Retry(retry) => {
                        any_retry = true;
                        keys.extend(key);
                        waiting.push((input, Some(retry)));
                    }
                    _ if key.is_some_and(|key| keys.contains(key)) => {
                        any_behind = true;
                        waiting.push((input, None));
                    }
                    disposition => ended.push((input, disposition)),
                }
            }
            // What those that have to wait have written is undone, by processing the others without them.
            if any_retry && any_behind && self.is_stateful {
                self.state.lock().roll_back(begin);
                left = ended.into_iter().map(|(input, _)| input).collect();
                continue;
            }
            for (input, disposition) in ended {
                let sequence = self.shown_sequence(input);
                self.carry_out(Some(sequence), disposition, effects);
            }
            break;
        }
        waiting.sort_by_key(|(input, _)| (input.input, input.message.sequence));
        for (input, retry) in waiting {
            self.hold(input, retry.as_ref(), effects).await;
        }
    }

    /// All but a retry, which is not for here. `sequence` is that of a message; none for a timer.
    fn carry_out(
        &mut self,
        sequence: Option<u64>,
        disposition: Disposition,
        effects: &mut Effects,
    ) {
        self.gathered.inputs += u64::from(sequence.is_some());
        // What comes of a timer comes of no message.
        let named = |message: OutgoingMessage| OutgoingMessage {
            id: message.id.filter(|_| sequence.is_some()),
            ..message
        };
        match disposition {
            Disposition::Publish(mut messages) => {
                let late = messages.iter().filter(|message| message.is_late);
                self.gathered.late += late.count() as u64;
                messages.retain(|message| !message.is_late || !message.subject.is_empty());
                self.gathered.dropped += u64::from(messages.is_empty());
                self.gathered.publish(&messages);
                effects.outputs.extend(messages.into_iter().map(named));
            }
            Disposition::Drop => self.gathered.dropped += 1,
            Disposition::Dead(letter) => {
                self.shared.log_dead_letter(sequence, &letter.rejection);
                self.gathered.dead += 1;
                self.gathered.termed += u64::from(sequence.is_some());
                self.gathered.publish(&letter.messages);
                effects
                    .dead_letters
                    .extend(letter.messages.into_iter().map(named));
            }
            Disposition::Retry(_) => {}
        }
    }
}

impl Work for Processing {
    fn begin(&mut self, checkpoint: &Checkpoint) {
        self.open(false);
        self.claimed(checkpoint);
    }

    fn claimed(&mut self, checkpoint: &Checkpoint) {
        let sources = checkpoint
            .inputs
            .iter()
            .map(|input| ByteString::from(&*input.source));
        self.sources = sources.collect();
        self.resume(&checkpoint.inputs);
        self.clock.reset();
        self.begin_filling(&checkpoint.viewed);
        self.forget();
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Unreadable> {
        self.shared.metrics.job_records_read.inc();
        let restored = self.state.lock().restore(snapshot.group, &snapshot.content);
        restored.map_err(|error| Unreadable(error.to_string()))
    }

    fn replay(&mut self, delta: &Bytes, applies: &dyn Fn(u16) -> bool) -> Result<(), Unreadable> {
        self.shared.metrics.job_records_read.inc();
        let replayed = self.state.lock().replay(delta, applies);
        replayed.map_err(|error| Unreadable(error.to_string()))
    }

    fn recovered(&mut self) -> Result<(), Unreadable> {
        let usage = kept::readable(&self.state.lock(), &self.shared)?;
        self.note_usage(usage);
        Ok(())
    }

    fn noted(&mut self, mark: Option<&Mark>) {
        self.state.lock().note(mark);
    }

    fn kept(&mut self) -> Option<Mark> {
        self.open_kept()
    }

    fn broken(&self) -> Option<String> {
        let state = self.state.lock();
        let broken = self.unusable.as_deref().or_else(|| state.broken());
        broken.map(str::to_owned)
    }

    fn group(&self, Input { message, .. }: &Input) -> u16 {
        Group::of(message.state_key()).number()
    }

    async fn process(&mut self, batch: &[Input]) -> Effects {
        self.start();
        let batch = &*self.with_watermarks(batch);
        self.shared.in_hand(self.gathered.take(batch));
        self.stored.0.extend(batch.iter().map(|input| input.stored));
        let (mut effects, mut free) = (Effects::default(), Vec::with_capacity(batch.len()));
        let any_held = self.has_held();
        for input in batch {
            if !input.timed && self.refuses(input, &mut effects).await {
                continue;
            }
            match any_held && self.is_held(input) {
                true => self.hold(input, None, &mut effects).await,
                false => free.push(input),
            }
        }
        self.run(free, &mut effects).await;
        self.pass(batch);
        self.conclude(&mut effects);
        effects
    }

    async fn fire(&mut self, most: usize) -> Effects {
        self.start();
        let mut effects = Effects::default();
        self.fire_due(most, &mut effects).await;
        self.conclude(&mut effects);
        effects
    }

    fn undo(&mut self) {
        let (savepoint, counts, ref mut watermarks) = self.before;
        std::mem::swap(&mut self.watermarks, watermarks);
        self.state.lock().roll_back(savepoint);
        self.state.lock().set_watermark(self.watermarks.least());
        self.shared.in_hand(counts.taken - self.gathered.taken);
        self.gathered = counts;
        self.stored
            .0
            .truncate(usize::try_from(counts.taken).unwrap_or_default());
    }

    async fn reject(&mut self, message: Option<&Input>, reason: &str) -> Effects {
        let mut effects = Effects::default();
        match message {
            Some(input) => self.give_up(input, reason.to_owned(), &mut effects).await,
            None => self.reject_due(reason, &mut effects).await,
        }
        effects
    }

    fn next_due(&self) -> Option<u64> {
        self.due()
    }

    fn quiet_due(&self) -> Option<u64> {
        self.due_when_quiet()
    }

    fn holding(&self, inputs: &[Progress]) -> Vec<Progress> {
        self.held_back_by(inputs)
    }

    fn idle(&mut self) {
        self.follow_clock();
    }

    fn is_blocked(&self) -> bool {
        if self.shared.order == Order::Key {
            return false;
        }
        let state = self.state.lock();
        state.has_held() && state.is_held(b"", b"").unwrap_or_default()
    }

    fn unsealed(&self) -> Unsealed {
        self.unsealed_views()
    }

    fn fill(&mut self, room: &Room) -> Option<Vec<OutgoingMessage>> {
        self.fill_views(room)
    }

    fn viewed(&self) -> Arc<BTreeSet<String>> {
        self.filling.done()
    }

    fn values(&mut self, longest: usize) -> Vec<OutgoingMessage> {
        self.view_state(longest)
    }

    fn seal(&mut self) -> Option<Bytes> {
        self.in_flight = std::mem::take(&mut self.gathered);
        self.stored.1.clear();
        std::mem::swap(&mut self.stored.0, &mut self.stored.1);
        self.sealed = Some(Instant::now());
        self.mark((false, true));
        self.state.lock().seal()
    }

    fn confirmed(&mut self) {
        self.shared.observe(&self.stored.1);
        self.shared.count(std::mem::take(&mut self.in_flight));
        self.mark((self.uncommitted.0, false));
        let (waits, usage) = {
            let mut state = self.state.lock();
            state.confirmed();
            (state.has_held(), state.usage())
        };
        self.note_commit(usage);
        self.note_waiting(waits);
    }

    fn snapshot(&mut self, group: u16) -> Bytes {
        let group = Group::new(group.into());
        group.map_or_else(Bytes::new, |group| self.state.lock().snapshot(group))
    }

    fn size(&self) -> usize {
        usize::try_from(self.state.lock().usage().bytes).unwrap_or(usize::MAX)
    }
}
