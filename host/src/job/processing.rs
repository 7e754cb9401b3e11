//! The work of one partition: the processor of its lane, on a state of its own. START HERE.
//!
//! A batch becomes effects and writes. A message for which a plugin asks for a retry waits in the state, and so
//! do those of its key behind it (`docs/adr/0023-what-a-commit-holds.md`). Knows no log and no broker.

use super::clock::{PartitionClock, nanoseconds};
use super::held;
use super::log::{Checkpoint, Input, Snapshot};
use super::shared::{Counts, Shared};
use super::work::{Effects, Unreadable, Work};
use crate::message::Message;
use crate::process::Judged;
use crate::process::chain::{Rejection, Retry};
use crate::process::disposition::Disposition;
use crate::process::retry;
use crate::state::{Clock, Corrupt, Groups, Refused, Savepoint, SharedState, State, Timer};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

/// Messages of one key that go on together once the first of them is due.
const RELEASED: usize = 64;

/// See the top of this file.
pub struct Processing {
    shared: Rc<Shared>,
    groups: Groups,
    state: SharedState,
    clock: Rc<PartitionClock>,
    /// `<stream>@<incarnation>` of each input.
    sources: Vec<ByteString>,
    /// Before the last batch.
    before: (Savepoint, Counts),
    /// Of what has gathered, and of the commit in flight.
    gathered: Counts,
    in_flight: Counts,
    /// Whether something has gathered, and whether a commit is in flight.
    uncommitted: (bool, bool),
    /// Whether messages wait in the state.
    waits: bool,
}

impl Processing {
    /// That of the partition with these groups.
    ///
    /// # Errors
    /// More than 4,095 operators.
    pub fn new(shared: Rc<Shared>, groups: Groups) -> Result<Self, Corrupt> {
        Ok(Self {
            state: SharedState::new(empty(&shared, &groups)?),
            shared,
            groups,
            clock: Rc::default(),
            sources: Vec::new(),
            before: (Savepoint(0), Counts::default()),
            gathered: Counts::default(),
            in_flight: Counts::default(),
            uncommitted: (false, false),
            waits: false,
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
        self.before = (state.savepoint(), self.gathered);
        drop(state);
        self.mark((true, self.uncommitted.1));
    }

    /// The partition is not owned any more: nothing of it will be committed.
    pub fn forget(&mut self) {
        let counts = [&mut self.gathered, &mut self.in_flight].map(std::mem::take);
        let taken = counts.iter().map(|counts| counts.taken).sum::<i64>();
        self.shared.in_hand(-taken);
        self.note_waiting(false);
        self.mark((false, false));
    }

    /// Whether messages wait in the state now, for whoever asks.
    fn note_waiting(&mut self, waits: bool) {
        if std::mem::replace(&mut self.waits, waits) != waits {
            self.shared.progress.set_waiting(waits);
        }
    }

    fn mark(&mut self, uncommitted: (bool, bool)) {
        let any = |(gathered, in_flight): (bool, bool)| gathered || in_flight;
        let before = std::mem::replace(&mut self.uncommitted, uncommitted);
        if any(before) != any(uncommitted) {
            self.shared.set_uncommitted(any(uncommitted));
        }
    }

    /// Processes messages of which none has to wait for another.
    async fn run(&mut self, mut left: Vec<Input>, effects: &mut Effects) {
        let begin = self.state.lock().savepoint();
        let mut waiting: Vec<(Input, Option<Retry>)> = Vec::new();
        loop {
            let dispositions = self.dispose(&left, 0).await;
            let mut keys: HashSet<ByteString> = HashSet::new();
            let mut ended = Vec::with_capacity(left.len());
            let (mut any_retry, mut any_behind) = (false, false);
            for (input, disposition) in left.into_iter().zip(dispositions) {
                let key = input.message.key.as_ref();
                match disposition {
                    Disposition::Retry(retry) => {
                        any_retry = true;
                        keys.extend(key.cloned());
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
            if any_retry && any_behind && self.shared.is_stateful {
                self.state.lock().roll_back(begin);
                left = ended.into_iter().map(|(input, _)| input).collect();
                continue;
            }
            for (input, disposition) in ended {
                self.carry_out(&input, disposition, effects);
            }
            break;
        }
        waiting.sort_by_key(|(Input { input, message }, _)| (*input, message.sequence));
        for (input, retry) in waiting {
            self.hold(&input, retry.as_ref(), effects).await;
        }
    }

    /// What is to become of messages that were retried so often.
    async fn dispose(&mut self, inputs: &[Input], retries: u32) -> Vec<Disposition> {
        let mut processor = self.shared.processor.lock().await;
        let route = |input: &Input| {
            let attempt = retries.saturating_add(1);
            processor.route(Message {
                attempt,
                ..input.message.clone()
            })
        };
        let batch: Vec<_> = inputs.iter().map(route).collect();
        self.shared.calls(&batch);
        let verdicts = match self.shared.is_stateful {
            true => processor.call_on(batch, &mut self.state).await,
            false => processor.call(batch).await,
        };
        self.shared.called();
        let verdicts = inputs.iter().zip(verdicts);
        let judge = |(input, verdict)| processor.judge(self.judged(input, retries), verdict);
        verdicts.map(judge).collect()
    }

    fn judged<'a>(&'a self, input: &'a Input, retries: u32) -> Judged<'a> {
        Judged {
            message: &input.message,
            source_id: self
                .sources
                .get(input.input)
                .unwrap_or(&self.shared.unknown),
            retries,
        }
    }

    /// All but a retry, which is not for here.
    fn carry_out(&mut self, input: &Input, disposition: Disposition, effects: &mut Effects) {
        self.gathered.inputs += 1;
        match disposition {
            Disposition::Publish(messages) => {
                self.gathered.published += messages.len() as u64;
                effects.outputs.extend(messages);
            }
            Disposition::Drop => self.gathered.dropped += 1,
            Disposition::Dead(letter) => {
                self.shared.log_dead_letter(input, &letter.rejection);
                self.gathered.dead += 1;
                effects.dead_letters.extend(letter.messages);
            }
            Disposition::Retry(_) => {}
        }
    }

    /// Lets a message wait: for the retry that a plugin asked for, or behind one of its key.
    async fn hold(&mut self, input: &Input, retry: Option<&Retry>, effects: &mut Effects) {
        let (attempts, delay) = retry.map_or_else(Default::default, |retry| self.put_off(retry, 0));
        let (key, tag) = queue(input);
        let held = {
            let mut state = self.state.lock();
            let until = state.now().saturating_add(nanoseconds(delay));
            state.hold(key, &tag, &held::write(input), attempts, until)
        };
        if let Err(refused) = held {
            let reason = format!("it cannot wait for its next attempt: {refused}");
            self.give_up(input, reason, effects).await;
        }
    }

    /// How often a message has been tried, and how long it waits, after a further attempt.
    fn put_off(&mut self, retry: &Retry, attempts: u32) -> (u32, Duration) {
        let settings = &self.shared.settings.retry;
        tracing::debug!(attempts, "retry: {}", retry.reason);
        if !retry.counts {
            self.gathered.retried_infrastructure += 1;
            let delay = retry::delay(settings, retry.after, attempts.saturating_add(1));
            return (attempts, delay);
        }
        self.gathered.retried += 1;
        let attempts = attempts.saturating_add(1);
        (attempts, retry::delay(settings, retry.after, attempts))
    }

    async fn give_up(&mut self, input: &Input, reason: String, effects: &mut Effects) {
        let processor = self.shared.processor.lock().await;
        let rejection = Rejection::by_sink(reason);
        let disposition = processor.reject(self.judged(input, 0), rejection);
        drop(processor);
        self.carry_out(input, disposition, effects);
    }

    /// A queue whose time has come: its messages go on in order until one has to wait again.
    async fn release(&mut self, timer: &Timer, effects: &mut Effects) -> Result<(), Refused> {
        let Timer { key, tag, .. } = timer;
        for _ in 0..RELEASED {
            let Some((attempts, input)) = self.first(key, tag)? else {
                break;
            };
            let dispositions = match &input {
                Some(input) => self.dispose(std::slice::from_ref(input), attempts).await,
                None => Vec::new(),
            };
            match (input, dispositions.into_iter().next()) {
                (Some(_), Some(Disposition::Retry(retry))) => {
                    let (attempts, delay) = self.put_off(&retry, attempts);
                    let mut state = self.state.lock();
                    let until = state.now().saturating_add(nanoseconds(delay));
                    return state.put_off(key, tag, attempts, until);
                }
                (Some(input), Some(disposition)) => self.carry_out(&input, disposition, effects),
                // It was written by `held`, so this does not happen; and if it does, others go on.
                _ => {}
            }
            self.state.lock().release(key, tag)?;
        }
        Ok(())
    }

    /// The first message of a queue, and how often it was tried.
    fn first(&self, key: &[u8], tag: &[u8]) -> Result<Option<(u32, Option<Input>)>, Refused> {
        let state = self.state.lock();
        let first = state.held(key, tag)?.next();
        Ok(first.map(|first| (first.attempts, held::read(first.message))))
    }

    /// Timers that are due; they are gone from the state.
    fn take_due(&mut self, most: usize) -> Vec<Timer> {
        let mut state = self.state.lock();
        let now = state.now();
        state.take_due(Clock::ProcessingTime, now, most)
    }
}

fn empty(shared: &Shared, groups: &Groups) -> Result<State, Corrupt> {
    let operators = shared.settings.operators.iter();
    let operators = operators.map(|operator| operator.name.as_str());
    State::new(groups.clone(), operators, shared.state_bytes)
}

/// The queue of a message: that of its key, or its own if it has none.
fn queue(Input { input, message }: &Input) -> (&[u8], Vec<u8>) {
    match &message.key {
        Some(key) => (key.as_bytes(), Vec::new()),
        None => (b"", format!("{input}/{}", message.sequence).into_bytes()),
    }
}

impl Work for Processing {
    fn begin(&mut self, checkpoint: &Checkpoint) {
        let sources = checkpoint
            .inputs
            .iter()
            .map(|input| ByteString::from(&*input.source));
        self.sources = sources.collect();
        if let Ok(state) = empty(&self.shared, &self.groups) {
            *self.state.lock() = state;
        }
        self.clock.reset();
        self.forget();
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Unreadable> {
        let restored = self.state.lock().restore(snapshot.group, &snapshot.content);
        restored.map_err(|error| Unreadable(error.to_string()))
    }

    fn replay(&mut self, delta: &Bytes, applies: &dyn Fn(u16) -> bool) -> Result<(), Unreadable> {
        let replayed = self.state.lock().replay(delta, applies);
        replayed.map_err(|error| Unreadable(error.to_string()))
    }

    async fn process(&mut self, batch: &[Input]) -> Effects {
        self.start();
        let taken = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        self.gathered.taken += taken;
        self.shared.in_hand(taken);
        let (mut effects, mut free) = (Effects::default(), Vec::with_capacity(batch.len()));
        let any_held = self.state.lock().has_held();
        for input in batch {
            let (key, tag) = queue(input);
            let is_held = any_held && self.state.lock().is_held(key, &tag).unwrap_or_default();
            match is_held {
                true => self.hold(input, None, &mut effects).await,
                false => free.push(input.clone()),
            }
        }
        self.run(free, &mut effects).await;
        effects
    }

    async fn fire(&mut self, most: usize) -> Effects {
        self.start();
        let mut effects = Effects::default();
        for timer in self.take_due(most) {
            // Its key is of this partition, as it was in its state.
            let _ = self.release(&timer, &mut effects).await;
        }
        effects
    }

    fn undo(&mut self) {
        let (savepoint, counts) = self.before;
        self.state.lock().roll_back(savepoint);
        self.shared.in_hand(counts.taken - self.gathered.taken);
        self.gathered = counts;
    }

    async fn reject(&mut self, message: Option<&Input>, reason: &str) -> Effects {
        let mut effects = Effects::default();
        if let Some(input) = message {
            self.give_up(input, reason.to_owned(), &mut effects).await;
            return effects;
        }
        for Timer { key, tag, .. } in self.take_due(1) {
            if let Ok(Some((_, Some(input)))) = self.first(&key, &tag) {
                self.give_up(&input, reason.to_owned(), &mut effects).await;
            }
            let _ = self.state.lock().release(&key, &tag);
        }
        effects
    }

    fn next_due(&self) -> Option<u64> {
        self.state.lock().next_due(Clock::ProcessingTime)
    }

    fn unsealed(&self) -> usize {
        self.state.lock().unsealed()
    }

    fn seal(&mut self) -> Option<Bytes> {
        self.in_flight = std::mem::take(&mut self.gathered);
        self.mark((false, true));
        self.state.lock().seal()
    }

    fn confirmed(&mut self) {
        self.shared.count(std::mem::take(&mut self.in_flight));
        self.mark((self.uncommitted.0, false));
        let waits = {
            let mut state = self.state.lock();
            state.confirmed();
            state.has_held()
        };
        self.note_waiting(waits);
    }

    fn snapshot(&mut self, group: u16) -> Bytes {
        let group = crate::state::Group::new(group.into());
        group.map_or_else(Bytes::new, |group| self.state.lock().snapshot(group))
    }

    fn size(&self) -> usize {
        usize::try_from(self.state.lock().usage().bytes).unwrap_or(usize::MAX)
    }
}
