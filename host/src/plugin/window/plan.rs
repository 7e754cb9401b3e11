//! Plans what messages and timers do to windows, without the arithmetic.

use super::keys::{Key, Open, Source, Tag};
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
    pub(super) rules: &'a Windows,
    operator: Operator,
    /// Windows that are left to their timers: the places of their keys, and their ids.
    pub(super) left: &'a HashSet<(usize, i64)>,
    /// Whether messages leave windows that are due before them to their timers, as far as they are not in them.
    pub(super) leaves_passed: bool,
    pub(super) keys: Vec<Key<'a>>,
    places: HashMap<&'a str, usize>,
    pub(super) values: Values,
    pub(super) emissions: Vec<Emission>,
}

/// A pane that the plugin is asked for.
pub(super) struct Emission {
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
            leaves_passed: false,
            keys: Vec::new(),
            places: HashMap::new(),
            values: Values::default(),
            emissions: Vec::new(),
        }
    }

    /// Whether a window is closed.
    pub(super) fn closes_any(&self) -> bool {
        let mut emissions = self.emissions.iter();
        emissions.any(|emission| emission.cause.closes.is_some())
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
        let key = self.key(message.key.as_deref().unwrap_or_default());
        let from = self.source(state);
        let Some(at) = self.keys.get_mut(key) else {
            return Ok(false);
        };
        let passed = windows.iter().filter(|window| window.end <= watermark);
        let mut own: SmallVec<[i64; 2]> = passed.map(|window| window.start).collect();
        if let (Kind::Session { .. }, [alone]) = (&self.rules.kind, &mut *windows) {
            let near = at.near(from, *alone, &mut self.values)?;
            let near = near.iter().filter_map(|id| at.windows.get_key_value(id));
            let near = near.map(|(id, open)| (*id, &open.kept));
            match self.rules.place(*alone, watermark, near) {
                Place::Late => return Ok(true),
                Place::In(window, ids) => (*alone, joined) = (window, ids),
            }
            own.clone_from(&joined);
        }
        windows.retain(|window| self.rules.final_at(*window) > watermark);
        if windows.is_empty() {
            return Ok(is_in_any);
        }
        self.close_passed(state, key, watermark, by, &own)?;
        if self.rules.has_slices() {
            self.add_to_slice(state, key, time, by)?;
        }
        for window in windows {
            let id = joined.first().copied().unwrap_or(window.start);
            let Some(at) = self.keys.get_mut(key) else {
                continue;
            };
            let new = (window, watermark);
            let open = at.open(from, id, new, &mut self.values)?;
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
        let key = self.key(str::from_utf8(&timer.key)?);
        let from = self.source(state);
        let tag = Tag::read(&timer.tag);
        let Some(Tag::Window(id) | Tag::Early(id)) = tag else {
            return Ok(());
        };
        // The window may be gone by now, or have grown.
        let at = self.keys.get_mut(key);
        let open = at.map(|at| at.get(from, id, &mut self.values));
        let Some(open) = open.transpose()?.flatten() else {
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

    /// The place of a key.
    fn key(&mut self, name: &'a str) -> usize {
        // Often that of the message before.
        if let Some(last) = self.keys.last().filter(|last| last.name == name) {
            return last.place;
        }
        let (next, keys) = (self.keys.len(), &mut self.keys);
        *self.places.entry(name).or_insert_with(|| {
            keys.push(Key::new(name, next));
            next
        })
    }

    pub(super) fn source<'s>(&self, state: &'s State) -> Source<'s>
    where
        'a: 's,
    {
        Source {
            state,
            rules: self.rules,
            operator: self.operator,
        }
    }

    pub(super) fn open(&mut self, key: usize, id: i64) -> Option<&mut Open> {
        self.keys.get_mut(key)?.windows.get_mut(&id)
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
        let (from, start) = (self.source(state), self.rules.slice(time));
        if let Some(at) = self.keys.get_mut(key) {
            let before = at.slice(from, start, &mut self.values)?;
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

    pub(super) fn emit_for(&mut self, key: usize, id: i64, timing: Timing, cause: Cause) {
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
