//! Any sequence of writes, savepoints, commits, snapshots and crashes against plain maps.

use super::super::row::Place;
use super::super::*;
use super::disk::{location, mark};
use super::operators;
use super::steps::{KEYS, NAMES, Step, few, key, step};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod compared;

type Cell = (usize, usize, usize);
type ModelTimer = (Clock, u64, Option<bool>);

/// What is to be seen.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    /// With the time at which they expire.
    values: BTreeMap<Cell, (u64, Vec<u8>)>,
    /// With the clock, the time, and whether the key had values at the commit; `None` before it.
    timers: BTreeMap<Cell, ModelTimer>,
}

impl View {
    fn get(&self, cell: Cell, now: u64) -> Option<&[u8]> {
        let (expiry, value) = self.values.get(&cell)?;
        (*expiry > now).then_some(value)
    }

    fn has_values(&self, (operator, key, _): Cell, now: u64) -> bool {
        (0..NAMES.len()).any(|name| self.get((operator, key, name), now).is_some())
    }

    /// As a recovered state has it at this time.
    fn at(&self, now: u64) -> Self {
        let mut view = self.clone();
        view.values.retain(|_, (expiry, _)| *expiry > now);
        view
    }
}

/// A snapshot: its group, and the number of the last delta in it.
type Stored = (Group, usize, Bytes);

/// A commit in flight: what is to be seen with it, its delta, and its snapshots.
type Sealed = (View, Bytes, Vec<Stored>);

/// The state beside its model, with all that was stored.
struct Pair {
    state: State,
    /// Where its rows are, if they are on disk.
    home: Option<TempDir>,
    committed: View,
    sealed: Option<Sealed>,
    /// With all writes.
    current: View,
    savepoints: Vec<(Savepoint, View)>,
    now: u64,
    /// The number of a delta is its place, from 1.
    log: Vec<Bytes>,
    snapshots: Vec<Stored>,
}

impl Pair {
    fn new(home: Option<TempDir>) -> Self {
        Self {
            state: empty(home.as_ref()),
            home,
            committed: View::default(),
            sealed: None,
            current: View::default(),
            savepoints: Vec::new(),
            now: 0,
            log: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        let operator = |number: usize| Operator(number as u16);
        match step {
            Step::Begin(later) => {
                self.now += later;
                self.state.begin(self.now);
            }
            Step::Set(o, k, n, value, ttl) => {
                self.state
                    .set(operator(o), &key(k), NAMES[n], &value, ttl)
                    .unwrap();
                let expiry = ttl.map_or(u64::MAX, |ttl| self.now + ttl);
                match ttl {
                    Some(0) => drop(self.current.values.remove(&(o, k, n))),
                    _ => drop(self.current.values.insert((o, k, n), (expiry, value))),
                }
            }
            Step::Delete(o, k, n) => {
                self.state.delete(operator(o), &key(k), NAMES[n]).unwrap();
                self.current.values.remove(&(o, k, n));
            }
            Step::SetTimer(o, k, n, event_time, at) => {
                let clock = clock(event_time);
                self.state
                    .set_timer(operator(o), &key(k), NAMES[n], clock, at)
                    .unwrap();
                self.current.timers.insert((o, k, n), (clock, at, None));
            }
            Step::DeleteTimer(o, k, n) => {
                self.state
                    .delete_timer(operator(o), &key(k), NAMES[n])
                    .unwrap();
                self.current.timers.remove(&(o, k, n));
            }
            Step::TakeDue(event_time, upto, most) => self.take_due(clock(event_time), upto, most),
            Step::Savepoint => {
                let savepoint = self.state.savepoint();
                self.savepoints.push((savepoint, self.current.clone()));
            }
            Step::RollBack(which) if !self.savepoints.is_empty() => {
                let which = which.index(self.savepoints.len());
                let (savepoint, view) = self.savepoints[which].clone();
                self.savepoints.truncate(which + 1);
                self.state.roll_back(savepoint);
                self.current = view;
            }
            Step::Keep => {
                self.state.keep();
                self.savepoints.clear();
            }
            Step::Seal => self.seal(),
            Step::Confirm => {
                let mark = mark(self.log.len() + 1);
                if self.sealed.is_some() {
                    self.state.confirmed();
                    self.state.note(Some(&mark));
                }
                if let Some(sealed) = self.sealed.take() {
                    self.store(sealed);
                }
            }
            Step::Discard => {
                self.state.discard();
                self.sealed = None;
                self.current = self.committed.clone();
                self.savepoints.clear();
            }
            Step::Snapshot(group) => self.snapshot(few().iter().nth(group).unwrap()),
            Step::Crash(stored, snapshots) => self.crash(stored, &snapshots),
            Step::RollBack(_) => {}
        }
        self.compare();
    }

    fn take_due(&mut self, clock: Clock, upto: u64, most: usize) {
        let due = |(_, (other, at, _)): &(&Cell, &ModelTimer)| *other == clock && *at <= upto;
        let mut due: Vec<u64> = self
            .current
            .timers
            .iter()
            .filter(due)
            .map(|(_, (_, at, _))| *at)
            .collect();
        due.sort();
        due.truncate(most);
        assert_eq!(
            self.state.next_due(clock).filter(|at| *at <= upto),
            due.first().copied()
        );
        let before = self.state.take_gone().timers;
        assert_eq!(before, 0);
        let taken = self.state.take_due(clock, upto, most);
        let dropped = self.state.take_gone().timers;
        assert!(taken.is_sorted_by_key(|timer| timer.at));
        assert_eq!(taken.len() + dropped as usize, due.len());
        for timer in &taken {
            let key = (0..KEYS).position(|index| key(index) == timer.key).unwrap();
            let name = NAMES.iter().position(|name| *name == timer.tag).unwrap();
            let cell = (usize::from(timer.operator.0), key, name);
            let (clock, at, had_values) = self.current.timers.remove(&cell).unwrap();
            assert_eq!((clock, at), (timer.clock, timer.at));
            assert!(
                had_values != Some(true) || self.current.has_values(cell, self.now),
                "its values are gone"
            );
            let place = due.iter().position(|other| *other == at).unwrap();
            due.remove(place);
        }
        // What is left was dropped: timers of these times whose values are gone, and that are gone, too.
        for at in due {
            let (view, now) = (self.current.clone(), self.now);
            let is_orphan = |cell: &Cell, timer: &ModelTimer| {
                (timer.0, timer.1) == (clock, at)
                    && timer.2 == Some(true)
                    && !view.has_values(*cell, now)
            };
            let kept = |(operator, at, name): &Cell| {
                let key = key(*at);
                let address =
                    Address::new(Operator(*operator as u16), Kind::Timer, &key, NAMES[*name]);
                self.state
                    .row(&address)
                    .is_some_and(|row| !row.is_deleted())
            };
            let gone = view
                .timers
                .iter()
                .find(|(cell, timer)| is_orphan(cell, timer) && !kept(cell));
            self.current.timers.remove(gone.unwrap().0);
        }
    }

    fn seal(&mut self) {
        let Some(delta) = self.state.seal() else {
            assert!(
                self.sealed.is_some() || self.current.at(self.now) == self.committed.at(self.now)
            );
            return;
        };
        assert!(self.sealed.is_none());
        self.savepoints.clear();
        let current = self.current.clone();
        for (cell, (_, _, had_values)) in &mut self.current.timers {
            had_values.get_or_insert_with(|| current.has_values(*cell, self.now));
        }
        self.sealed = Some((self.current.clone(), delta, Vec::new()));
    }

    fn snapshot(&mut self, group: Group) {
        let snapshot = self.state.snapshot(group);
        match &mut self.sealed {
            Some((.., snapshots)) => snapshots.push((group, self.log.len() + 1, snapshot)),
            None => self.snapshots.push((group, self.log.len(), snapshot)),
        }
    }

    fn store(&mut self, (view, delta, snapshots): Sealed) {
        self.committed = view;
        self.log.push(delta);
        self.snapshots.extend(snapshots);
    }

    /// The next owner reads some of the snapshots, and of the log what is missing in one of them.
    fn crash(&mut self, stored: bool, snapshots: &[prop::sample::Index]) {
        if let Some(sealed) = self.sealed.take().filter(|_| stored) {
            self.store(sealed);
        }
        let mut chosen: BTreeMap<Group, (usize, &Bytes)> = BTreeMap::new();
        for index in snapshots.iter().filter(|_| !self.snapshots.is_empty()) {
            let (group, reach, snapshot) = index.get(&self.snapshots);
            chosen.insert(*group, (*reach, snapshot));
        }
        if let Some(home) = self.home.as_ref().filter(|_| chosen.is_empty()) {
            return self.reopen(home.path().to_owned());
        }
        // One on disk is closed before it is opened again.
        self.state = State::new(few(), operators(), u64::MAX).unwrap();
        let mut next = empty(self.home.as_ref());
        for (group, (_, snapshot)) in &chosen {
            next.restore(group.number(), snapshot).unwrap();
        }
        let reach = |group: &Group| chosen.get(group).map_or(0, |(reach, _)| *reach);
        let oldest = few().iter().map(|group| reach(&group)).min().unwrap();
        for (number, delta) in (1..).zip(&self.log).skip(oldest) {
            let applies = |group| number > reach(&Group::new(u64::from(group)).unwrap());
            next.replay(delta, &applies).unwrap();
        }
        next.note(Some(&mark(self.log.len())));
        self.go_on(next);
    }

    /// The next owner finds a state on disk, and reads of the log what is missing in it.
    fn reopen(&mut self, home: PathBuf) {
        self.state = State::new(few(), operators(), u64::MAX).unwrap();
        let (mut next, _) = open(&home, true);
        let kept = next.mark().map_or(0, |mark| mark.log as usize);
        assert!(
            kept + 1 >= self.log.len(),
            "only the commit in flight is missing"
        );
        for (number, delta) in (1..).zip(&self.log).skip(kept) {
            next.replay(delta, &|_| true).unwrap();
            next.note(Some(&mark(number)));
        }
        self.go_on(next);
    }

    fn go_on(&mut self, next: State) {
        self.state = next;
        assert_eq!(self.state.broken(), None);
        self.current = self.committed.clone();
        self.savepoints.clear();
        let now = self.state.now();
        assert!(now <= self.now, "time is that of a commit");
        let expiring = |(expiry, _): &&(u64, Vec<u8>)| *expiry > now && *expiry <= self.now;
        let expiring = self.committed.values.values().filter(expiring).count();
        assert_eq!(self.state.expiring(self.now).rows as usize, expiring);
        self.state.begin(self.now);
    }
}

/// An empty state, in RAM or on disk.
fn empty(home: Option<&TempDir>) -> State {
    match home {
        Some(home) => open(home.path(), false).0,
        None => State::new(few(), operators(), u64::MAX).unwrap(),
    }
}

/// The state on disk; why another one was thrown away.
fn open(folder: &Path, keep: bool) -> (State, Option<String>) {
    // Small, so that files are made.
    let memtable = 1 << 10;
    let at = Location {
        memtable,
        ..location(folder)
    };
    State::on_disk(&few(), operators(), u64::MAX, &at, keep).unwrap()
}

fn clock(event_time: bool) -> Clock {
    match event_time {
        true => Clock::EventTime,
        false => Clock::ProcessingTime,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_state_is_what_plain_maps_say_whatever_is_undone_committed_and_recovered(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        run(Pair::new(None), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn a_state_on_disk_is_what_plain_maps_say_and_reopened_lacks_only_what_was_not_noted(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        run(Pair::new(Some(TempDir::new().unwrap())), steps);
    }
}

fn run(mut pair: Pair, steps: Vec<Step>) {
    for step in steps {
        pair.apply(step);
    }
    // At the end everything is stored, and one more owner finds it.
    for step in [
        Step::Confirm,
        Step::Seal,
        Step::Confirm,
        Step::Crash(true, vec![]),
    ] {
        pair.apply(step);
    }
}
