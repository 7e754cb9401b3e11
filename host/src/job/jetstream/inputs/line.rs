//! One input: read once for all partitions of a lane, and dealt out to them.

use super::super::reader::{Level, Reader};
use super::queue::{Own, Queue};
use super::table::Loading;
use super::{Inputs, Source};
use crate::job::log::LogError;
use crate::message::Message;
use crate::nats::wire::Wire;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The greatest number of messages that wait for a partition. A partition with more continues with its own
/// reader.
const QUEUE: usize = 4096;
/// Messages that are dealt out before the next partition may drive.
const RUN: usize = 512;
/// After this many messages of others, a partition stores its position; or after this time without a message
/// of its own, if others had any.
const PASS: u64 = 10_000;
const QUIET: Duration = Duration::from_secs(10);

/// One input.
pub(super) struct Line {
    pub(super) source: Source,
    pub(super) wire: Wire,
    pub(super) patience: Duration,
    /// For all partitions that are not behind.
    shared: Mutex<Reader>,
    /// Whether it has read everything.
    pub(super) level: Level,
    /// What `shared` reads next; 0 before anybody has read.
    pub(super) next: Cell<u64>,
    /// The queues of the partitions that read. A partition without a queue gets no messages; it gets a queue
    /// when it reads.
    pub(super) queues: RefCell<BTreeMap<u16, Queue>>,
    /// That may wait in them.
    bytes: usize,
}

fn reader(wire: &Wire, source: &Source, patience: Duration) -> Reader {
    let filters = source.filters.clone();
    let reader = Reader::new(wire.clone(), &source.stream, filters, patience);
    match source.name.rsplit_once('@') {
        Some((_, incarnation)) => reader.of(incarnation),
        None => reader,
    }
}

impl Line {
    /// Of which so many bytes may wait in its queues.
    pub(super) fn new(wire: Wire, source: Source, bytes: usize, patience: Duration) -> Self {
        let shared = reader(&wire, &source, patience);
        Self {
            level: shared.level(),
            shared: Mutex::new(shared),
            source,
            bytes,
            wire,
            patience,
            next: Cell::default(),
            queues: RefCell::default(),
        }
    }

    /// Up to where it has nothing for any partition that is not processed.
    pub(super) fn done(&self) -> u64 {
        let (queues, next) = (self.queues.borrow(), self.next.get());
        let done = |queue: &Queue| match queue.taken {
            true => queue.behind,
            false => queue.position(next),
        };
        queues.values().map(done).min().unwrap_or_default()
    }

    /// Waits until something waits for a partition that has everything up to `behind`; or until there was so
    /// much for others that it should note how far that went, or the end of a table.
    pub(super) async fn come(
        &self,
        partition: u16,
        behind: u64,
        inputs: &Inputs,
    ) -> Result<Option<u64>, LogError> {
        loop {
            let (dealt, own) = {
                let mut queues = self.queues.borrow_mut();
                let queue = queues
                    .entry(partition)
                    .or_insert_with(|| self.new_queue(behind));
                if !queue.messages.is_empty() {
                    return Ok(None);
                }
                let position = queue.position(self.next.get());
                let is_at_end = queue.is_at_end(self.next.get(), &self.level);
                let is_quiet = position > behind && queue.noted.elapsed() >= QUIET;
                if position >= behind + PASS || is_quiet || is_at_end {
                    queue.noted = Instant::now();
                    return Ok(Some(position));
                }
                (Rc::clone(&queue.dealt), queue.own.clone())
            };
            match own {
                Some(Own { reader, .. }) => {
                    let to = Some(partition);
                    self.drive(&mut *reader.lock().await, to).await?;
                    self.catch_up(partition);
                }
                None => tokio::select! {
                    biased;
                    () = dealt.notified() => {}
                    () = tokio::time::sleep(QUIET) => {}
                    driven = async {
                        let mut shared = self.shared.lock().await;
                        shared.begin_at(self.next.get());
                        self.drive(&mut shared, None).await
                    } => driven?,
                },
            }
            // What was dealt may all have been for others, which say nothing if they are elsewhere.
            inputs.note();
        }
    }

    /// A partition asks for messages: it has processed everything up to `behind`.
    pub(super) fn asks(&self, partition: u16, behind: u64) {
        let mut queues = self.queues.borrow_mut();
        let queue = queues
            .entry(partition)
            .or_insert_with(|| self.new_queue(behind));
        (queue.behind, queue.taken) = (behind, false);
    }

    /// That of a partition that has everything up to `behind`.
    fn new_queue(&self, behind: u64) -> Queue {
        if self.next.get() == 0 {
            self.next.set(behind + 1);
        }
        let own = (behind + 1 < self.next.get()).then(|| {
            let mut reader = reader(&self.wire, &self.source, self.patience);
            reader.begin_at(behind + 1);
            Own {
                level: reader.level(),
                reader: Rc::new(Mutex::new(reader)),
            }
        });
        Queue {
            messages: VecDeque::new(),
            bytes: 0,
            seen: behind,
            behind,
            taken: false,
            own,
            dealt: Rc::default(),
            since: Instant::now(),
            noted: Instant::now(),
            loading: self.source.is_table.then(Loading::default),
        }
    }

    /// Deals out what comes next: `to` one partition, or to all that are not behind.
    async fn drive(&self, reader: &mut Reader, to: Option<u16>) -> Result<(), LogError> {
        let mut next = Some(reader.next().await?);
        for _ in 0..RUN {
            let Some((message, place)) = next else { break };
            let (subject, payload) = (message.subject, message.payload);
            let (sequence, stored) = (place.sequence, place.stored);
            let mut message =
                Message::received(subject, &message.headers, payload, sequence, stored);
            let (partition, timed) = (self.source.deal)(&mut message);
            self.deal(to, partition, (message, stored, timed));
            next = reader.has_come();
        }
        // They may have come to an end without a message of their own.
        let queues = self.queues.borrow();
        let loading = queues.values().filter(|queue| queue.loading.is_some());
        loading.for_each(|queue| queue.dealt.notify_one());
        Ok(())
    }

    fn deal(&self, to: Option<u16>, partition: u16, dealt: (Message, u64, bool)) {
        let (mut queues, sequence) = (self.queues.borrow_mut(), dealt.0.sequence);
        match to {
            None => self.next.set(sequence + 1),
            Some(to) => {
                if let Some(queue) = queues.get_mut(&to) {
                    queue.seen = sequence;
                }
                if to != partition {
                    return;
                }
            }
        }
        let most = self.bytes / queues.len().max(1);
        let Some(queue) = queues.get_mut(&partition) else {
            return;
        };
        if to.is_none() && (queue.own.is_some() || sequence <= queue.seen) {
            return;
        }
        queue.seen = sequence;
        queue.bytes += dealt.0.size();
        queue.messages.push_back(dealt);
        if queue.messages.len() > QUEUE || queue.bytes > most && queue.messages.len() > 1 {
            queues.remove(&partition);
        } else {
            queue.dealt.notify_one();
        }
    }

    /// A partition stops using its own reader when it is level with the others.
    fn catch_up(&self, partition: u16) {
        if let Some(queue) = self.queues.borrow_mut().get_mut(&partition)
            && queue.seen + 1 >= self.next.get()
        {
            queue.own = None;
        }
    }

    /// Hands over what waits for a partition, at most `most` messages.
    pub(super) fn take(
        &self,
        partition: u16,
        most: usize,
        mut take: impl FnMut((Message, u64, bool)),
    ) {
        let mut queues = self.queues.borrow_mut();
        let Some(queue) = queues.get_mut(&partition) else {
            return;
        };
        let count = most.min(queue.messages.len());
        if count > 0 {
            let now = Instant::now();
            (queue.taken, queue.since, queue.noted) = (true, now, now);
        }
        for message in queue.messages.drain(..count) {
            queue.bytes -= message.0.size();
            take(message);
        }
    }

    /// How long it has had nothing for a partition, as far as the server has said so; none if that is not so.
    pub(super) fn quiet(&self, partition: u16) -> Option<Duration> {
        let queues = self.queues.borrow();
        let queue = queues.get(&partition)?;
        let level = queue.own.as_ref().map_or(&self.level, |own| &own.level);
        let heard = level.heard().filter(|_| queue.messages.is_empty())?;
        Some(heard.saturating_duration_since(queue.since))
    }
}
