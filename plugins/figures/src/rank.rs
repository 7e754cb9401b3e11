//! What comes first, and at which place.

use crate::shown::Shown;
use crate::value::{Kept, compared};
use std::cmp::Ordering;

/// Which messages are ranked first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    pub highest: bool,
    pub show: Shown,
    pub most: usize,
    /// Whether those that are equal to the last of them are shown, too.
    pub ties: bool,
    /// What the rank is called, if it is shown.
    pub rank: Option<String>,
}

/// When a message happened: its event time, and its sequence in the stream.
pub type At = (u64, u64);

/// By what a message is ranked (null: by time alone), when it happened, and what is shown of it.
pub type Row = (Kept, At, Kept);

impl Ranking {
    /// Which of these numbers is ranked first.
    pub fn order(&self, one: &str, other: &str) -> Ordering {
        match self.highest {
            true => compared(other, one),
            false => compared(one, other),
        }
    }

    /// Whether a message with this number comes behind as many others as are kept.
    pub fn is_behind(&self, rows: &[Row], value: &str, at: At) -> bool {
        rows.get(self.most.saturating_sub(1))
            .is_some_and(|(last, then, _)| match self.order(value, last.get()) {
                Ordering::Equal => !self.ties && at >= *then,
                order => order.is_gt(),
            })
    }
}

/// Whether neither is ranked before the other but for its time.
pub fn is_equal(one: &Row, other: &Row) -> bool {
    compared(one.0.get(), other.0.get()).is_eq()
}

/// How many of these come first: so many, and those that are equal to the last one, if ties are kept.
pub fn first<T>(sorted: &[T], most: usize, ties: bool, is_equal: impl Fn(&T, &T) -> bool) -> usize {
    let Some(last) = sorted.get(most.saturating_sub(1)).filter(|_| ties) else {
        return most;
    };
    let more = sorted.iter().skip(most);
    most + more.take_while(|one| is_equal(one, last)).count()
}

/// The places of these, from 1. Equal ones have the same where ties are kept: two of them at 1 are followed by 3.
pub fn ranks<T>(sorted: &[T], ties: bool, is_equal: impl Fn(&T, &T) -> bool) -> Vec<usize> {
    let mut ranks: Vec<usize> = Vec::with_capacity(sorted.len());
    let before = std::iter::once(None).chain(sorted.iter().map(Some));
    for (number, (one, before)) in sorted.iter().zip(before).enumerate() {
        let is_tied = ties && before.is_some_and(|before| is_equal(one, before));
        let same = ranks.last().copied().filter(|_| is_tied);
        ranks.push(same.unwrap_or(number + 1));
    }
    ranks
}
