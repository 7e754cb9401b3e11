//! What the partitions of a lane read: each input once for all of them, dealt out by key.
//!
//! With a consumer per partition, the server would examine the messages of the others, which costs it more
//! than to send them (`docs/adr/0025-a-lane-reads-its-inputs-whole.md`). So one reader reads an input. Any
//! partition that waits for messages drives the reader; messages of other partitions wait in their queues. A
//! partition that is behind, because it came from another host or is slower, uses its own reader until it has
//! caught up: no partition waits for another.

mod line;
mod queue;
mod table;

use crate::job::log::{Input, LogError, Progress, Read};
use crate::message::Message;
use crate::nats::job_progress::JobProgress;
use crate::nats::wire::Wire;
use line::Line;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// After which an input is looked at again that is not known to be idle yet.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes that wait for all partitions, at most.
const QUEUE_BYTES: usize = 64 << 20;

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
    /// Whether it is read before those that are not.
    pub is_table: bool,
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

/// An input with its place in the checkpoint, and up to where it is processed.
type Known<'l> = (usize, u64, &'l Line);

impl Inputs {
    #[must_use]
    pub fn new(wire: &Wire, sources: Vec<Source>, patience: Duration) -> Self {
        let bytes = QUEUE_BYTES / sources.len().max(1);
        let line = |source| Line::new(wire.clone(), source, bytes, patience);
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
        let mut known: Vec<Known<'_>> = known.collect();
        let turn = self.turn.get().checked_rem(known.len()).unwrap_or_default();
        self.turn.set(turn + 1);
        known.rotate_left(turn);
        if known.is_empty() {
            return std::future::pending().await;
        }
        for (_, behind, line) in &known {
            line.asks(partition, *behind);
        }
        self.note();
        let (tables, others): (Vec<Known<'_>>, Vec<Known<'_>>) = known
            .iter()
            .copied()
            .partition(|(.., line)| line.source.is_table);
        let is_loading = || !tables.iter().all(|(.., line)| line.is_loaded(partition));
        let was_loading = is_loading();
        let (input, passed) = match was_loading {
            true => self.load(partition, &tables).await?,
            false => {
                let come = tables.iter().chain(&others).map(|(input, behind, line)| {
                    Box::pin(async move { (*input, line.come(partition, *behind, self).await) })
                });
                let (input, passed) = first(come.collect()).await;
                (input, passed?)
            }
        };
        let mut read = Read::default();
        read.passed.extend(passed.map(|passed| (input, passed)));
        take(partition, &tables, most, &mut read);
        if is_loading() {
            return Ok(read);
        }
        if was_loading {
            self.loaded(partition, &others);
        }
        take(partition, &others, most, &mut read);
        Ok(read)
    }

    /// See [`Log::idle`](crate::job::log::Log::idle).
    pub(super) async fn idle(&self, partition: u16, behind: &[Progress]) {
        let Some(timeout) = self.idle_timeout else {
            return std::future::pending().await;
        };
        let is_loading = || self.lines.iter().any(|line| line.is_loading(partition));
        let read = |line: &&Line| behind.iter().any(|it| it.source == line.source.name);
        loop {
            let quiet = self.lines.iter().filter(read);
            let quiet = quiet.map(|line| line.quiet(partition).filter(|_| !is_loading()));
            // Of all of them, the one that was busy last.
            let quiet = quiet.map(Option::unwrap_or_default);
            let left = timeout.saturating_sub(quiet.min().unwrap_or_default());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(LOOK)).await;
        }
    }

    /// The partition stops reading, or starts again.
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

/// What the first of these ends with that has ended. All of them are looked at, and each drives its reader then: otherwise a
/// table that always has something would keep the others from being read.
async fn first<F: Future>(mut all: Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|context| {
        let mut first = Poll::Pending;
        for one in &mut all {
            let ended = one.as_mut().poll(context);
            if first.is_pending() {
                first = ended;
            }
        }
        first
    })
    .await
}

/// Takes of these inputs what waits for a partition, until there are `most` messages: of each as much as of the others, and
/// then what these have left.
fn take(partition: u16, lines: &[Known<'_>], most: usize, read: &mut Read) {
    let share = (most - read.messages.len()).div_ceil(lines.len().max(1));
    for most_of_each in [share, most] {
        for (input, _, line) in lines {
            let count = most_of_each.min(most - read.messages.len());
            line.take(partition, count, |(message, stored, timed)| {
                read.messages.push(Input {
                    input: *input,
                    message,
                    stored,
                    timed,
                });
            });
        }
    }
}
