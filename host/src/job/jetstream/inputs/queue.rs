//! Messages of an input that wait for one partition.

use super::super::reader::{Level, Reader};
use super::table::Loading;
use crate::message::Message;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::{Mutex, Notify};

/// What waits for a partition.
pub(super) struct Queue {
    /// With the time when each was stored, and whether its event time is its own.
    pub messages: VecDeque<(Message, u64, bool)>,
    pub bytes: usize,
    /// Messages up to here have been dealt to it.
    pub seen: u64,
    /// What it had processed when it last asked for messages, and whether it has taken some since.
    pub behind: u64,
    pub taken: bool,
    /// While it is behind what `shared` reads.
    pub own: Option<Own>,
    /// Something was dealt to it.
    pub dealt: Rc<Notify>,
    /// When it last had a message, or began to read.
    pub since: Instant,
    /// When it last had a message, noted how far it is, or began to read.
    pub noted: Instant,
    /// Of a table, until it is read to its end.
    pub loading: Option<Loading>,
}

/// Reads for one partition alone.
#[derive(Clone)]
pub(super) struct Own {
    pub reader: Rc<Mutex<Reader>>,
    /// Whether it has read everything.
    pub level: Level,
}

impl Queue {
    /// Whether a table that it loads has nothing more for its partition. `next` is what is dealt next, and `level` that of
    /// whoever deals.
    pub(super) fn is_at_end(&self, next: u64, level: &Level) -> bool {
        let (read, level) = match &self.own {
            Some(own) => (self.seen, &own.level),
            None => (next.saturating_sub(1), level),
        };
        let upto = self.loading.and_then(|loading| loading.upto);
        self.messages.is_empty() && level.get() && upto.is_some_and(|upto| read >= upto)
    }

    /// Up to where nothing waits to be read for its partition; `next` is what is dealt next.
    pub(super) fn position(&self, next: u64) -> u64 {
        match (self.messages.front(), &self.own) {
            (Some((first, ..)), _) => first.sequence - 1,
            (None, Some(_)) => self.seen,
            (None, None) => self.seen.max(next - 1),
        }
    }
}
