//! What comes first, and at which place.

use crate::number::Decimal;
use crate::shown::Shown;
use serde_json::Value;
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
pub type Row = (Value, At, Value);

impl Ranking {
    /// Which of these numbers is ranked first.
    pub fn order(&self, one: &Value, other: &Value) -> Ordering {
        match self.highest {
            true => compared(other, one),
            false => compared(one, other),
        }
    }

    /// Whether a message with this number comes behind as many others as are kept.
    pub fn is_behind(&self, rows: &[Row], value: &Value, at: At) -> bool {
        rows.get(self.most.saturating_sub(1))
            .is_some_and(|(last, then, _)| match self.order(value, last) {
                Ordering::Equal => !self.ties && at >= *then,
                order => order.is_gt(),
            })
    }
}

/// Whether neither is ranked before the other but for its time.
pub fn is_equal(one: &Row, other: &Row) -> bool {
    compared(&one.0, &other.0).is_eq()
}

/// How many of these come first: so many, and those that are equal to the last one, if ties are kept.
pub fn first<T>(sorted: &[T], most: usize, ties: bool, is_equal: impl Fn(&T, &T) -> bool) -> usize {
    let Some(last) = sorted.get(most.saturating_sub(1)).filter(|_| ties) else {
        return most;
    };
    let more = sorted.iter().skip(most);
    most + more.take_while(|one| is_equal(one, last)).count()
}

/// Numbers before texts.
pub fn compared(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let whole = one.as_i64().zip(other.as_i64());
            let doubles = || {
                let are_doubles = one.is_f64() && other.is_f64();
                one.as_f64().zip(other.as_f64()).filter(|_| are_doubles)
            };
            let exactly = || {
                Decimal::of(one)
                    .ok()?
                    .partial_cmp(&Decimal::of(other).ok()?)
            };
            let order = match (whole, doubles()) {
                (Some((one, other)), _) => Some(one.cmp(&other)),
                // The texts of doubles are in the same order as they are.
                (None, Some((one, other))) => one.partial_cmp(&other),
                (None, None) => exactly(),
            };
            order.unwrap_or(Ordering::Equal)
        }
        (Value::Number(_), _) => Ordering::Less,
        (_, Value::Number(_)) => Ordering::Greater,
        (one, other) => one.as_str().cmp(&other.as_str()),
    }
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
