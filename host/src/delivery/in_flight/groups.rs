//! Tasks that must keep their sequence: those of one key, or all.
//!
//! A task is told its group and its slot there when it joins, so that nothing is searched for.

use crate::delivery::in_flight::TaskId;
use bytestring::ByteString;
use slab::Slab;
use std::collections::{HashMap, VecDeque};

/// Where a task stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    group: usize,
    /// Counted from the first that ever joined.
    number: u64,
}

/// All groups that hold a task.
#[derive(Default)]
pub(crate) struct Groups {
    by_key: HashMap<ByteString, usize>,
    groups: Slab<Group>,
}

struct Group {
    key: ByteString,
    /// In sequence; `None` for one that has left before others. The front is never `None`.
    tasks: VecDeque<Option<TaskId>>,
    /// The number of the front.
    front: u64,
}

impl Groups {
    /// Puts a task behind all others of its key.
    pub(crate) fn join(&mut self, key: ByteString, task: TaskId) -> Slot {
        let group = match self.by_key.get(&key) {
            Some(group) => *group,
            None => {
                let group = self.groups.insert(Group {
                    key: key.clone(),
                    tasks: VecDeque::new(),
                    front: 0,
                });
                self.by_key.insert(key, group);
                group
            }
        };
        let number = self.groups.get_mut(group).map_or(0, |group| {
            group.tasks.push_back(Some(task));
            group.front + group.tasks.len() as u64 - 1
        });
        Slot { group, number }
    }

    /// Whether nothing is before it.
    pub(crate) fn is_head(&self, slot: Slot) -> bool {
        let group = self.groups.get(slot.group);
        group.is_none_or(|group| group.front == slot.number)
    }

    /// The task right before it.
    pub(crate) fn before(&self, slot: Slot) -> Option<TaskId> {
        let group = self.groups.get(slot.group)?;
        let before = group.tasks.range(..group.index(slot));
        before.rev().find_map(|task| *task)
    }

    /// It, and those behind it, in sequence.
    pub(crate) fn from(&self, slot: Slot) -> impl Iterator<Item = TaskId> {
        let group = self.groups.get(slot.group);
        let tasks = group.map(|group| group.tasks.range(group.index(slot)..));
        tasks.into_iter().flatten().filter_map(|task| *task)
    }

    /// Takes it out. The one that is at the front now, if there is one.
    pub(crate) fn leave(&mut self, slot: Slot) -> Option<TaskId> {
        let group = self.groups.get_mut(slot.group)?;
        let index = group.index(slot);
        if let Some(task) = group.tasks.get_mut(index) {
            *task = None;
        }
        while let Some(None) = group.tasks.front() {
            group.tasks.pop_front();
            group.front += 1;
        }
        let front = group.tasks.front().copied().flatten();
        if front.is_none() {
            let group = self.groups.remove(slot.group);
            self.by_key.remove(&group.key);
        }
        front
    }
}

impl Group {
    /// Never behind the end, so that it can begin a range.
    fn index(&self, slot: Slot) -> usize {
        let index = slot.number.saturating_sub(self.front);
        usize::try_from(index)
            .unwrap_or(usize::MAX)
            .min(self.tasks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_key_keep_their_sequence_when_one_leaves_from_the_middle() {
        let mut groups = Groups::default();
        let key = |key: &'static str| ByteString::from_static(key);
        let places: Vec<Slot> = (0..4).map(|task| groups.join(key("a"), task)).collect();
        let other = groups.join(key("b"), 9);
        let [first, second, third, last] = places.as_slice() else {
            unreachable!("four have joined")
        };
        assert_eq!(groups.leave(*second), Some(0));
        assert_eq!(groups.before(*third), Some(0));
        assert!(groups.is_head(*first) && !groups.is_head(*third));
        assert!(groups.from(*first).eq([0, 2, 3]));
        assert_eq!(groups.leave(*first), Some(2));
        assert!(groups.is_head(*third));
        assert_eq!(groups.before(*third), None);
        assert_eq!(groups.leave(*third), Some(3));
        assert_eq!(groups.leave(*last), None);
        assert_eq!(groups.by_key.len(), 1);
        assert!(groups.is_head(other));
        let again = groups.join(key("a"), 5);
        assert!(groups.is_head(again) && groups.from(again).eq([5]));
    }
}
