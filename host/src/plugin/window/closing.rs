//! Windows that the watermark has passed: closes them, and moves them to their next stage.

use super::keys::Key;
use super::plan::Plan;
use super::values::{Cause, Value};
use crate::state::State;
use crate::time::windows::{Stage, Timing};

/// Panes that a batch emits before the timers of their windows do. With more of them, the windows are left to their
/// timers, of which a commit carries out as many as it holds.
const AHEAD: usize = 256;

impl Plan<'_> {
    /// Before a message is added: closes the windows of a key that its watermark has passed. Those that it is in are
    /// closed in any case; if the others are many, they wait for their timers, and have the same results.
    pub(super) fn close_passed(
        &mut self,
        state: &State,
        key: usize,
        watermark: i64,
        by: usize,
        own: &[i64],
    ) -> wasmtime::Result<()> {
        let from = self.source(state);
        let most = match self.leaves_passed {
            true => 0,
            false => AHEAD.saturating_sub(self.emissions.len()),
        };
        let Some(at) = self.keys.get_mut(key) else {
            return Ok(());
        };
        let mut passed = at.passed(from, watermark, most, &mut self.values)?;
        for id in own {
            let open = at.get(from, *id, &mut self.values)?;
            let is_open = open.is_some_and(|open| open.kept.stage == Stage::Open);
            if is_open && !passed.contains(id) {
                passed.push(*id);
            }
        }
        passed.sort_unstable();
        let is_passed = |at: &Key<'_>, id: &i64| {
            let open = at.windows.get(id);
            open.is_some_and(|open| open.kept.window.end <= watermark)
        };
        passed.retain(|id| is_passed(at, id) && !self.left.contains(&(key, *id)));
        for id in passed {
            self.close(state, key, id, watermark, by, true)?;
        }
        Ok(())
    }

    /// Closes a window: it emits its on-time pane, if it `emits`.
    pub(super) fn close(
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
        let (from, mut slices) = (self.source(state), Vec::new());
        if self.rules.has_slices()
            && let Some(at) = self.keys.get_mut(key)
            && let Some(window) = at.windows.get(&id).map(|open| open.kept.window)
        {
            slices = at.slices_of(from, window, &mut self.values)?;
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
                at.release_slice(from, start, &mut self.values)?;
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
    pub(super) fn go_on(&mut self, key: usize, id: i64, watermark: i64, by: usize) {
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
}
