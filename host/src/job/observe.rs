//! Reads the state of a partition as of a checkpoint, while its owner continues. Pure.
//!
//! The reader claims nothing, so the log changes meanwhile: new snapshots replace old ones, and deltas that
//! they include are purged. The result is right if the deltas after the oldest snapshot are complete up to
//! the checkpoint, and no snapshot is newer than the checkpoint. Otherwise the state is read again.

use super::compaction::Compaction;
use super::log::{Held, LogError, Stored};
use crate::state::{Groups, State};
use std::fmt;
use std::ops::Range;

/// Memory for a state, in bytes as they count against the budget.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// What others have of it already.
    pub used: u64,
    pub most: u64,
}

impl Room {
    /// As much as there is.
    pub const ANY: Self = Self {
        used: 0,
        most: u64::MAX,
    };

    /// # Errors
    /// When so many bytes more do not fit.
    pub fn holds(self, bytes: u64) -> Result<(), TooLarge> {
        let fits = self.used.saturating_add(bytes) <= self.most;
        fits.then_some(()).ok_or(TooLarge { most: self.most })
    }
}

/// A state does not fit into its [`Room`].
#[derive(Clone, Copy, Debug)]
pub struct TooLarge {
    most: u64,
}

impl std::error::Error for TooLarge {}

impl fmt::Display for TooLarge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the state takes more than {} bytes", self.most)
    }
}

impl Observed {
    /// What the state takes, as it counts against the budget.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state.usage().bytes
    }
}

/// A reading under way.
pub struct Observation {
    state: State,
    compaction: Compaction,
    /// The number of the last delta that is in the state; none before the first.
    log: Option<u64>,
    /// The furthest that a snapshot reaches.
    furthest: u64,
    /// Bytes of the deltas.
    bytes: u64,
    room: Room,
}

/// What was read.
pub struct Observed {
    pub held: Held,
    pub state: State,
    /// Bytes of the deltas that are needed for it.
    pub log_bytes: u64,
}

impl Observation {
    /// Of the groups `wanted` of a partition with these groups.
    #[must_use]
    pub fn new(of: Groups, wanted: Range<u16>, room: Room) -> Option<Self> {
        Some(Self {
            state: State::new(of, [], u64::MAX).ok()?,
            compaction: Compaction::new(wanted, 0),
            log: None,
            furthest: 0,
            bytes: 0,
            room,
        })
    }

    /// Takes what was read next: snapshots, then deltas.
    ///
    /// # Errors
    /// When it cannot be read, belongs to another partition, or does not fit. Permanent.
    pub fn take(&mut self, stored: Stored) -> Result<(), LogError> {
        let unreadable = |why: &dyn std::fmt::Display| LogError::Permanent(why.to_string());
        match stored {
            Stored::Checkpoint(_) => {}
            Stored::Snapshot(snapshot) => {
                let (group, reach) = (snapshot.group, snapshot.reach);
                if !self.compaction.written(group, reach) {
                    let reason = format!("group {group} is not one of this partition");
                    return Err(LogError::Permanent(reason));
                }
                self.furthest = self.furthest.max(reach);
                let restored = self.state.restore(group, &snapshot.content);
                restored.map_err(|error| unreadable(&error))?;
            }
            Stored::Delta(delta, _) => {
                let log = *self.log.get_or_insert(self.compaction.oldest());
                if delta.number == log + 1 {
                    let applies = |group| self.compaction.applies(group, delta.number);
                    let replayed = self.state.replay(&delta.content, &applies);
                    replayed.map_err(|error| unreadable(&error))?;
                    self.log = Some(delta.number);
                    self.bytes += delta.content.len() as u64;
                }
            }
        }
        self.fits().map_err(|error| unreadable(&error))
    }

    /// # Errors
    /// When the state does not fit.
    pub fn fits(&self) -> Result<(), TooLarge> {
        self.room.holds(self.state.usage().bytes)
    }

    /// Ends the reading, which came upon this checkpoint. None if something was missing.
    #[must_use]
    pub fn finish(self, held: Held) -> Option<Observed> {
        let log = self.log.unwrap_or_else(|| self.compaction.oldest());
        let expected = held.checkpoint.log;
        (log == expected && self.furthest <= expected).then_some(Observed {
            held,
            state: self.state,
            log_bytes: self.bytes,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::job::log::{Checkpoint, Delta, Fence, Snapshot};

    /// A state in which one key was counted so often, with the deltas.
    fn counted(times: u64) -> (State, Vec<bytes::Bytes>) {
        let mut state = State::new(Groups::all(), ["op"], u64::MAX).unwrap();
        let op = state.operator("op").unwrap();
        let count = |number: u64| {
            state.begin(number);
            let set = state.set(op, b"a", b"n", number.to_string().as_bytes(), None);
            set.unwrap();
            let delta = state.seal().unwrap();
            state.confirmed();
            delta
        };
        let deltas = (1..=times).map(count).collect();
        (state, deltas)
    }

    #[test]
    fn what_was_read_counts_only_if_no_delta_is_missing_and_no_snapshot_is_from_later() {
        let group = crate::state::Group::of(b"a");
        let (_, deltas) = counted(5);
        let read = |snapshot: Option<u64>, from: u64, upto: u64, at: u64| {
            let mut reading =
                Observation::new(Groups::all(), group.number()..group.number() + 1, Room::ANY)
                    .unwrap();
            // One that is replaced while it is read comes twice.
            for reach in snapshot.into_iter().flat_map(|reach| [reach - 1, reach]) {
                let content = counted(reach).0.snapshot(group);
                let group = group.number();
                let snapshot = Snapshot {
                    group,
                    reach,
                    content,
                };
                reading.take(Stored::Snapshot(snapshot)).unwrap();
            }
            for (number, content) in (1..)
                .zip(&deltas)
                .filter(|(number, _)| (from..=upto).contains(number))
            {
                let content = content.clone();
                reading
                    .take(Stored::Delta(Delta { number, content }, Fence(number)))
                    .unwrap();
            }
            let checkpoint = Checkpoint {
                log: at,
                ..Checkpoint::default()
            };
            let found = reading.finish(Held {
                fence: Fence(9),
                checkpoint,
            })?;
            let op = found.state.operator("op")?;
            Some(String::from_utf8_lossy(found.state.get(op, b"a", b"n").unwrap()?).into_owned())
        };
        let five = Some("5".to_owned());
        assert_eq!(read(None, 1, 5, 5), five);
        assert_eq!(read(Some(3), 4, 5, 5), five);
        assert_eq!(read(Some(3), 1, 5, 5), five);
        assert_eq!(read(Some(5), 6, 5, 5), five);
        // A snapshot was replaced, and the deltas before it purged; one is from after the checkpoint.
        assert_eq!(read(None, 3, 5, 5), None);
        assert_eq!(read(Some(2), 4, 5, 5), None);
        assert_eq!(read(Some(5), 1, 4, 4), None);
        assert_eq!(read(Some(3), 4, 4, 5), None);
    }

    #[test]
    fn a_state_that_is_too_large_beside_others_is_not_read_to_its_end() {
        let (state, deltas) = counted(1);
        let bytes = state.usage().bytes;
        let read = |used: u64| {
            let room = Room { used, most: 1000 };
            let mut reading =
                Observation::new(Groups::all(), Groups::all().numbers(), room).unwrap();
            let (number, content) = (1, deltas.first().unwrap().clone());
            let taken = reading.take(Stored::Delta(Delta { number, content }, Fence(1)));
            assert_eq!(taken.is_ok(), reading.fits().is_ok());
            taken.is_ok()
        };
        assert!(read(1000 - bytes));
        assert!(!read(1001 - bytes));
        assert!(!read(u64::MAX));
    }
}
