//! A state whose rows are on disk, for its owner.

use super::{Location, Mark};
use crate::state::codec::Corrupt;
use crate::state::rows::Rows;
use crate::state::store::Store;
use crate::state::{Groups, State};

impl State {
    /// The state that is kept there, or an empty one in its place. One that is not whole, or of another
    /// identity or partition, is thrown away; why is returned beside it. So is every other, without `keep`.
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

    /// Where in the log the state is, if it is on disk and whole.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        match &self.store.rows {
            Rows::Disk(disk) => disk.mark.as_ref().filter(|_| disk.files.broken().is_none()),
            Rows::Memory(_) => None,
        }
    }

    /// The state is there in the log: what is in it but for writes that are not confirmed. A state on disk keeps it with
    /// that; with no mark it is of no one place, and only what is noted later is kept.
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
