//! The windows of a key, as stored in the state and as a batch changes them.
//!
//! A window is a value of its key, named `w` and its id, and a timer of event time with that tag, for its
//! next stage. The id is the start of the window; a session keeps the id of its first message. A slice is a
//! value named `s` and its start. A timer of processing time for an early pane has the tag `e` and the id. An
//! id has 8 bytes that sort like the numbers.

use super::values::{Value, Values};
use crate::state::{Clock, Operator, Refused, State};
use crate::time::windows::{Kept, Stage, Window, Windows};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const WINDOW: u8 = b'w';
const SLICE: u8 = b's';
const EARLY: u8 = b'e';

/// What a timer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// The next stage of the window with this id.
    Window(i64),
    /// An early pane of it.
    Early(i64),
}

impl Tag {
    /// `None` for a tag that no window has set.
    pub(super) fn read(tag: &[u8]) -> Option<Self> {
        let (kind, id) = split(tag)?;
        match kind {
            WINDOW => Some(Self::Window(id)),
            EARLY => Some(Self::Early(id)),
            _ => None,
        }
    }
}

/// Where windows are read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub state: &'a State,
    pub rules: &'a Windows,
    pub operator: Operator,
}

/// The windows of a key. A batch reads those that its messages and timers concern, however many there are.
pub(super) struct Key<'a> {
    pub name: &'a str,
    pub(super) place: usize,
    /// Those that were asked for, by their ids, which have the order of their times.
    pub windows: BTreeMap<i64, Open>,
    /// The watermark that may pass more windows than those that were looked for.
    pub look_again: i64,
    /// Those that were asked for, by their starts.
    slices: BTreeMap<i64, Slice>,
    pub(super) gone: BTreeSet<(u8, i64)>,
}

/// A window.
pub(super) struct Open {
    pub kept: Kept,
    pub accumulator: Option<Value>,
    /// The last of the batch that changed it.
    pub by: Option<usize>,
    /// Its early timer starts again.
    pub is_first: bool,
    /// When its timer is due in the state.
    pub(super) timer: Option<i64>,
}

struct Slice {
    accumulator: Value,
    by: Option<usize>,
}

impl<'a> Key<'a> {
    /// The key with this place in the batch.
    pub(super) fn new(name: &'a str, place: usize) -> Self {
        Self {
            name,
            place,
            windows: BTreeMap::new(),
            look_again: i64::MIN,
            slices: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// The window with this id, which there is from now on.
    pub(super) fn open(
        &mut self,
        from: Source<'_>,
        id: i64,
        (window, watermark): (Window, i64),
        values: &mut Values,
    ) -> wasmtime::Result<&mut Open> {
        self.get(from, id, values)?;
        Ok(self.windows.entry(id).or_insert_with(|| Open {
            kept: Kept::new(window, watermark),
            accumulator: None,
            by: None,
            is_first: false,
            timer: None,
        }))
    }

    /// Ends a window.
    pub(super) fn remove(&mut self, id: i64) -> Option<Open> {
        self.gone.insert((WINDOW, id));
        self.windows.remove(&id)
    }

    /// The accumulator of a slice, if it has one.
    pub(super) fn slice(
        &mut self,
        from: Source<'_>,
        start: i64,
        values: &mut Values,
    ) -> Result<Option<Value>, Refused> {
        if !self.slices.contains_key(&start) && !self.gone.contains(&(SLICE, start)) {
            let key = self.name.as_bytes();
            let found = from.state.get(from.operator, key, &named(SLICE, start))?;
            if let Some(bytes) = found {
                self.keep_slice(start, values.known(self.place, bytes), None);
            }
        }
        Ok(self.slices.get(&start).map(|slice| slice.accumulator))
    }

    pub(super) fn keep_slice(&mut self, start: i64, accumulator: Value, by: Option<usize>) {
        self.slices.insert(start, Slice { accumulator, by });
    }

    /// The slices of a window, in order.
    pub(super) fn slices_of(
        &mut self,
        from: Source<'_>,
        window: Window,
        values: &mut Values,
    ) -> wasmtime::Result<Vec<(i64, Value)>> {
        let (state, key) = (from.state, self.name.as_bytes());
        let after = named(SLICE, window.start.saturating_sub(1));
        let rows = state.scan(from.operator, key, &[SLICE], Some(&after))?;
        for row in rows {
            let (row, bytes) = row?;
            let Some((_, start)) = split(row).filter(|(_, start)| *start < window.end) else {
                break;
            };
            if !self.slices.contains_key(&start) && !self.gone.contains(&(SLICE, start)) {
                self.keep_slice(start, values.known(self.place, bytes), None);
            }
        }
        let slices = self.slices.range(window.start..window.end);
        Ok(slices
            .map(|(start, slice)| (*start, slice.accumulator))
            .collect())
    }

    /// Ends a slice if no window needs it any more.
    pub(super) fn release_slice(
        &mut self,
        from: Source<'_>,
        start: i64,
        values: &mut Values,
    ) -> wasmtime::Result<()> {
        let over = from.rules.over(start);
        let first = self.next(from, over.0, values)?;
        if first.is_none_or(|first| first > over.1) {
            self.slices.remove(&start);
            self.gone.insert((SLICE, start));
        }
        Ok(())
    }

    /// Writes what has changed. Whose writes were refused for want of room is returned.
    pub(super) fn write(
        &self,
        rules: &Windows,
        state: &mut State,
        operator: Operator,
        values: &Values,
    ) -> Result<Vec<(usize, Refused)>, Refused> {
        let key = self.name.as_bytes();
        for (kind, id) in &self.gone {
            let is_there = *kind == WINDOW && self.windows.contains_key(id);
            if is_there || self.slices.contains_key(id) && *kind == SLICE {
                continue;
            }
            state.delete(operator, key, &named(*kind, *id))?;
            if *kind == WINDOW {
                state.delete_timer(operator, key, &named(WINDOW, *id))?;
                state.delete_timer(operator, key, &named(EARLY, *id))?;
            }
        }
        let mut refused = Vec::new();
        for (start, slice) in &self.slices {
            let Some(by) = slice.by else { continue };
            let bytes = values.bytes(Some(slice.accumulator));
            let set = state.set_for_good(operator, key, &named(SLICE, *start), bytes);
            refused.extend(no_room(by, set)?);
        }
        for (id, open) in &self.windows {
            let Some(by) = open.by else { continue };
            let set = open.write(rules, state, operator, key, *id, values);
            refused.extend(no_room(by, set)?);
        }
        Ok(refused)
    }
}

impl Open {
    /// The state does not have it yet.
    pub(super) fn is_new(&self) -> bool {
        self.timer.is_none()
    }

    fn write(
        &self,
        rules: &Windows,
        state: &mut State,
        operator: Operator,
        key: &[u8],
        id: i64,
        values: &Values,
    ) -> Result<(), Refused> {
        let bytes = self.kept.write(values.bytes(self.accumulator));
        state.set_for_good(operator, key, &named(WINDOW, id), &bytes)?;
        let due = rules.due(&self.kept);
        if self.timer != Some(due) {
            let at = u64::try_from(due).unwrap_or_default();
            state.set_timer(operator, key, &named(WINDOW, id), Clock::EventTime, at)?;
        }
        let Some(interval) = rules.early.interval else {
            return Ok(());
        };
        let tag = named(EARLY, id);
        if self.kept.stage != Stage::Open {
            return state.delete_timer(operator, key, &tag);
        }
        if self.is_first {
            let at = state.now().saturating_add(interval);
            return state.set_timer(operator, key, &tag, Clock::ProcessingTime, at);
        }
        Ok(())
    }
}

/// Whose write found no room. Other refusals are errors.
fn no_room(by: usize, set: Result<(), Refused>) -> Result<Option<(usize, Refused)>, Refused> {
    match set {
        Err(refused @ Refused::Budget { .. }) => Ok(Some((by, refused))),
        set => set.map(|()| None),
    }
}

pub(super) fn named(kind: u8, id: i64) -> [u8; 9] {
    let mut name = [kind; 9];
    let id = id.wrapping_sub(i64::MIN).to_be_bytes();
    for (to, from) in name.iter_mut().skip(1).zip(id) {
        *to = from;
    }
    name
}

pub(super) fn split(name: &[u8]) -> Option<(u8, i64)> {
    let (kind, id) = name.split_first()?;
    let id = i64::from_be_bytes(id.try_into().ok()?);
    Some((*kind, id.wrapping_add(i64::MIN)))
}
