//! The processor of the schedules with the real state of jobs instead of maps: checks that the engine and the
//! state agree.

use super::api::{
    Checkpoint, Effects, Input, OutgoingMessage, Room, Snapshot, Unreadable, Unsealed, Work,
};
use super::fold::{Folding, Mistake};
use super::oracle::{Event, Published, hash};
use super::views::viewed;
use crate::job::watermarks::Watermarks;
use crate::state::{
    Clock, Corrupt, Cursor, Group, Groups, Location, Mark, Operator, Savepoint, State, Timer,
};
use crate::time::watermark::Rules;
use bytes::Bytes;
use bytestring::ByteString;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Keys of events, of which there are fewer.
const KEYS: u8 = 8;
pub(super) const NAME: &[u8] = b"total";

pub struct Kept {
    now: Rc<Cell<u64>>,
    groups: u16,
    /// The bytes of each key: one of the group that the schedule says.
    keys: Vec<Vec<u8>>,
    mistake: Mistake,
    /// Where the state is on disk, if it is.
    disk: Option<Location>,
    pub(super) state: State,
    pub(super) count: Operator,
    /// Before the last batch.
    before: Savepoint,
    /// Of the inputs, and as they were before the last batch.
    marks: [Watermarks; 2],
    /// Whether it has the view that is added, and where that is filled.
    pub(super) has_late: bool,
    pub(super) filling: Option<Cursor>,
}

thread_local! {
    static HOME: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// States are kept here from now on, on this thread.
pub fn keep(home: &Path) {
    HOME.set(Some(home.to_owned()));
}

/// The first so many groups.
fn groups(groups: u16) -> Groups {
    let first = (1..=1024).filter_map(|partitions| Groups::of_partition(0, partitions));
    let mut first = first.filter(|owned| owned.numbers().len() == usize::from(groups));
    first.next().unwrap()
}

/// An empty state with these.
fn empty(count: u16) -> State {
    State::new(groups(count), ["count"], u64::MAX).unwrap()
}

fn unreadable(corrupt: Corrupt) -> Unreadable {
    Unreadable(corrupt.to_string())
}

impl Kept {
    pub fn new(groups: u16, now: Rc<Cell<u64>>, mistake: Mistake) -> Self {
        let keys = (0..KEYS).map(|key| {
            let mut keys = (0u16..).map(|number| [&[key][..], &number.to_be_bytes()].concat());
            let group = u16::from(key) % groups;
            keys.find(|key| Group::of(key).number() == group).unwrap()
        });
        let state = empty(groups);
        Self {
            now,
            groups,
            keys: keys.collect(),
            mistake,
            disk: None,
            count: state.operator("count").unwrap(),
            state,
            before: Savepoint(0),
            marks: Default::default(),
            has_late: false,
            filling: None,
        }
    }

    /// The same with its state on disk: below the directory that [`keep`] has said.
    pub fn on_disk(groups: u16, now: Rc<Cell<u64>>, mistake: Mistake) -> Self {
        let disk = HOME.with_borrow(|home| {
            home.as_ref().map(|home| Location {
                folder: home.clone(),
                name: "0".to_owned(),
                identity: "JOB@1".to_owned(),
                cache: 1 << 20,
                // Small, so that files are made.
                memtable: 1 << 10,
            })
        });
        let mut kept = Self::new(groups, now, mistake);
        kept.disk = disk;
        kept
    }

    /// Takes the state on disk, or an empty one.
    fn open(&mut self, keep: bool) {
        self.state = empty(self.groups);
        if let Some(at) = &self.disk {
            let opened = State::on_disk(&groups(self.groups), ["count"], u64::MAX, at, keep);
            let (state, discarded) = opened.unwrap();
            assert_eq!(discarded.filter(|why| !why.contains("to its end")), None);
            self.state = state;
        }
        self.count = self.state.operator("count").unwrap();
    }

    fn key(&self, key: u8) -> Vec<u8> {
        self.keys[usize::from(key)].clone()
    }

    /// Count and hash of a key.
    fn total(&self, key: u8) -> Option<(u64, u64)> {
        let value = self.state.get(self.count, &self.key(key), NAME).unwrap()?;
        let number = |at: usize| u64::from_le_bytes(value[at..at + 8].try_into().unwrap());
        Some((number(0), number(8)))
    }

    /// A message is processed at last.
    fn finish(&mut self, sequence: u64, event: Event, effects: &mut Effects) {
        let (key, bytes) = (event.key, self.key(event.key));
        if event.results == 0 {
            let dead = Published::Dead { key, sequence };
            effects.dead_letters.push(dead.message());
            return;
        }
        let (count, before) = self.total(key).unwrap_or_default();
        let hash = hash(before, sequence);
        let value = [count + 1, hash].map(u64::to_le_bytes).concat();
        self.state
            .set(self.count, &bytes, NAME, &value, None)
            .unwrap();
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
            let (tag, due) = (
                sequence.to_be_bytes(),
                self.now.get() + u64::from(event.timer),
            );
            // Those of event time wait until nothing is pending.
            let clock = [Clock::ProcessingTime, Clock::EventTime][sequence as usize % 2];
            let set = self.state.set_timer(self.count, &bytes, &tag, clock, due);
            set.unwrap();
        }
    }

    fn back_up(&mut self) {
        self.state.begin(self.now.get());
        self.before = self.state.savepoint();
        self.marks[1] = self.marks[0].clone();
    }

    /// The first message that waits with a key: its attempts, its sequence, its event.
    fn first(&self, key: &[u8]) -> Option<(u32, u64, Event)> {
        let first = self.state.held(key, b"").unwrap().next()?;
        let (sequence, event) = first.message.split_first_chunk()?;
        let sequence = u64::from_le_bytes(*sequence);
        Some((first.attempts, sequence, Event::read(event)))
    }

    fn take(&mut self, upto: u64) -> Option<Timer> {
        let watermark = self.state.watermark();
        let by_mark = self.state.take_due(Clock::EventTime, watermark, 1).pop();
        by_mark.or_else(|| self.state.take_due(Clock::ProcessingTime, upto, 1).pop())
    }
}

impl Folding for Kept {
    fn hashes(&self) -> BTreeMap<u8, (u64, u64)> {
        let totals = (0..KEYS).map(|key| (key, self.total(key)));
        totals
            .filter_map(|(key, total)| Some((key, total?)))
            .collect()
    }

    fn of_view(&self) -> BTreeMap<ByteString, Bytes> {
        let keys = 0..KEYS;
        let values = keys.filter_map(|key| {
            let value = self.state.get(self.count, &self.key(key), NAME).unwrap()?;
            Some(viewed("", key, value))
        });
        values.map(|it| (it.subject, it.payload)).collect()
    }

    fn is_quiet(&self) -> bool {
        self.next_due().is_none() && self.state.next_due(Clock::EventTime).is_none()
    }
}

impl Work for Kept {
    fn begin(&mut self, checkpoint: &Checkpoint) {
        self.open(false);
        self.claimed(checkpoint);
    }

    fn claimed(&mut self, checkpoint: &Checkpoint) {
        self.marks = [(); 2].map(|()| Watermarks::of(&checkpoint.inputs, |_| true));
        self.has_late = checkpoint.epoch > 1;
        let is_empty = self.has_late && checkpoint.viewed.is_empty();
        self.filling = is_empty.then(Cursor::default);
    }

    fn noted(&mut self, mark: Option<&Mark>) {
        self.state.note(mark);
    }

    fn kept(&mut self) -> Option<Mark> {
        self.disk.as_ref()?;
        self.open(true);
        self.state.mark().cloned()
    }

    fn broken(&self) -> Option<String> {
        self.state.broken().map(str::to_owned)
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Unreadable> {
        let restored = self.state.restore(snapshot.group, &snapshot.content);
        restored.map_err(unreadable)
    }

    fn replay(&mut self, delta: &Bytes, applies: &dyn Fn(u16) -> bool) -> Result<(), Unreadable> {
        self.state.replay(delta, applies).map_err(unreadable)
    }

    fn group(&self, input: &Input) -> u16 {
        u16::from(Event::read(&input.message.payload).key) % self.groups
    }

    async fn process(&mut self, batch: &[Input]) -> Effects {
        self.back_up();
        let mut effects = Effects::default();
        for Input { message, .. } in batch {
            let (sequence, event) = (message.sequence, Event::read(&message.payload));
            let key = self.key(event.key);
            let waits = self.state.is_held(&key, b"").unwrap() && self.mistake != Mistake::NoHold;
            if event.failures > 0 || waits {
                let message = [&sequence.to_le_bytes()[..], &message.payload].concat();
                let due = self.now.get() + 2;
                self.state.hold(&key, b"", &message, 1, due).unwrap();
            } else {
                self.finish(sequence, event, &mut effects);
            }
        }
        self.marks[0].pass(&Rules::default(), batch, 0);
        effects.watermarks = self.marks[0].marks();
        effects.watermark = Some(self.marks[0].least());
        effects
    }

    async fn fire(&mut self, most: usize) -> Effects {
        self.back_up();
        let (mut effects, now) = (Effects::default(), self.state.now());
        for _ in 0..most {
            let Some(timer) = self.take(now) else {
                break;
            };
            let (key, tag) = (&timer.key, &timer.tag);
            if timer.operator != Operator::HOST {
                let sequence = u64::from_be_bytes(tag[..].try_into().unwrap());
                let fired = Published::Fired {
                    key: key[0],
                    sequence,
                };
                fired.publish(&mut effects);
                if self.mistake == Mistake::TimerStays {
                    let set = self
                        .state
                        .set_timer(self.count, key, tag, timer.clock, timer.at);
                    set.unwrap();
                }
                continue;
            }
            let (attempts, sequence, event) = self.first(key).unwrap();
            if event.failures > 0 && attempts <= u32::from(event.failures) {
                self.state.put_off(key, tag, attempts + 1, now + 3).unwrap();
            } else {
                self.state.release(key, tag).unwrap();
                self.finish(sequence, event, &mut effects);
            }
        }
        effects
    }

    fn undo(&mut self) {
        if self.mistake != Mistake::NoUndo {
            self.state.roll_back(self.before);
            self.marks[0] = self.marks[1].clone();
        }
    }

    async fn reject(&mut self, message: Option<&Input>, _reason: &str) -> Effects {
        let (sequence, key) = match message {
            Some(Input { message, .. }) => (message.sequence, Event::read(&message.payload).key),
            None => {
                let timer = self.take(u64::MAX).unwrap();
                assert_eq!(timer.operator, Operator::HOST, "a timer has one result");
                let (_, sequence, event) = self.first(&timer.key).unwrap();
                self.state.release(&timer.key, b"").unwrap();
                (sequence, event.key)
            }
        };
        Effects {
            dead_letters: vec![Published::Dead { key, sequence }.message()],
            ..Effects::default()
        }
    }

    fn next_due(&self) -> Option<u64> {
        let passed = self.state.next_due(Clock::EventTime);
        match passed.filter(|at| *at <= self.state.watermark()) {
            Some(_) => Some(0),
            None => self.state.next_due(Clock::ProcessingTime),
        }
    }

    fn quiet_due(&self) -> Option<u64> {
        let next = self.state.next_due(Clock::EventTime);
        next.filter(|_| !self.state.has_held())
    }

    fn idle(&mut self) {
        self.state.set_watermark(self.now.get());
    }

    fn unsealed(&self) -> Unsealed {
        Unsealed {
            delta: self.state.unsealed(),
            values: 2 * self.state.changed(self.count, NAME).count(),
            bytes: 0,
        }
    }

    fn values(&mut self, _longest: usize) -> Vec<OutgoingMessage> {
        self.changed_values()
    }

    fn fill(&mut self, room: &Room) -> Option<Vec<OutgoingMessage>> {
        self.fill_late(room)
    }

    fn viewed(&self) -> Arc<BTreeSet<String>> {
        let is_filled = self.has_late && self.filling.is_none();
        Arc::new(is_filled.then(String::new).into_iter().collect())
    }

    fn seal(&mut self) -> Option<Bytes> {
        self.state.seal()
    }

    fn confirmed(&mut self) {
        self.state.confirmed();
    }

    fn snapshot(&mut self, group: u16) -> Bytes {
        assert_eq!(self.state.unsealed(), 0, "a snapshot is of a sealed state");
        self.state.snapshot(Group::new(u64::from(group)).unwrap())
    }

    fn size(&self) -> usize {
        self.state.usage().bytes as usize
    }
}
