//! Finds the windows of a key that a message or a timer concerns, and reads only these.

use super::keys::{Key, Open, Source, WINDOW, named, split};
use super::values::Values;
use crate::time::windows::{Kept, Kind, Stage, Window};
use smallvec::SmallVec;

impl Key<'_> {
    /// The window with this id, if there is one.
    pub(super) fn get(
        &mut self,
        from: Source<'_>,
        id: i64,
        values: &mut Values,
    ) -> wasmtime::Result<Option<&mut Open>> {
        if !self.windows.contains_key(&id) && !self.gone.contains(&(WINDOW, id)) {
            let key = self.name.as_bytes();
            if let Some(bytes) = from.state.get(from.operator, key, &named(WINDOW, id))? {
                self.take(from, id, bytes, values)?;
            }
        }
        Ok(self.windows.get_mut(&id))
    }

    /// The last window whose id is before this one.
    pub(super) fn before(
        &mut self,
        from: Source<'_>,
        id: i64,
        values: &mut Values,
    ) -> wasmtime::Result<Option<i64>> {
        let known = self.windows.range(..id).next_back().map(|(id, _)| *id);
        let mut before = id;
        loop {
            let (key, name) = (self.name.as_bytes(), named(WINDOW, before));
            let state = from.state;
            let Some(row) = state.last_before(from.operator, key, &[WINDOW], &name)? else {
                return Ok(known);
            };
            let found = id_of(row.0)?;
            if known.is_some_and(|known| known >= found) {
                return Ok(known);
            }
            if !self.gone.contains(&(WINDOW, found)) {
                self.take(from, found, row.1, values)?;
                return Ok(Some(found));
            }
            before = found;
        }
    }

    /// The first window whose id is this one or behind it.
    pub(super) fn next(
        &mut self,
        from: Source<'_>,
        id: i64,
        values: &mut Values,
    ) -> wasmtime::Result<Option<i64>> {
        let known = self.windows.range(id..).next().map(|(id, _)| *id);
        let key = self.name.as_bytes();
        let after = id.checked_sub(1).map(|before| named(WINDOW, before));
        let after = after.as_ref().map(<[u8; 9]>::as_slice);
        for row in from.state.scan(from.operator, key, &[WINDOW], after)? {
            let (name, bytes) = row?;
            let found = id_of(name)?;
            if known.is_some_and(|known| known <= found) {
                break;
            }
            if !self.gone.contains(&(WINDOW, found)) {
                self.take(from, found, bytes, values)?;
                return Ok(Some(found));
            }
        }
        Ok(known)
    }

    /// The ids of all sessions that may overlap a window, in order. Sessions do not overlap each other, and the id of each is
    /// a time in it: so these are the last one that begins before, those whose ids are in the window, and one more.
    pub(super) fn near(
        &mut self,
        from: Source<'_>,
        window: Window,
        values: &mut Values,
    ) -> wasmtime::Result<SmallVec<[i64; 4]>> {
        let before = self.before(from, window.start, values)?;
        let mut ids: SmallVec<[i64; 4]> = before.into_iter().collect();
        let mut start = window.start;
        while let Some(id) = self.next(from, start, values)? {
            ids.push(id);
            if id >= window.end {
                break;
            }
            start = id.saturating_add(1);
        }
        Ok(ids)
    }

    /// Those that the watermark has passed and that are not emitted yet, the earliest first; none if there are more than
    /// `most`, which are left to their timers. What is before a window that was closed was closed before it, or waits
    /// for its timer.
    pub(super) fn passed(
        &mut self,
        from: Source<'_>,
        watermark: i64,
        most: usize,
        values: &mut Values,
    ) -> wasmtime::Result<Vec<i64>> {
        if watermark < self.look_again {
            return Ok(Vec::new());
        }
        let mut before = watermark;
        self.look_again = watermark.saturating_add(1);
        if !matches!(from.rules.kind, Kind::Session { .. })
            && let Some(first) = from.rules.of(watermark).first()
        {
            // Windows of one size end in the order in which they begin.
            (before, self.look_again) = (first.start, first.end);
        }
        let mut passed = Vec::new();
        while let Some(id) = self.before(from, before, values)? {
            before = id;
            let Some(open) = self.windows.get(&id) else {
                break;
            };
            if open.kept.window.end > watermark {
                continue;
            }
            if open.kept.stage != Stage::Open {
                break;
            }
            if passed.len() == most {
                return Ok(Vec::new());
            }
            passed.push(id);
        }
        passed.reverse();
        Ok(passed)
    }

    /// Takes a window as the state has it.
    fn take(
        &mut self,
        from: Source<'_>,
        id: i64,
        bytes: &[u8],
        values: &mut Values,
    ) -> wasmtime::Result<()> {
        let Some((kept, accumulator)) = Kept::read(bytes) else {
            wasmtime::bail!("the state has a value that is not a window");
        };
        let known = |bytes| values.known(self.place, bytes);
        let open = Open {
            kept,
            accumulator: Some(accumulator).filter(|it| !it.is_empty()).map(known),
            by: None,
            is_first: false,
            timer: Some(from.rules.due(&kept)),
        };
        self.windows.insert(id, open);
        Ok(())
    }
}

fn id_of(name: &[u8]) -> wasmtime::Result<i64> {
    let id = split(name).map(|(_, id)| id);
    id.ok_or_else(|| wasmtime::Error::msg("the state has a name that no window has"))
}
