//! What the partitions of a lane read: each input once for all of them, dealt out by key.
//!
//! A consumer for each partition would make the server look through what belongs to the others, which costs it
//! more than to send it (`docs/adr/0025-a-lane-reads-its-inputs-whole.md`). So one reader reads an input, and
//! whichever partition waits for messages drives it; those of the others wait in their queues. A partition that
//! is behind, because it was taken over or is slower than the others, reads by itself until it has caught up:
//! none waits for another.

mod queue;

use super::reader::{Level, Reader};
use crate::job::log::{Input, LogError, Progress, Read};
use crate::message::Message;
use crate::nats::job_progress::JobProgress;
use crate::nats::wire::Wire;
use futures_util::future::select_all;
use queue::{Own, Queue};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Messages that wait for a partition, at most, and bytes that wait for all of them. A partition with more reads by
/// itself afterwards.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// Messages that are dealt out before the next partition may drive.
const RUN: usize = 512;
/// After so many messages for others, a partition notes how far it has come.
const PASS: u64 = 10_000;

/// Makes a message ready to be processed, and says to which partition it belongs and whether it has the event time that
/// the pipeline asks for.
pub type Deal = Box<dyn Fn(&mut Message) -> (u16, bool)>;

/// An input.
pub struct Source {
    /// As in the checkpoint: `<stream>@<incarnation>`.
    pub name: Arc<str>,
    pub stream: String,
    /// The subjects to read; all if empty.
    pub filters: Vec<String>,
    pub deal: Deal,
}

/// The inputs of a job, for the partitions on one thread.
pub struct Inputs {
    lines: Vec<Line>,
    /// Which of them is the first to give messages: each in turn.
    turn: Cell<usize>,
    /// Where they are noted, and as which lane's.
    progress: Option<(Arc<JobProgress>, usize)>,
    /// How long nothing has to be pending until a partition is told so; never if none.
    idle_timeout: Option<Duration>,
}

/// One input.
struct Line {
    source: Source,
    wire: Wire,
    patience: Duration,
    /// For all partitions that are not behind.
    shared: Mutex<Reader>,
    /// Whether it has read everything.
    level: Level,
    /// What `shared` reads next; 0 before anybody has read.
    next: Cell<u64>,
    /// Of the partitions that read. One without a queue is not dealt to; it gets one when it reads.
    queues: RefCell<BTreeMap<u16, Queue>>,
    /// That may wait in them.
    bytes: usize,
}

impl Inputs {
    #[must_use]
    pub fn new(wire: &Wire, sources: Vec<Source>, patience: Duration) -> Self {
        let bytes = QUEUE_BYTES / sources.len().max(1);
        let line = |source: Source| {
            let shared = reader(wire, &source, patience);
            Line {
                level: shared.level(),
                shared: Mutex::new(shared),
                source,
                bytes,
                wire: wire.clone(),
                patience,
                next: Cell::default(),
                queues: RefCell::default(),
            }
        };
        let lines = sources.into_iter().map(line).collect();
        Self {
            lines,
            turn: Cell::default(),
            progress: None,
            idle_timeout: None,
        }
    }

    /// The same, of which a partition is told when it has had nothing for so long.
    #[must_use]
    pub fn with_idle_timeout(self, idle_timeout: Option<Duration>) -> Self {
        Self {
            idle_timeout,
            ..self
        }
    }

    /// The same, of a lane that says how far it is.
    #[must_use]
    pub fn with_progress(self, progress: Arc<JobProgress>, lane: usize) -> Self {
        let progress = Some((progress, lane));
        Self { progress, ..self }
    }

    /// See [`Log::read`](crate::job::log::Log::read).
    pub(super) async fn read(
        &self,
        partition: u16,
        behind: &[Progress],
        most: usize,
    ) -> Result<Read, LogError> {
        // An input of a checkpoint that is not one of the job any more is not read.
        let known = behind.iter().enumerate().filter_map(|(input, progress)| {
            let mut lines = self.lines.iter();
            let line = lines.find(|line| line.source.name == progress.source)?;
            Some((input, progress.position, line))
        });
        let mut known: Vec<_> = known.collect();
        let turn = self.turn.get().checked_rem(known.len()).unwrap_or_default();
        self.turn.set(turn + 1);
        known.rotate_left(turn);
        let come = known.iter().map(|(input, behind, line)| {
            Box::pin(async move { (*input, line.come(partition, *behind, self).await) })
        });
        let come: Vec<_> = come.collect();
        if come.is_empty() {
            return std::future::pending().await;
        }
        for (_, behind, line) in &known {
            line.asks(partition, *behind);
        }
        self.note();
        let ((input, passed), ..) = select_all(come).await;
        let mut read = Read::default();
        if let Some(passed) = passed? {
            read.passed.push((input, passed));
            return Ok(read);
        }
        // Each gives as much as the others, and then what these have left.
        let share = most.div_ceil(known.len());
        for most_of_each in [share, most] {
            for &(input, _, line) in &known {
                let count = most_of_each.min(most - read.messages.len());
                line.take(partition, count, |(message, stored, timed)| {
                    read.messages.push(Input {
                        input,
                        message,
                        stored,
                        timed,
                    });
                });
            }
        }
        Ok(read)
    }

    /// See [`Log::idle`](crate::job::log::Log::idle).
    pub(super) async fn idle(&self, partition: u16, behind: &[Progress]) {
        let Some(timeout) = self.idle_timeout else {
            return std::future::pending().await;
        };
        let read = |line: &&Line| behind.iter().any(|it| it.source == line.source.name);
        loop {
            let since = self.lines.iter().filter(read);
            let since = since.map(|line| line.quiet_since(partition));
            // Of all of them, the one that was busy last.
            let quiet = since.map(|since| since.map_or(Duration::ZERO, |since| since.elapsed()));
            let left = timeout.saturating_sub(quiet.min().unwrap_or_default());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// The partition does not read any more, or begins anew.
    pub fn leave(&self, partition: u16) {
        for line in &self.lines {
            line.queues.borrow_mut().remove(&partition);
        }
        self.note();
    }

    fn note(&self) {
        let (Some((progress, lane)), Some(first)) = (&self.progress, self.lines.first()) else {
            return;
        };
        let partitions = first.queues.borrow().len();
        progress.reads(*lane, partitions, self.lines.iter().map(Line::done));
    }
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
    /// Up to where it has nothing for any partition that is not processed.
    fn done(&self) -> u64 {
        let (queues, next) = (self.queues.borrow(), self.next.get());
        let done = |queue: &Queue| match queue.taken {
            true => queue.behind,
            false => queue.position(next),
        };
        queues.values().map(done).min().unwrap_or_default()
    }

    /// Waits until something waits for a partition that has everything up to `behind`; or until there was so
    /// much for others that it should note how far that went.
    async fn come(
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
                if position >= behind + PASS {
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
                    mut shared = self.shared.lock() => {
                        shared.begin_at(self.next.get());
                        self.drive(&mut shared, None).await?;
                    }
                },
            }
            // What was dealt may all have been for others, which say nothing if they are elsewhere.
            inputs.note();
        }
    }

    /// A partition asks for messages: it has processed everything up to `behind`.
    fn asks(&self, partition: u16, behind: u64) {
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

    /// A partition that reads by itself no longer does once it is where the others are.
    fn catch_up(&self, partition: u16) {
        if let Some(queue) = self.queues.borrow_mut().get_mut(&partition)
            && queue.seen + 1 >= self.next.get()
        {
            queue.own = None;
        }
    }

    /// Hands over what waits for a partition, at most `most` messages.
    fn take(&self, partition: u16, most: usize, mut take: impl FnMut((Message, u64, bool))) {
        let mut queues = self.queues.borrow_mut();
        let Some(queue) = queues.get_mut(&partition) else {
            return;
        };
        let count = most.min(queue.messages.len());
        if count > 0 {
            (queue.taken, queue.since) = (true, Instant::now());
        }
        for message in queue.messages.drain(..count) {
            queue.bytes -= message.0.size();
            take(message);
        }
    }

    /// Since when it has nothing for a partition; none if that is not so, or not known.
    fn quiet_since(&self, partition: u16) -> Option<Instant> {
        let queues = self.queues.borrow();
        let queue = queues.get(&partition)?;
        let level = queue.own.as_ref().map_or(&self.level, |own| &own.level);
        (queue.messages.is_empty() && level.get()).then_some(queue.since)
    }
}
