//! A processor whose results are known beforehand, for the properties of a job: it counts and hashes the
//! messages of each key, sets timers, retries, rejects, and makes more results than a commit holds.
//!
//! Its deltas cannot be applied twice, left out, or applied out of order without a trace. Used by the unit
//! tests on the model and by the promises on real servers: whoever includes it has `api`
//! and `oracle` beside it.

use super::api::{Checkpoint, Effects, Input, Snapshot, Unreadable, Unsealed, Work};
use super::oracle::{Event, Published, hash};
use bytes::Bytes;
use bytestring::ByteString;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The state of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Key {
    count: u64,
    hash: u64,
    /// Messages that wait for the first of them, and that one.
    held: VecDeque<(u64, Event)>,
    /// Attempts that the first has had, and when the next is due.
    attempts: u8,
    due: u64,
    /// When due, and the sequence of the message that set it.
    timers: Vec<(u64, u64)>,
}

/// One change of the state.
#[derive(Clone, Copy, Debug)]
enum Change {
    Count,
    SetTimer,
    Fire,
    Hold,
    Again,
    Release,
}

/// Bytes of a change in a delta.
const CHANGE: usize = 22;

/// Mistakes that a processor could make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mistake {
    #[default]
    None,
    /// A timer stays in the state when it fires.
    TimerStays,
    /// A retry does not hold back its key.
    NoHold,
    /// A delta is applied whatever is in the snapshot.
    OverSnapshot,
    /// What is undone stays in the state.
    NoUndo,
}

/// Whatever folds its input: a [`Fold`], or the state of jobs in its place.
pub trait Folding: Work {
    /// How many messages of each key have counted, and their hash.
    fn hashes(&self) -> BTreeMap<u8, (u64, u64)>;
    /// What a view of the state is to have; nothing, if there is none.
    fn of_view(&self) -> BTreeMap<ByteString, Bytes> {
        BTreeMap::new()
    }
    /// Whether nothing waits.
    fn is_quiet(&self) -> bool;
}

pub struct Fold {
    /// The time by which entries are due.
    now: Rc<Cell<u64>>,
    groups: u16,
    mistake: Mistake,
    /// Whether a message that waits holds back all that are not read yet.
    pub blocks: bool,
    keys: BTreeMap<u8, Key>,
    unsealed: Vec<u8>,
    /// As it was before the last batch.
    before: Option<(BTreeMap<u8, Key>, usize)>,
}

impl Fold {
    pub fn new(groups: u16, now: Rc<Cell<u64>>, mistake: Mistake) -> Self {
        Self {
            now,
            groups,
            mistake,
            blocks: false,
            keys: BTreeMap::new(),
            unsealed: Vec::new(),
            before: None,
        }
    }

    fn group_of(&self, key: u8) -> u16 {
        u16::from(key) % self.groups
    }

    /// Makes a change, and writes it down.
    fn change(&mut self, change: Change, key: u8, sequence: u64, due: u64, event: Event) {
        let mut line = [0; CHANGE];
        line[..2].copy_from_slice(&[change as u8, key]);
        line[2..10].copy_from_slice(&sequence.to_le_bytes());
        line[10..18].copy_from_slice(&due.to_le_bytes());
        line[18..].copy_from_slice(&event.payload());
        self.unsealed.extend_from_slice(&line);
        self.apply(&line).unwrap();
    }

    fn apply(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        let number = |at: usize| u64::from_le_bytes(line[at..at + 8].try_into().unwrap());
        let (sequence, due, event) = (number(2), number(10), Event::read(&line[18..]));
        let key = self.keys.entry(line[1]).or_default();
        let missing = || Unreadable(format!("change {line:?} is of another state"));
        match line[0] {
            0 => {
                key.count += 1;
                key.hash = hash(key.hash, sequence);
            }
            1 => key.timers.push((due, sequence)),
            2 => {
                let timers = key.timers.iter();
                let timer = timers.clone().position(|timer| timer.1 == sequence);
                let timer = timer.ok_or_else(missing)?;
                if self.mistake != Mistake::TimerStays {
                    key.timers.remove(timer);
                }
            }
            3 => {
                if key.held.is_empty() {
                    (key.attempts, key.due) = (1, due);
                }
                key.held.push_back((sequence, event));
            }
            4 => (key.attempts, key.due) = (key.attempts + 1, due),
            _ => {
                let is_first = key.held.front().is_some_and(|first| first.0 == sequence);
                key.held
                    .pop_front()
                    .filter(|_| is_first)
                    .ok_or_else(missing)?;
                (key.attempts, key.due) = (0, 0);
            }
        }
        Ok(())
    }

    /// A message is processed at last.
    fn finish(&mut self, sequence: u64, event: Event, effects: &mut Effects) {
        let key = event.key;
        if event.results == 0 {
            let dead = Published::Dead { key, sequence };
            effects.dead_letters.push(dead.message());
            return;
        }
        self.change(Change::Count, key, sequence, 0, event);
        let hash = self.keys[&key].hash;
        for index in 0..event.results {
            let result = Published::Result {
                key,
                sequence,
                index,
                hash,
            };
            result.publish(effects);
        }
        if event.timer > 0 {
            let due = self.now.get() + u64::from(event.timer);
            self.change(Change::SetTimer, key, sequence, due, event);
        }
    }

    /// The entry that is due first: when, of which key, and the timer's sequence if it is one.
    fn first_due(&self) -> Option<(u64, u8, Option<u64>)> {
        let mut first = None;
        for (key, state) in &self.keys {
            let timers = state
                .timers
                .iter()
                .map(|(due, sequence)| (*due, *key, Some(*sequence)));
            let held = (!state.held.is_empty()).then_some((state.due, *key, None));
            first = timers.chain(held).chain(first).min();
        }
        first
    }

    fn back_up(&mut self) {
        self.before = Some((self.keys.clone(), self.unsealed.len()));
    }
}

impl Folding for Fold {
    fn hashes(&self) -> BTreeMap<u8, (u64, u64)> {
        let keys = self.keys.iter().filter(|(_, state)| state.count > 0);
        keys.map(|(key, state)| (*key, (state.count, state.hash)))
            .collect()
    }

    fn is_quiet(&self) -> bool {
        self.first_due().is_none()
    }
}

impl Work for Fold {
    fn begin(&mut self, _checkpoint: &Checkpoint) {
        self.keys.clear();
        self.unsealed.clear();
        self.before = None;
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Unreadable> {
        let groups = self.groups;
        self.keys
            .retain(|key, _| u16::from(*key) % groups != snapshot.group);
        let mut rest = &snapshot.content[..];
        let mut number = || {
            let (number, left) = rest.split_first_chunk().unwrap();
            rest = left;
            u64::from_le_bytes(*number)
        };
        let event = |number: u64| Event::read(&number.to_le_bytes());
        for _ in 0..number() {
            let key = number() as u8;
            let (count, hash) = (number(), number());
            let (attempts, due) = (number() as u8, number());
            let held = (0..number()).map(|_| (number(), event(number()))).collect();
            let timers = (0..number()).map(|_| (number(), number())).collect();
            let state = Key {
                count,
                hash,
                held,
                attempts,
                due,
                timers,
            };
            assert_eq!(self.group_of(key), snapshot.group);
            self.keys.insert(key, state);
        }
        Ok(())
    }

    fn replay(&mut self, delta: &Bytes, applies: &dyn Fn(u16) -> bool) -> Result<(), Unreadable> {
        for line in delta.chunks(CHANGE) {
            if applies(self.group_of(line[1])) || self.mistake == Mistake::OverSnapshot {
                self.apply(line)?;
            }
        }
        Ok(())
    }

    fn group(&self, input: &Input) -> u16 {
        self.group_of(Event::read(&input.message.payload).key)
    }

    async fn process(&mut self, batch: &[Input]) -> Effects {
        self.back_up();
        let mut effects = Effects::default();
        for Input { message, .. } in batch {
            let (sequence, event) = (message.sequence, Event::read(&message.payload));
            let held = self
                .keys
                .get(&event.key)
                .is_some_and(|key| !key.held.is_empty());
            if event.failures > 0 || (held && self.mistake != Mistake::NoHold) {
                let due = self.now.get() + 2;
                self.change(Change::Hold, event.key, sequence, due, event);
            } else {
                self.finish(sequence, event, &mut effects);
            }
        }
        effects
    }

    async fn fire(&mut self, most: usize) -> Effects {
        self.back_up();
        let mut effects = Effects::default();
        for _ in 0..most {
            let now = self.now.get();
            let Some((_, key, timer)) = self.first_due().filter(|first| first.0 <= now) else {
                break;
            };
            if let Some(sequence) = timer {
                let event = Event::default();
                self.change(Change::Fire, key, sequence, 0, event);
                let fired = Published::Fired { key, sequence };
                fired.publish(&mut effects);
                continue;
            }
            let state = &self.keys[&key];
            let (sequence, event) = state.held[0];
            if state.attempts < event.failures + 1 && event.failures > 0 {
                self.change(Change::Again, key, sequence, now + 3, event);
            } else {
                self.change(Change::Release, key, sequence, 0, event);
                self.finish(sequence, event, &mut effects);
            }
        }
        effects
    }

    fn undo(&mut self) {
        if let Some((keys, unsealed)) = self.before.take()
            && self.mistake != Mistake::NoUndo
        {
            self.keys = keys;
            self.unsealed.truncate(unsealed);
        }
    }

    async fn reject(&mut self, message: Option<&Input>, _reason: &str) -> Effects {
        let (sequence, key) = match message {
            Some(Input { message, .. }) => (message.sequence, Event::read(&message.payload).key),
            None => {
                let (_, key, timer) = self.first_due().unwrap();
                assert_eq!(timer, None, "the firing of a timer has one result");
                let (sequence, event) = self.keys[&key].held[0];
                self.change(Change::Release, key, sequence, 0, event);
                (sequence, key)
            }
        };
        Effects {
            dead_letters: vec![Published::Dead { key, sequence }.message()],
            ..Effects::default()
        }
    }

    fn next_due(&self) -> Option<u64> {
        self.first_due().map(|first| first.0)
    }

    fn is_blocked(&self) -> bool {
        self.blocks && self.keys.values().any(|key| !key.held.is_empty())
    }

    fn unsealed(&self) -> Unsealed {
        Unsealed {
            delta: self.unsealed.len(),
            ..Unsealed::default()
        }
    }

    fn seal(&mut self) -> Option<Bytes> {
        self.before = None;
        let delta = std::mem::take(&mut self.unsealed);
        (!delta.is_empty()).then(|| delta.into())
    }

    fn confirmed(&mut self) {}

    fn snapshot(&mut self, group: u16) -> Bytes {
        assert!(self.unsealed.is_empty(), "a snapshot is of a sealed state");
        let keys = self
            .keys
            .iter()
            .filter(|(key, _)| self.group_of(**key) == group);
        let mut numbers = vec![keys.clone().count() as u64];
        for (key, state) in keys {
            numbers.extend([u64::from(*key), state.count, state.hash]);
            numbers.extend([
                u64::from(state.attempts),
                state.due,
                state.held.len() as u64,
            ]);
            for (sequence, event) in &state.held {
                let mut bytes = [0; 8];
                bytes[..4].copy_from_slice(&event.payload());
                numbers.extend([*sequence, u64::from_le_bytes(bytes)]);
            }
            numbers.push(state.timers.len() as u64);
            numbers.extend(
                state
                    .timers
                    .iter()
                    .flat_map(|(due, sequence)| [*due, *sequence]),
            );
        }
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    fn size(&self) -> usize {
        self.keys.len() * 32
    }
}
