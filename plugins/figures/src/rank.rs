//! What comes first, and at which place.

use crate::number::Decimal;
use serde_json::Value;
use std::cmp::Ordering;

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
            let numbers = (Decimal::of(one), Decimal::of(other));
            let order = match &numbers {
                (Ok(one), Ok(other)) => one.partial_cmp(other),
                _ => None,
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
