//! What becomes of windows with messages and timers, without the arithmetic.

use super::keys::{Key, Open, Tag};
use super::values::{Cause, Refusals, Value, Values};
use super::{Arithmetic, Firing, pane};
use crate::message::{Message, Output};
use crate::state::{Operator, SharedState, State, Timer};
use crate::time::windows::{Kind, Pane, Panes, Place, Stage, Timing, Windows};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// What each message or timer of a batch emits.
type Outputs = Vec<SmallVec<[Output; 1]>>;

/// What a batch does. It knows the state as it was before.
pub(super) struct Plan<'a> {
    rules: &'a Windows,
    operator: Operator,
    /// Windows that are left to their timers: the places of their keys, and their ids.
    left: &'a HashSet<(usize, i64)>,
    keys: Vec<Key<'a>>,
    places: HashMap<&'a str, usize>,
    values: Values,
    emissions: Vec<Emission>,
}

struct Emission {
    cause: Cause,
    key: usize,
    pane: Pane,
    accumulator: Option<Value>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        rules: &'a Windows,
        operator: Operator,
        left: &'a HashSet<(usize, i64)>,
    ) -> Self {
        Self {
            rules,
            operator,
            left,
            keys: Vec::new(),
            places: HashMap::new(),
            values: Values::default(),
            emissions: Vec::new(),
        }
    }

    /// Adds the message with this place in the batch. Whether it is late.
    pub(super) fn message(
        &mut self,
        state: &State,
        by: usize,
        message: &'a Message,
    ) -> wasmtime::Result<bool> {
        let watermark = message.watermark.unwrap_or(i64::MIN);
        let time = i64::try_from(message.event_time).unwrap_or(i64::MAX);
        let mut windows = self.rules.of(time);
        let is_in_any = !windows.is_empty();
        let mut joined = SmallVec::new();
        let key = self.key(state, message.key.as_deref().unwrap_or_default())?;
        if let (Kind::Session { .. }, [alone]) = (&self.rules.kind, &mut *windows) {
            let sessions = self.keys.get(key).into_iter();
            let sessions = sessions.flat_map(|key| &key.windows);
            let sessions = sessions.map(|(id, open)| (*id, &open.kept));
            match self.rules.place(*alone, watermark, sessions) {
                Place::Late => return Ok(true),
                Place::In(window, ids) => (*alone, joined) = (window, ids),
            }
        }
        windows.retain(|window| self.rules.final_at(*window) > watermark);
        if windows.is_empty() {
            return Ok(is_in_any);
        }
        self.close_passed(state, key, watermark, by)?;
        if self.rules.has_slices() {
            self.add_to_slice(state, key, time, by)?;
        }
        for window in windows {
            let id = joined.first().copied().unwrap_or(window.start);
            let Some(at) = self.keys.get_mut(key) else {
                continue;
            };
            let open = at.open(id, window, watermark);
            if self.rules.has_slices() {
                // It is written if it is new.
                open.by = open.by.or((open.is_new()).then_some(by));
                continue;
            }
            open.kept.window = window;
            for other in joined.iter().skip(1) {
                self.join(key, id, *other, by);
            }
            self.add(key, id, by);
        }
        Ok(false)
    }

    /// Carries out a timer. Without `emits` its window goes on, and emits nothing.
    pub(super) fn timer(
        &mut self,
        state: &State,
        by: usize,
        timer: &'a Timer,
        emits: bool,
    ) -> wasmtime::Result<()> {
        let watermark = i64::try_from(state.watermark()).unwrap_or(i64::MAX);
        let key = self.key(state, str::from_utf8(&timer.key)?)?;
        let tag = Tag::read(&timer.tag);
        let Some(Tag::Window(id) | Tag::Early(id)) = tag else {
            return Ok(());
        };
        // The window may be gone by now, or have grown.
        let Some(open) = self.open(key, id) else {
            return Ok(());
        };
        let (stage, since, end) = (open.kept.stage, open.kept.since, open.kept.window.end);
        match (tag, stage) {
            (Some(Tag::Early(_)), Stage::Open) if end > watermark && since > 0 && emits => {
                self.emit(key, id, Timing::Early, by);
            }
            (Some(Tag::Early(_)), _) => {}
            (_, Stage::Open) if end <= watermark => {
                self.close(state, key, id, watermark, by, emits)?;
            }
            (_, Stage::Open) => {}
            _ => self.go_on(key, id, watermark, by),
        }
        Ok(())
    }

    /// Lets the plugin compute what is planned, and writes what remains. What each message or timer emits, or what was
    /// refused: then it has written nothing that is to stay.
    pub(super) async fn carry_out(
        mut self,
        state: &SharedState,
        arithmetic: &mut impl Arithmetic,
        batch: &[Message],
        count: usize,
    ) -> wasmtime::Result<Result<Outputs, Refusals>> {
        let names: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        let mut refused = self.values.compute(&names, batch, arithmetic).await?;
        if !refused.is_empty() {
            return Ok(Err(refused));
        }
        let mut outputs: Outputs = vec![SmallVec::new(); count];
        if !self.emissions.is_empty() {
            let firings = self.emissions.iter().map(|emission| Firing {
                key: names.get(emission.key).copied().unwrap_or_default(),
                pane: emission.pane,
                accumulator: self.values.bytes(emission.accumulator).to_vec(),
            });
            let firings: Vec<_> = firings.collect();
            let answers = arithmetic.emit(&firings).await?;
            for (emission, answer) in self.emissions.iter().zip(answers) {
                match (answer, outputs.get_mut(emission.cause.by)) {
                    (Ok(made), Some(outputs)) => {
                        let made = made.into_iter();
                        outputs.extend(made.map(|output| pane::output(output, emission.pane)));
                    }
                    (Ok(_), None) => {}
                    (Err(reason), _) => refused.push((emission.cause, reason)),
                }
            }
            if !refused.is_empty() {
                return Ok(Err(refused));
            }
        }
        let refused = self.store(&mut state.lock())?;
        Ok(match refused.is_empty() {
            true => Ok(outputs),
            false => Err(refused),
        })
    }

    /// Writes what has changed; what there was no room for.
    pub(super) fn store(&self, state: &mut State) -> wasmtime::Result<Refusals> {
        let mut refusals = Refusals::new();
        for key in &self.keys {
            let refused = key.write(self.rules, state, self.operator, &self.values)?;
            let closes = None;
            let refused = refused.into_iter();
            refusals.extend(refused.map(|(by, why)| (Cause { by, closes }, why.to_string())));
        }
        Ok(refusals)
    }

    /// The place of a key, which is read if it was not yet.
    fn key(&mut self, state: &State, name: &'a str) -> wasmtime::Result<usize> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let place = self.keys.len();
        let (rules, operator) = (self.rules, self.operator);
        let key = Key::read(rules, state, operator, name, place, &mut self.values)?;
        self.keys.push(key);
        self.places.insert(name, place);
        Ok(place)
    }

    fn open(&mut self, key: usize, id: i64) -> Option<&mut Open> {
        self.keys.get_mut(key)?.windows.get_mut(&id)
    }

    /// Closes the windows of a key that the watermark has passed.
    fn close_passed(
        &mut self,
        state: &State,
        key: usize,
        watermark: i64,
        by: usize,
    ) -> wasmtime::Result<()> {
        let windows = self.keys.get(key).into_iter().flat_map(|key| &key.windows);
        let passed = windows.filter(|(id, open)| {
            let is_passed = open.kept.stage == Stage::Open && open.kept.window.end <= watermark;
            is_passed && !self.left.contains(&(key, **id))
        });
        let passed: SmallVec<[i64; 2]> = passed.map(|(id, _)| *id).collect();
        for id in passed {
            self.close(state, key, id, watermark, by, true)?;
        }
        Ok(())
    }

    /// Closes a window: it emits its on-time pane, if it `emits`.
    fn close(
        &mut self,
        state: &State,
        key: usize,
        id: i64,
        watermark: i64,
        by: usize,
        emits: bool,
    ) -> wasmtime::Result<()> {
        let cause = Cause {
            by,
            closes: Some((key, id)),
        };
        let mut slices = Vec::new();
        if self.rules.has_slices()
            && let Some(at) = self.keys.get_mut(key)
            && let Some(window) = at.windows.get(&id).map(|open| open.kept.window)
        {
            slices = at.slices_of(state, self.operator, key, window, &mut self.values)?;
            if emits {
                let merged = self.merge_all(key, &slices, cause);
                if let Some(open) = self.open(key, id) {
                    open.accumulator = merged;
                }
            }
        }
        let Some(open) = self.open(key, id) else {
            return Ok(());
        };
        match emits {
            true => self.emit_for(key, id, Timing::OnTime, cause),
            false => open.accumulator = None,
        }
        if let Some(open) = self.open(key, id) {
            open.kept.stage = Stage::Closed;
        }
        self.go_on(key, id, watermark, by);
        if let Some(at) = self.keys.get_mut(key) {
            for (start, _) in slices {
                at.release_slice(self.rules, start);
            }
        }
        Ok(())
    }

    /// All slices in one, two by two, so that few merges wait for others.
    fn merge_all(&mut self, key: usize, slices: &[(i64, Value)], cause: Cause) -> Option<Value> {
        let mut values: Vec<Option<Value>> = Vec::with_capacity(slices.len());
        for (_, value) in slices {
            // The slice stays for other windows.
            self.values.share(Some(*value));
            values.push(Some(*value));
        }
        while values.len() > 1 {
            let pairs = values.chunks(2);
            let pairs: Vec<_> = pairs
                .map(|pair| {
                    let [left, right] = [0, 1].map(|at| pair.get(at).copied().flatten());
                    self.values.merge(key, left, right, cause)
                })
                .collect();
            values = pairs;
        }
        values.pop().flatten()
    }

    /// The next stages of a window that is closed.
    fn go_on(&mut self, key: usize, id: i64, watermark: i64, by: usize) {
        let Some(at) = self.keys.get_mut(key) else {
            return;
        };
        while let Some(open) = at.windows.get_mut(&id) {
            open.by = Some(by);
            if self.rules.due(&open.kept) > watermark {
                return;
            }
            match self.rules.next(open.kept.stage) {
                Some(stage) => {
                    open.kept.stage = stage;
                    open.accumulator = None;
                }
                None => drop(at.remove(id)),
            }
        }
    }

    /// Adds a message to a window, which emits a pane where it is time for one.
    fn add(&mut self, key: usize, id: i64, by: usize) {
        let early = self.rules.early;
        let Some(open) = self
            .keys
            .get_mut(key)
            .and_then(|key| key.windows.get_mut(&id))
        else {
            return;
        };
        open.accumulator = Some(self.values.add(key, open.accumulator, by));
        open.by = Some(by);
        open.is_first |= open.kept.since == 0;
        open.kept.since = open.kept.since.saturating_add(1);
        let is_enough = early.count.is_some_and(|count| open.kept.since >= count);
        match open.kept.stage {
            Stage::Open if is_enough => self.emit(key, id, Timing::Early, by),
            Stage::Open => {}
            _ => self.emit(key, id, Timing::Late, by),
        }
    }

    fn add_to_slice(
        &mut self,
        state: &State,
        key: usize,
        time: i64,
        by: usize,
    ) -> wasmtime::Result<()> {
        let start = self.rules.slice(time);
        if let Some(at) = self.keys.get_mut(key) {
            let before = at.slice(state, self.operator, key, start, &mut self.values)?;
            at.keep_slice(start, self.values.add(key, before, by), Some(by));
        }
        Ok(())
    }

    /// A session takes in a later one.
    fn join(&mut self, key: usize, id: i64, other: i64, by: usize) {
        let Some(at) = self.keys.get_mut(key) else {
            return;
        };
        let Some(other) = at.remove(other) else {
            return;
        };
        if let Some(open) = at.windows.get_mut(&id) {
            let cause = Cause { by, closes: None };
            let (left, right) = (open.accumulator, other.accumulator);
            open.accumulator = self.values.merge(key, left, right, cause);
            open.is_first |= open.kept.since == 0 && other.kept.since > 0;
            open.kept.since = open.kept.since.saturating_add(other.kept.since);
            open.kept.index = open.kept.index.max(other.kept.index);
        }
    }

    /// A pane of a window, for a message or a timer.
    fn emit(&mut self, key: usize, id: i64, timing: Timing, by: usize) {
        self.emit_for(key, id, timing, Cause { by, closes: None });
    }

    fn emit_for(&mut self, key: usize, id: i64, timing: Timing, cause: Cause) {
        let is_discarding = self.rules.panes == Panes::Discarding;
        let Some(open) = self.open(key, id) else {
            return;
        };
        let (kept, accumulator) = (open.kept, open.accumulator);
        open.by = Some(cause.by);
        open.is_first = false;
        open.kept.since = 0;
        open.kept.index = kept.index.saturating_add(1);
        if is_discarding {
            open.accumulator = None;
        }
        self.values.share(accumulator);
        self.emissions.push(Emission {
            cause,
            key,
            pane: Pane {
                window: kept.window,
                timing,
                index: kept.index,
            },
            accumulator,
        });
    }
}
