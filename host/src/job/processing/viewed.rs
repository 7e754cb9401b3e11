//! What a partition adds to the views of its job: values from results, and state values that its writes
//! change.

use super::Processing;
use crate::config::resolved::{View, ViewFrom};
use crate::job::views;
use crate::job::work::{Effects, Room, Unsealed};
use crate::outgoing::OutgoingMessage;
use crate::state::{Cursor, Operator, Shown, State};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows of the state that are looked at for one commit, to fill views.
const ROWS: usize = 10_000;

/// The views that have all of the state, and those that are to get it.
#[derive(Default)]
pub(super) struct Filling {
    done: Arc<BTreeSet<String>>,
    /// By their places; the first is at work.
    left: Vec<usize>,
    at: Cursor,
}

impl Filling {
    pub(super) fn done(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.done)
    }
}

impl Processing {
    /// What the results are in the views of the job.
    pub(super) fn view(&mut self, effects: &mut Effects) {
        let all = of_job(&self.shared.settings);
        let count = all.iter().filter(|it| it.from == ViewFrom::Results).count();
        if count == 0 {
            return;
        }
        let partition = self.partition();
        for result in effects.outputs.iter().filter(|it| !it.is_late) {
            let values = views::values(all, partition, result);
            let before = effects.views.len();
            effects.views.extend(values);
            let missing = count - (effects.views.len() - before);
            self.gathered.not_viewed += missing as u64;
        }
    }

    /// What the writes since the last commit make, in the state and in the views of it.
    pub(super) fn unsealed_views(&self) -> Unsealed {
        let state = self.state.lock();
        let mut unsealed = Unsealed {
            delta: state.unsealed(),
            ..Unsealed::default()
        };
        for (_, changed) in changed(of_job(&self.shared.settings), &state) {
            unsealed.values += 1;
            unsealed.bytes += views::size(&changed);
        }
        unsealed
    }

    /// The partition is claimed; these views have all of its state.
    pub(super) fn begin_filling(&mut self, done: &BTreeSet<String>) {
        let views = of_job(&self.shared.settings).iter().enumerate();
        let of_state = views.filter(|(_, view)| view.from != ViewFrom::Results);
        let of_state = of_state.map(|(place, view)| (place, view.identity()));
        let (done, left): (Vec<_>, Vec<_>) = of_state.partition(|(_, id)| done.contains(id));
        self.filling = Filling {
            done: Arc::new(done.into_iter().map(|(_, id)| id).collect()),
            left: left.into_iter().map(|(place, _)| place).collect(),
            at: Cursor::default(),
        };
    }

    /// See [`Work::fill`](crate::job::work::Work::fill).
    pub(super) fn fill_views(&mut self, room: &Room) -> Option<Vec<OutgoingMessage>> {
        loop {
            let (is_whole, values) = self.fill_view(room)?;
            // One that had nothing to begin with makes no commit.
            if !is_whole || !values.is_empty() {
                return Some(values);
            }
        }
    }

    /// Continues to fill the current view, and returns whether it is complete; none if there is no view to
    /// fill.
    fn fill_view(&mut self, room: &Room) -> Option<(bool, Vec<OutgoingMessage>)> {
        let place = *self.filling.left.first()?;
        let partition = self.partition();
        let view = of_job(&self.shared.settings).get(place)?;
        let (mut values, mut bytes, mut missing) = (Vec::new(), 0, 0);
        let mut take = |shown: &Shown<'_>| {
            let is_long = shown.value.is_some_and(|value| value.len() > room.longest);
            let Some(value) = views::of_state(view, partition, shown, room.longest) else {
                missing += 1;
                return true;
            };
            bytes += views::size(shown);
            let has_room = bytes <= room.bytes || values.is_empty();
            let fits = values.len() < room.messages && has_room;
            values.extend(fits.then_some(value));
            missing += u64::from(fits && is_long);
            fits
        };
        let mut state = self.state.lock();
        // What was read before is not needed any more.
        let now = state.now();
        state.begin(now);
        let of = of_state(view, &state);
        let is_whole = of.is_none_or(|of| state.show(of, &mut self.filling.at, ROWS, &mut take));
        drop(state);
        self.gathered.not_viewed += missing;
        if is_whole {
            self.filling.at = Cursor::default();
            self.filling.left.remove(0);
            Arc::make_mut(&mut self.filling.done).insert(view.identity());
        }
        Some((is_whole, values))
    }

    /// What the writes since the last commit are in the views of the job.
    pub(super) fn view_state(&mut self, longest: usize) -> Vec<OutgoingMessage> {
        let mut values = Vec::new();
        let (all, partition) = (of_job(&self.shared.settings), self.partition());
        let state = self.state.lock();
        for (view, changed) in changed(all, &state) {
            let is_long = changed.value.is_some_and(|value| value.len() > longest);
            let value = views::of_state(view, partition, &changed, longest);
            self.gathered.not_viewed += u64::from(is_long || value.is_none());
            values.extend(value);
        }
        values
    }
}

fn of_job(settings: &crate::config::resolved::Pipeline) -> &[View] {
    let job = settings.job.as_ref();
    job.map(|job| &*job.views).unwrap_or_default()
}

/// The values of the state that the writes since the last commit have changed, by view.
fn changed<'a>(views: &'a [View], state: &'a State) -> impl Iterator<Item = (&'a View, Shown<'a>)> {
    views.iter().flat_map(move |view| {
        let changed = of_state(view, state).map(|(operator, name)| state.changed(operator, name));
        changed.into_iter().flatten().map(move |it| (view, it))
    })
}

/// What of the state it has: the operator, and the name of its values.
fn of_state<'a>(view: &'a View, state: &State) -> Option<(Operator, &'a [u8])> {
    match &view.from {
        ViewFrom::State { operator, value } => {
            let operator = state.operator(operator)?;
            Some((operator, value.as_bytes()))
        }
        ViewFrom::Results => None,
    }
}
