//! The publishes without an answer, under increasing numbers: the oldest is always known, and an entry needs
//! no allocation.

use std::collections::VecDeque;

/// Slots per entry that may wait before the window counts as full: behind one answer that does not
/// come, the slots of all later ones stay.
const SPARSE: usize = 16;

/// Entries by number, from the oldest that still waits.
pub struct Window<T> {
    /// The number of the first slot.
    first: u64,
    /// `None` where the answer has come.
    slots: VecDeque<Option<T>>,
    waiting: usize,
    most: usize,
}

impl<T> Window<T> {
    /// For at most so many entries that wait.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            first: 0,
            slots: VecDeque::new(),
            waiting: 0,
            most,
        }
    }

    /// The number that the next entry will have.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// No entry before this number waits.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// An entry that waits.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&T> {
        let slot = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get(slot)?.as_ref()
    }

    /// As [`get`](Self::get), to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let slot = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Adds an entry, whose number is [`next`](Self::next).
    pub fn push(&mut self, entry: T) {
        self.slots.push_back(Some(entry));
        self.waiting += 1;
    }

    /// The answer to an entry has come. `None` if it does not wait.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let slot = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let entry = self.slots.get_mut(slot)?.take()?;
        self.waiting -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        Some(entry)
    }

    /// The entry that waits for longest.
    #[must_use]
    pub fn oldest(&self) -> Option<&T> {
        self.slots.front()?.as_ref()
    }

    /// All that wait, oldest first, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let numbers = self.first..;
        let slots = numbers.zip(&self.slots);
        slots.filter_map(|(number, entry)| Some((number, entry.as_ref()?)))
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether an answer must come before the next entry.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting >= self.most || self.slots.len() >= self.most.saturating_mul(SPARSE)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_agrees_with_a_map_whatever_comes_in_which_order(steps in prop::collection::vec(any::<u16>(), 1..400)) {
            let mut window = Window::new(1000);
            let mut map = BTreeMap::new();
            for step in steps {
                if step % 2 == 0 {
                    map.insert(window.next(), step);
                    window.push(step);
                } else {
                    let number = u64::from(step / 2) % (window.next() + 2);
                    prop_assert_eq!(window.get(number), map.get(&number));
                    prop_assert_eq!(window.remove(number), map.remove(&number));
                }
                prop_assert_eq!(window.is_empty(), map.is_empty());
                prop_assert_eq!(window.oldest(), map.values().next());
                prop_assert_eq!(window.first(), map.keys().next().copied().unwrap_or(window.next()));
                prop_assert!(window.iter().eq(map.iter().map(|(number, entry)| (*number, entry))));
            }
        }
    }

    #[test]
    fn it_is_full_when_so_many_wait_or_one_has_held_up_the_rest_for_long() {
        let mut window = Window::new(2);
        window.push("held up");
        assert!(!window.is_full());
        for _ in 0..30 {
            let number = window.next();
            window.push("answered");
            assert!(window.is_full());
            window.remove(number).unwrap();
            assert!(!window.is_full());
        }
        window.push("one more");
        window.remove(window.next() - 1).unwrap();
        assert!(window.is_full());
        window.remove(0).unwrap();
        assert!(!window.is_full() && window.is_empty());
    }
}
