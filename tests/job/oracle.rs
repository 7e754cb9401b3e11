//! Messages whose results are known beforehand, and the results.
//!
//! Used by the unit tests on the model and by the promises on real servers: whoever includes it has `api` and
//! `fold` beside it.

use super::api::{Effects, OutgoingMessage};
use super::fold::Folding;
use bytes::Bytes;
use std::collections::BTreeMap;

/// How a message comes out in the end, whatever happens to its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub key: u8,
    /// Sets a timer for so long after it is processed; none if zero.
    pub timer: u8,
    /// Attempts that fail before it is processed.
    pub failures: u8,
    /// How many results it has. None: it is rejected.
    pub results: u8,
}

impl Event {
    pub fn payload(self) -> Bytes {
        Bytes::copy_from_slice(&[self.key, self.timer, self.failures, self.results])
    }

    pub fn read(payload: &[u8]) -> Self {
        let byte = |at: usize| payload.get(at).copied().unwrap_or_default();
        Self {
            key: byte(0),
            timer: byte(1),
            failures: byte(2),
            results: byte(3),
        }
    }
}

/// A result, a dead letter, or the firing of a timer, as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Published {
    /// Of the key's messages so far.
    Result {
        key: u8,
        sequence: u64,
        index: u8,
        hash: u64,
    },
    Fired {
        key: u8,
        sequence: u64,
    },
    Dead {
        key: u8,
        sequence: u64,
    },
}

impl Published {
    pub fn message(self) -> OutgoingMessage {
        let (kind, key, sequence, index, hash) = match self {
            Self::Result {
                key,
                sequence,
                index,
                hash,
            } => (0, key, sequence, index, hash),
            Self::Fired { key, sequence } => (1, key, sequence, 0, 0),
            Self::Dead { key, sequence } => (2, key, sequence, 0, 0),
        };
        let mut payload = [0; 19];
        payload[..3].copy_from_slice(&[kind, key, index]);
        payload[3..11].copy_from_slice(&sequence.to_le_bytes());
        payload[11..].copy_from_slice(&hash.to_le_bytes());
        OutgoingMessage {
            is_late: false,
            subject: "results".into(),
            id: None,
            digest: None,
            headers: Vec::new(),
            foreign: Default::default(),
            payload: Bytes::copy_from_slice(&payload),
            key: None,
        }
    }

    /// Adds it to the results, and to the view that it is in.
    pub fn publish(self, effects: &mut Effects) {
        let message = self.message();
        effects
            .views
            .extend(self.viewed().map(|subject| OutgoingMessage {
                subject: subject.into(),
                ..message.clone()
            }));
        effects.outputs.push(message);
    }

    /// The subject of a view's value, which the first result of each message has.
    pub fn viewed(self) -> Option<String> {
        match self {
            Self::Result { key, index: 0, .. } | Self::Fired { key, .. } => {
                Some(format!("v.0.{key}"))
            }
            _ => None,
        }
    }

    pub fn read(payload: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
        let (key, index, sequence, hash) = (payload[1], payload[2], number(3), number(11));
        match payload[0] {
            0 => Self::Result {
                key,
                sequence,
                index,
                hash,
            },
            1 => Self::Fired { key, sequence },
            _ => Self::Dead { key, sequence },
        }
    }

    /// What of it is published in order: the results of a key, and its dead letters.
    fn lane(self) -> (bool, u8) {
        let (Self::Result { key, .. } | Self::Fired { key, .. } | Self::Dead { key, .. }) = self;
        (matches!(self, Self::Dead { .. }), key)
    }
}

/// The messages of one key that count, in order.
pub fn hash(before: u64, sequence: u64) -> u64 {
    before.wrapping_mul(31).wrapping_add(sequence)
}

/// What is to come of messages: of each key in order, and the timers.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Of each key, dead letters apart from results, in order.
    lanes: BTreeMap<(bool, u8), Vec<Published>>,
    fired: Vec<Published>,
    /// Count and hash of each key.
    hashes: BTreeMap<u8, (u64, u64)>,
}

impl Oracle {
    /// Adds a message. Where it has more than `most` results it becomes a dead letter.
    pub fn add(&mut self, sequence: u64, event: Event, most: u8) {
        let Event { key, results, .. } = event;
        if results == 0 || results > most {
            let dead = Published::Dead { key, sequence };
            self.lanes.entry(dead.lane()).or_default().push(dead);
            return;
        }
        let published = self.lanes.entry((false, key)).or_default();
        let (count, hash) = self.hashes.entry(key).or_default();
        (*count, *hash) = (*count + 1, self::hash(*hash, sequence));
        let hash = *hash;
        published.extend((0..results).map(|index| Published::Result {
            key,
            sequence,
            index,
            hash,
        }));
        if event.timer > 0 {
            self.fired.push(Published::Fired { key, sequence });
        }
    }

    /// Compares with all that was published, in its order.
    pub fn compare(&self, published: &[Published]) -> Result<(), String> {
        let mut lanes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut fired = Vec::new();
        for published in published {
            match published {
                Published::Fired { .. } => fired.push(*published),
                other => lanes.entry(other.lane()).or_default().push(*other),
            }
        }
        fired.sort();
        let mut expected = self.fired.clone();
        expected.sort();
        if fired != expected {
            return Err(format!("timers fired: {fired:?}\nto fire: {expected:?}"));
        }
        match lanes == self.lanes {
            true => Ok(()),
            false => Err(format!(
                "published: {lanes:?}\nto publish: {:?}",
                self.lanes
            )),
        }
    }

    /// Compares with the state of a partition that has finished.
    pub fn compare_state(&self, fold: &impl Folding) -> Result<(), String> {
        let state = fold.hashes();
        let viewed = fold.of_view().len();
        let is_viewed = viewed == 0 || viewed == state.len();
        match state == self.hashes && fold.is_quiet() && is_viewed {
            true => Ok(()),
            false => Err(format!("state: {state:?}\nexpected: {:?}", self.hashes)),
        }
    }
}
