//! Messages that wait for a retry, in the state of their partition.
//!
//! A message to retry waits in a queue of its key, together with the later messages of that key; other keys
//! continue. The queue of a key has an empty tag. A message without a key holds back nothing, and waits in
//! its own queue: under the key "", which no message has, with a unique tag.
//!
//! A queue has one timer of the host ([`Operator::HOST`]), with its key and tag. After the timer is taken,
//! its owner processes messages of the queue in order: it *releases* each that ends, and *puts off* the first
//! one that does not. All of that is in the same commits as the rest of the state.
//!
//! A queue always has its timer, unless the present batch has taken it. The caller decides what a message is,
//! and when attempts end. Only a message that begins to wait needs room in the budget: the writes that
//! release one are never refused.

use super::codec::{Reader, put_bytes, put_varint};
use super::overlay::Overlay;
use super::row::{Address, Kind, Row};
use super::timers::{Clock, Setting};
use super::{Operator, Refused, State};

/// A message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldMessage<'a> {
    /// How often it was tried; 0 for one that waits behind another.
    pub attempts: u32,
    /// As it was given to [`State::hold`].
    pub message: &'a [u8],
}

/// The value of a queue's row.
#[derive(Clone, Copy, Default)]
struct Queue {
    /// The number of the next message: they are in order.
    next: u64,
    /// How often the first message was tried.
    attempts: u32,
}

impl State {
    /// Whether any message waits.
    #[must_use]
    pub fn has_held(&self) -> bool {
        self.store.has_rows(Operator::HOST) || self.layers().any(Overlay::has_host)
    }

    /// Whether messages wait in this queue, so that the next one has to wait behind them.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn is_held(&self, key: &[u8], tag: &[u8]) -> Result<bool, Refused> {
        Ok(self.queue(key, tag)?.is_some())
    }

    /// Appends a message to a queue. With the first of a queue come how often it was tried and
    /// when it is due (nanoseconds of the job's clock); for others both mean nothing.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn hold(
        &mut self,
        key: &[u8],
        tag: &[u8],
        message: &[u8],
        attempts: u32,
        until: u64,
    ) -> Result<(), Refused> {
        let queue = self.queue(key, tag)?;
        let Queue { next, attempts } = queue.unwrap_or(Queue { next: 0, attempts });
        let name = [&*prefix(tag), &next.to_be_bytes()].concat();
        let address = Address::new(Operator::HOST, Kind::Message, key, &name);
        self.write(Row::new(address, None, message))?;
        let next = next.saturating_add(1);
        self.set_queue(key, tag, Queue { next, attempts });
        if queue.is_none() {
            self.wake(key, tag, until);
        }
        Ok(())
    }

    /// The messages that wait in a queue, in order.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn held<'a>(
        &'a self,
        key: &'a [u8],
        tag: &[u8],
    ) -> Result<impl Iterator<Item = HeldMessage<'a>> + use<'a>, Refused> {
        let attempts = self.queue(key, tag)?.map_or(0, |queue| queue.attempts);
        let attempts = std::iter::once(attempts).chain(std::iter::repeat(0));
        let messages = self.messages(key, tag).zip(attempts);
        Ok(messages.map(|((_, message), attempts)| HeldMessage { attempts, message }))
    }

    /// Puts off a queue: its first message was tried `attempts` times, and is due at `until`.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn put_off(
        &mut self,
        key: &[u8],
        tag: &[u8],
        attempts: u32,
        until: u64,
    ) -> Result<(), Refused> {
        if let Some(queue) = self.queue(key, tag)? {
            self.set_queue(key, tag, Queue { attempts, ..queue });
            self.wake(key, tag, until);
        }
        Ok(())
    }

    /// Removes the first message of a queue, which has ended. While others wait behind it, the queue is due
    /// at once; the last one removes the queue.
    ///
    /// # Errors
    /// [`Refused::OtherPartition`].
    pub fn release(&mut self, key: &[u8], tag: &[u8]) -> Result<(), Refused> {
        let Some(queue) = self.queue(key, tag)? else {
            return Ok(());
        };
        let first = self.messages(key, tag).next();
        let name = first.map_or_else(Vec::new, |(name, _)| name.to_vec());
        self.remove(Kind::Message, key, &name);
        if self.messages(key, tag).next().is_some() {
            let attempts = 0;
            self.set_queue(key, tag, Queue { attempts, ..queue });
            self.wake(key, tag, self.now());
        } else {
            self.remove(Kind::Queue, key, tag);
            self.remove(Kind::Timer, key, tag);
        }
        Ok(())
    }

    fn remove(&mut self, kind: Kind, key: &[u8], name: &[u8]) {
        self.put(Row::deleted(Address::new(Operator::HOST, kind, key, name)));
    }

    /// Names and messages of a queue.
    fn messages<'a>(
        &'a self,
        key: &'a [u8],
        tag: &[u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let prefix = prefix(tag);
        let from = Address::new(Operator::HOST, Kind::Message, key, &prefix);
        let place = from.place;
        let rows = self
            .rows_from(from, Some(&self.overlay))
            .map(|row| (row, row.address()));
        let rows = rows.take_while(move |(_, at)| {
            at.place == place && at.key == key && at.name.starts_with(&prefix)
        });
        rows.filter_map(|(row, at)| Some((at.name, row.live(self.now())?)))
    }

    fn queue(&self, key: &[u8], tag: &[u8]) -> Result<Option<Queue>, Refused> {
        let address = self.address(Operator::HOST, Kind::Queue, key, tag)?;
        let value = self.row(&address).and_then(|row| row.live(self.now()));
        let queue = value.and_then(|value| {
            let mut value = Reader(value);
            let (next, attempts) = (value.varint().ok()?, value.varint().ok()?);
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            Some(Queue { next, attempts })
        });
        Ok(queue)
    }

    fn set_queue(&mut self, key: &[u8], tag: &[u8], queue: Queue) {
        let mut value = Vec::with_capacity(15);
        put_varint(&mut value, queue.next);
        put_varint(&mut value, u64::from(queue.attempts));
        let address = Address::new(Operator::HOST, Kind::Queue, key, tag);
        self.put(Row::new(address, None, &value));
    }

    fn wake(&mut self, key: &[u8], tag: &[u8], at: u64) {
        let setting = Setting {
            clock: Clock::ProcessingTime,
            at,
            had_values: false,
        };
        let address = Address::new(Operator::HOST, Kind::Timer, key, tag);
        self.put(Row::new(address, None, &setting.value()));
    }
}

/// What the names of a queue's messages begin with; a number follows. No such prefix begins another.
fn prefix(tag: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(tag.len() + 10);
    put_bytes(&mut prefix, tag);
    prefix
}
