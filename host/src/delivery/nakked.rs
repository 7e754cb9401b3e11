//! Counts the retries of messages that were nakked.
//!
//! JetStream counts deliveries, including those of killed hosts and of outages, so its count says nothing
//! about the plugins. A message that waits in the lane or in the parking stream carries its own count; a
//! nakked message comes back without one. If it comes back to another lane, the count starts again: the
//! message may then be tried more often than `retry.max-attempts`, but never less.

use super::in_progress::Key;
use std::collections::{HashMap, VecDeque};

/// Messages that are remembered; of more, the oldest are forgotten. As many as `max-ack-pending` allows
/// unless configured.
const MOST: usize = 16_384;

/// Counts by delivery.
#[derive(Debug, Default)]
pub struct Nakked {
    counts: HashMap<Key, u32>,
    /// In the order in which they were nakked; some may have come back since.
    order: VecDeque<Key>,
}

impl Nakked {
    /// A message goes back to the consumer after so many retries.
    pub fn remember(&mut self, delivery: Key, retries: u32) {
        if self.counts.insert(delivery, retries).is_none() {
            self.order.push_back(delivery);
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.counts.remove(&oldest);
            }
        }
    }

    /// A message has come: how often it was retried before.
    pub fn recall(&mut self, delivery: Key) -> u32 {
        if self.counts.is_empty() {
            return 0;
        }
        let retries = self.counts.remove(&delivery);
        if retries.is_some() {
            self.order.retain(|other| *other != delivery);
        }
        retries.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_comes_back_once_and_the_oldest_are_forgotten() {
        let mut nakked = Nakked::default();
        nakked.remember((false, 7), 2);
        assert_eq!(
            (nakked.recall((false, 7)), nakked.recall((false, 7))),
            (2, 0)
        );
        for sequence in 0..=MOST as u64 {
            nakked.remember((false, sequence), 1);
        }
        assert_eq!(
            (nakked.recall((false, 0)), nakked.recall((false, 1))),
            (0, 1)
        );
        assert_eq!(nakked.counts.len(), nakked.order.len());
    }
}
