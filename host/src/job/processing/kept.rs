//! Where the state of a partition is, in RAM or on disk, and whether the pipeline reads it.

use super::Processing;
use crate::config::resolved::ViewFrom;
use crate::config::windows;
use crate::job::shared::Shared;
use crate::job::work::Unreadable;
use crate::state::{Corrupt, Groups, Location, Mark, Operator, State, Usage};

impl Processing {
    /// The same with a state on disk. It is opened when it is needed.
    #[must_use]
    pub fn on_disk(self, disk: Option<Location>) -> Self {
        Self { disk, ..self }
    }

    /// The state is not needed any more. What is on disk stays there.
    pub fn close(&mut self) {
        self.unusable = None;
        if let Ok(empty) = empty(&self.shared, &self.groups) {
            *self.state.lock() = empty;
        }
        self.forget();
    }

    /// Replaces the state by an empty one; with `keep`, by the state on disk if there is one and it is whole.
    pub(super) fn open(&mut self, keep: bool) {
        // One on disk is closed before it is opened again.
        self.close();
        if let Some(at) = &self.disk {
            let shared = &self.shared;
            let (names, budget) = (names(shared), shared.state_bytes);
            match State::on_disk(&self.groups, names, budget, at, keep) {
                Ok((state, discarded)) => {
                    *self.state.lock() = set_up(state, shared);
                    if let Some(why) = discarded {
                        shared.metrics.job_states_discarded.inc();
                        let (pipeline, partition) = (&shared.settings.name, self.partition());
                        tracing::warn!(
                            pipeline,
                            partition,
                            "the state on disk is thrown away, and is read from the stream of the job: {why}"
                        );
                    }
                }
                Err(why) => self.unusable = Some(why),
            }
        }
        let state = self.state.lock();
        let known = names(&self.shared).map(|name| state.operator(name));
        self.operators = known.map(|known| known.unwrap_or(Operator::HOST)).collect();
    }

    /// Takes what is kept on disk, if it was not found to be damaged.
    pub(super) fn open_kept(&mut self) -> Option<Mark> {
        let is_there = self.disk.as_ref().is_some_and(Location::exists);
        if !is_there || self.state.lock().broken().is_some() {
            return None;
        }
        self.open(true);
        self.state.lock().mark().cloned()
    }
}

/// An empty state in RAM.
pub(super) fn empty(shared: &Shared, groups: &Groups) -> Result<State, Corrupt> {
    let state = State::new(groups.clone(), names(shared), shared.state_bytes)?;
    Ok(set_up(state, shared))
}

/// The same with what the pipeline says of its values.
fn set_up(state: State, shared: &Shared) -> State {
    let views = shared.settings.job.iter().flat_map(|job| &job.views);
    let viewed = views.filter_map(|view| match &view.from {
        ViewFrom::State { operator, value } => Some((&**operator, &**value)),
        ViewFrom::Results => None,
    });
    state.with_ttl(shared.state_ttl).with_viewed(viewed)
}

/// How large a state is, whose values are of operators of the pipeline in formats that their plugins read.
pub(super) fn readable(state: &State, shared: &Shared) -> Result<Usage, Unreadable> {
    let known = |id: &str| names(shared).any(|known| known == id);
    match state.occupied().find(|id| !known(id)) {
        Some(id) => Err(orphan(id)),
        None => shared.check(state.formats()).map_err(Unreadable),
    }?;
    Ok(state.usage())
}

/// The state has values of an operator that the pipeline has not.
fn orphan(id: &str) -> Unreadable {
    Unreadable(match windows::parts(id) {
        (id, None) => format!(
            "the state has values of operator `{id}`, which the pipeline does not have; give the operator its \
             old name, give the pipeline another name, or delete the state with `weir job reset`"
        ),
        (id, Some(windows)) => format!(
            "the state has values of operator `{id}` with the windows `{windows}`, which the pipeline does not \
             have; give the operator its old name and windows, give the pipeline another name, or delete the state with \
             `weir job reset`"
        ),
    })
}

fn names(shared: &Shared) -> impl Iterator<Item = &str> {
    shared.state_ids.iter().map(String::as_str)
}
