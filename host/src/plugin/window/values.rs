//! Accumulators that are still to be computed.
//!
//! A value is known, or made from others by adding messages or by merging. One call of the plugin computes
//! all values that do not depend on each other. So the number of calls is the depth of the dependencies.

use super::{Addition, Arithmetic, Merge};
use crate::message::Message;

/// One of the values of [`Values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value(usize);

/// What something is done for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// The message or the timer with this place in the batch.
    pub by: usize,
    /// The window that closes: the place of its key, and its id.
    pub closes: Option<(usize, i64)>,
}

/// What the plugin refused, and why.
pub(super) type Refusals = Vec<(Cause, String)>;

/// See the top of this file.
#[derive(Default)]
pub(super) struct Values(Vec<Entry>);

struct Entry {
    /// The place of its key.
    key: usize,
    is: Is,
    /// It is used besides what it becomes next, so it stays as it is.
    is_shared: bool,
}

enum Is {
    Known(Vec<u8>),
    /// Messages, by their places in the batch.
    Added(Option<Value>, Vec<usize>),
    Merged(Value, Value, Cause),
}

impl Values {
    pub(super) fn known(&mut self, key: usize, bytes: &[u8]) -> Value {
        self.push(key, Is::Known(bytes.to_vec()))
    }

    /// The value with one more message; of none, that message alone.
    pub(super) fn add(&mut self, key: usize, to: Option<Value>, message: usize) -> Value {
        if let Some(value) = to
            && let Some(Entry {
                is: Is::Added(_, messages),
                is_shared: false,
                ..
            }) = self.0.get_mut(value.0)
        {
            messages.push(message);
            return value;
        }
        self.push(key, Is::Added(to, vec![message]))
    }

    /// Both in one; the left one is the earlier.
    pub(super) fn merge(
        &mut self,
        key: usize,
        left: Option<Value>,
        right: Option<Value>,
        cause: Cause,
    ) -> Option<Value> {
        match (left, right) {
            (Some(left), Some(right)) => Some(self.push(key, Is::Merged(left, right, cause))),
            (left, right) => left.or(right),
        }
    }

    /// A value is used as it is now, whatever it becomes.
    pub(super) fn share(&mut self, value: Option<Value>) {
        if let Some(entry) = value.and_then(|value| self.0.get_mut(value.0)) {
            entry.is_shared = true;
        }
    }

    /// The bytes; none of what is not computed.
    pub(super) fn bytes(&self, value: Option<Value>) -> &[u8] {
        let entry = value.and_then(|value| self.0.get(value.0));
        match entry.map(|entry| &entry.is) {
            Some(Is::Known(bytes)) => bytes,
            _ => &[],
        }
    }

    /// Computes all. If a message is refused, only what other messages of the batch are refused, too, is still found
    /// out: the caller uses nothing of it.
    pub(super) async fn compute<'a>(
        &mut self,
        keys: &[&'a str],
        batch: &'a [Message],
        arithmetic: &mut impl Arithmetic,
    ) -> wasmtime::Result<Refusals> {
        let name = |key: usize| keys.get(key).copied().unwrap_or_default();
        let mut refused = Refusals::new();
        loop {
            let (mut added, mut merged) = (Vec::new(), Vec::new());
            for (place, entry) in self.0.iter().enumerate() {
                match &entry.is {
                    Is::Added(to, messages) if to.is_none_or(|to| self.is_known(to)) => {
                        added.push((place, entry.key, *to, messages.clone()));
                    }
                    Is::Merged(left, right, cause)
                        if self.is_known(*left) && self.is_known(*right) =>
                    {
                        merged.push((place, entry.key, *left, *right, *cause));
                    }
                    _ => {}
                }
            }
            let added_any = !added.is_empty();
            if added_any {
                let additions = added.iter().map(|(_, key, to, messages)| Addition {
                    key: name(*key),
                    accumulator: to.map(|to| self.take(to)).unwrap_or_default(),
                    messages: messages.iter().filter_map(|at| batch.get(*at)).collect(),
                });
                let additions: Vec<_> = additions.collect();
                let answers = arithmetic.add(&additions).await?;
                let additions = additions.into_iter().map(|addition| addition.accumulator);
                let accumulators: Vec<_> = additions.collect();
                let asked = added.into_iter().zip(accumulators);
                for (((place, key, _, messages), before), answer) in asked.zip(answers) {
                    match (answer, &*messages) {
                        (Ok(bytes), _) => self.set(place, Is::Known(bytes)),
                        (Err(reason), [by]) => {
                            let (by, closes) = (*by, None);
                            refused.push((Cause { by, closes }, reason));
                            self.set(place, Is::Known(before));
                        }
                        // Which of them it is, they say one by one.
                        (Err(_), _) => self.divide(place, key, before, &messages),
                    }
                }
            }
            // What is refused has no value to be merged, and nothing of this will stay.
            if !refused.is_empty() && added_any {
                continue;
            } else if !refused.is_empty() {
                return Ok(refused);
            }
            if !merged.is_empty() {
                let pairs = merged.iter().map(|(_, key, left, right, _)| Merge {
                    key: name(*key),
                    left: self.take(*left),
                    right: self.take(*right),
                });
                let pairs: Vec<_> = pairs.collect();
                let answers = arithmetic.merge(&pairs).await?;
                let asked = merged.iter().zip(pairs).zip(answers);
                for (((place, _, _, _, cause), pair), answer) in asked {
                    let bytes = answer.unwrap_or_else(|reason| {
                        refused.push((*cause, reason));
                        pair.left
                    });
                    self.set(*place, Is::Known(bytes));
                }
            } else if self.0.iter().all(|entry| matches!(entry.is, Is::Known(_))) {
                return Ok(refused);
            }
        }
    }

    /// Adds messages one after the other in place of all at once.
    fn divide(&mut self, place: usize, key: usize, before: Vec<u8>, messages: &[usize]) {
        let mut to = self.push(key, Is::Known(before));
        if let Some((last, others)) = messages.split_last() {
            for message in others {
                to = self.push(key, Is::Added(Some(to), vec![*message]));
            }
            self.set(place, Is::Added(Some(to), vec![*last]));
        }
    }

    fn push(&mut self, key: usize, is: Is) -> Value {
        let is_shared = false;
        self.0.push(Entry { key, is, is_shared });
        Value(self.0.len() - 1)
    }

    fn set(&mut self, place: usize, is: Is) {
        if let Some(entry) = self.0.get_mut(place) {
            entry.is = is;
        }
    }

    fn is_known(&self, value: Value) -> bool {
        let entry = self.0.get(value.0);
        entry.is_some_and(|entry| matches!(entry.is, Is::Known(_)))
    }

    /// The bytes, which are gone from here if nothing else uses them.
    fn take(&mut self, value: Value) -> Vec<u8> {
        match self.0.get_mut(value.0) {
            Some(Entry {
                is: Is::Known(bytes),
                is_shared,
                ..
            }) => match is_shared {
                true => bytes.clone(),
                false => std::mem::take(bytes),
            },
            _ => Vec::new(),
        }
    }
}
