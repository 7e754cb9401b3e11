//! What the partitions of a lane read: each input once for all of them, dealt out by key.
//!
//! A consumer for each partition would make the server look through what belongs to the others, which costs it
//! more than to send it (`docs/adr/0025-a-lane-reads-its-inputs-whole.md`). So one reader reads an input, and
//! whichever partition waits for messages drives it; those of the others wait in their queues. A partition that
//! is behind, because it was taken over or is slower than the others, reads by itself until it has caught up:
//! none waits for another.

use super::reader::Reader;
use crate::job::log::{Input, LogError, Progress, Read};
use crate::message::Message;
use crate::nats::job_progress::JobProgress;
use crate::nats::wire::Wire;
use futures_util::future::select_all;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// Messages that wait for a partition, at most, and bytes that wait for all of them. A partition with more reads by
/// itself afterwards.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// Messages that are dealt out before the next partition may drive.
const RUN: usize = 512;
/// After so many messages for others, a partition notes how far it has come.
const PASS: u64 = 10_000;

/// Makes a message ready to be processed, and says to which partition it belongs.
pub type Deal = Box<dyn Fn(&mut Message) -> u16>;

/// An input.
#[derive(Clone, Debug)]
pub struct Source {
    /// As in the checkpoint: `<stream>@<incarnation>`.
    pub name: Arc<str>,
    pub stream: String,
    /// The subjects to read; all if empty.
    pub filters: Vec<String>,
}

/// The inputs of a job, for the partitions on one thread.
pub struct Inputs {
    lines: Vec<Line>,
    deal: Deal,
    /// Where the first of them is noted, and as which lane's.
    progress: Option<(Arc<JobProgress>, usize)>,
}

/// One input.
struct Line {
    source: Source,
    wire: Wire,
    patience: Duration,
    /// For all partitions that are not behind.
    shared: Mutex<Reader>,
    /// What `shared` reads next; 0 before anybody has read.
    next: Cell<u64>,
    /// Of the partitions that read. One without a seat is not dealt to; it gets one when it reads.
    seats: RefCell<BTreeMap<u16, Seat>>,
}

/// What waits for a partition.
struct Seat {
    queue: VecDeque<Message>,
    bytes: usize,
    /// Messages up to here have been dealt to it.
    seen: u64,
    /// What it had processed when it last asked for messages, and whether it has taken some since.
    behind: u64,
    taken: bool,
    /// While it is behind what `shared` reads.
    own: Option<Rc<Mutex<Reader>>>,
    /// Something was dealt to it.
    dealt: Rc<Notify>,
}

impl Inputs {
    /// `deal` says to which partition a message belongs.
    #[must_use]
    pub fn new(wire: &Wire, sources: Vec<Source>, patience: Duration, deal: Deal) -> Self {
        let line = |source: Source| Line {
            shared: Mutex::new(reader(wire, &source, patience)),
            source,
            wire: wire.clone(),
            patience,
            next: Cell::default(),
            seats: RefCell::default(),
        };
        let lines = sources.into_iter().map(line).collect();
        Self {
            lines,
            deal,
            progress: None,
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
        let known: Vec<_> = known.collect();
        let come = known.iter().map(|(input, behind, line)| {
            Box::pin(async move { (*input, line.come(partition, *behind, &self.deal).await) })
        });
        let come: Vec<_> = come.collect();
        if come.is_empty() {
            return std::future::pending().await;
        }
        for (_, behind, line) in &known {
            line.sit(partition, *behind);
        }
        self.note();
        let ((input, passed), ..) = select_all(come).await;
        let mut read = Read::default();
        if let Some(passed) = passed? {
            read.passed.push((input, passed));
            return Ok(read);
        }
        for (input, _, line) in known {
            line.take(partition, most - read.messages.len(), |message| {
                read.messages.push(Input { input, message });
            });
        }
        self.note();
        Ok(read)
    }

    /// The partition does not read any more, or begins anew.
    pub fn leave(&self, partition: u16) {
        for line in &self.lines {
            line.seats.borrow_mut().remove(&partition);
        }
        self.note();
    }

    fn note(&self) {
        let (Some((progress, lane)), Some(line)) = (&self.progress, self.lines.first()) else {
            return;
        };
        let (seats, next) = (line.seats.borrow(), line.next.get());
        let done = |seat: &Seat| match seat.taken {
            true => seat.behind,
            false => seat.position(next),
        };
        let least = seats.values().map(done).min();
        progress.reads(*lane, seats.len(), least.unwrap_or_default());
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
    /// Waits until something waits for a partition that has everything up to `behind`; or until there was so
    /// much for others that it should note how far that went.
    async fn come(
        &self,
        partition: u16,
        behind: u64,
        deal: &Deal,
    ) -> Result<Option<u64>, LogError> {
        loop {
            let (dealt, own) = {
                let mut seats = self.seats.borrow_mut();
                let seat = seats.entry(partition).or_insert_with(|| self.seat(behind));
                if !seat.queue.is_empty() {
                    return Ok(None);
                }
                let position = seat.position(self.next.get());
                if position >= behind + PASS {
                    return Ok(Some(position));
                }
                (Rc::clone(&seat.dealt), seat.own.clone())
            };
            match own {
                Some(own) => {
                    let to = Some(partition);
                    self.drive(&mut *own.lock().await, to, deal).await?;
                    self.catch_up(partition);
                }
                None => tokio::select! {
                    biased;
                    () = dealt.notified() => {}
                    mut shared = self.shared.lock() => {
                        shared.begin_at(self.next.get());
                        self.drive(&mut shared, None, deal).await?;
                    }
                },
            }
        }
    }

    /// A partition asks for messages: it has processed everything up to `behind`.
    fn sit(&self, partition: u16, behind: u64) {
        let mut seats = self.seats.borrow_mut();
        let seat = seats.entry(partition).or_insert_with(|| self.seat(behind));
        (seat.behind, seat.taken) = (behind, false);
    }

    /// That of a partition that has everything up to `behind`.
    fn seat(&self, behind: u64) -> Seat {
        if self.next.get() == 0 {
            self.next.set(behind + 1);
        }
        let own = (behind + 1 < self.next.get()).then(|| {
            let mut own = reader(&self.wire, &self.source, self.patience);
            own.begin_at(behind + 1);
            Rc::new(Mutex::new(own))
        });
        Seat {
            queue: VecDeque::new(),
            bytes: 0,
            seen: behind,
            behind,
            taken: false,
            own,
            dealt: Rc::default(),
        }
    }

    /// Deals out what comes next: `to` one partition, or to all that are not behind.
    async fn drive(
        &self,
        reader: &mut Reader,
        to: Option<u16>,
        deal: &Deal,
    ) -> Result<(), LogError> {
        let mut next = Some(reader.next().await?);
        for _ in 0..RUN {
            let Some((message, place)) = next else { break };
            let (subject, payload) = (message.subject, message.payload);
            let (sequence, stored) = (place.sequence, place.stored);
            let mut message =
                Message::received(subject, &message.headers, payload, sequence, stored);
            self.deal(to, deal(&mut message), message);
            next = reader.has_come();
        }
        Ok(())
    }

    fn deal(&self, to: Option<u16>, partition: u16, message: Message) {
        let (mut seats, sequence) = (self.seats.borrow_mut(), message.sequence);
        match to {
            None => self.next.set(sequence + 1),
            Some(to) => {
                if let Some(seat) = seats.get_mut(&to) {
                    seat.seen = sequence;
                }
                if to != partition {
                    return;
                }
            }
        }
        let most = QUEUE_BYTES / seats.len().max(1);
        let Some(seat) = seats.get_mut(&partition) else {
            return;
        };
        if to.is_none() && (seat.own.is_some() || sequence <= seat.seen) {
            return;
        }
        seat.seen = sequence;
        seat.bytes += message.size();
        seat.queue.push_back(message);
        if seat.queue.len() > QUEUE || seat.bytes > most && seat.queue.len() > 1 {
            seats.remove(&partition);
        } else {
            seat.dealt.notify_one();
        }
    }

    /// A partition that reads by itself no longer does once it is where the others are.
    fn catch_up(&self, partition: u16) {
        if let Some(seat) = self.seats.borrow_mut().get_mut(&partition)
            && seat.seen + 1 >= self.next.get()
        {
            seat.own = None;
        }
    }

    /// Hands over what waits for a partition, at most `most` messages.
    fn take(&self, partition: u16, most: usize, mut take: impl FnMut(Message)) {
        let mut seats = self.seats.borrow_mut();
        let Some(seat) = seats.get_mut(&partition) else {
            return;
        };
        for message in seat.queue.drain(..most.min(seat.queue.len())) {
            seat.bytes -= message.size();
            seat.taken = true;
            take(message);
        }
    }
}

impl Seat {
    /// Up to where nothing waits to be read for its partition; `next` is what is dealt next.
    fn position(&self, next: u64) -> u64 {
        match (self.queue.front(), &self.own) {
            (Some(first), _) => first.sequence - 1,
            (None, Some(_)) => self.seen,
            (None, None) => self.seen.max(next - 1),
        }
    }
}
