//! A state whose rows are on disk, for its owner.

use super::{Location, Mark};
use crate::state::codec::Corrupt;
use crate::state::rows::Rows;
use crate::state::store::Store;
use crate::state::{Groups, State};

impl State {
    /// The stored state, or an empty one instead. A state that is damaged, or has another identity or
    /// partition, is deleted, and the reason is returned with it. Without `keep` every state is deleted.
    ///
    /// # Errors
    /// When nothing can be kept there.
    pub fn on_disk<'a>(
        groups: &Groups,
        operators: impl IntoIterator<Item = &'a str>,
        budget: u64,
        at: &Location,
        keep: bool,
    ) -> Result<(Self, Option<String>), String> {
        let (mut store, discarded) = Store::open(groups, at, keep)?;
        for id in operators {
            let known = store.operators.intern(id);
            known.map_err(|Corrupt(why)| why.to_owned())?;
        }
        Ok((Self::of(store, budget), discarded))
    }

    /// The position of the state in the log, if the state is on disk and not damaged.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        match &self.store.rows {
            Rows::Disk(disk) => disk.mark.as_ref().filter(|_| disk.files.broken().is_none()),
            Rows::Memory(_) => None,
        }
    }

    /// Sets the position of the committed state in the log. A state on disk stores it together with its rows;
    /// without a mark the state has no single position, and only later marks are stored.
    pub fn note(&mut self, mark: Option<&Mark>) {
        if mark.is_none() || self.mark() != mark {
            self.store.note(mark);
        }
    }

    /// Why nothing of it is to be used or committed any more: it could not be read or written. What was read since
    /// may be wrong.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        match &self.store.rows {
            Rows::Disk(disk) => disk.files.broken(),
            Rows::Memory(_) => None,
        }
    }
}
