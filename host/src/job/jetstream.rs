//! A log on a stream of JetStream.
//!
//! | subject | what |
//! |---|---|
//! | `<job>.ckpt.P` | the checkpoint, as JSON; a rollup, so that there is one. Its sequence is the fence |
//! | `<job>.log.P` | deltas, in parts where they are large |
//! | `<job>.snap.P.G` | the snapshot of a key group; its first part is a rollup |
//! | `<job>.view.<view>.P.>` | values of views |
//! | `<job>.out.P.>`, `<job>.dead.P` | results, unless they have their own subjects here, and dead letters |
//!
//! A commit is one atomic batch (nats-server 2.12, architecture decision record 50 of NATS): refused as a
//! whole unless the last message of `ckpt.P` is the expected one. Nothing in it has a message id, because a
//! batch that is sent again would be refused for them.

mod answer;
mod batch;
mod changes;
mod forward;
mod inputs;
mod reader;

pub use batch::Batch;
pub use changes::Changes;
pub use forward::{Forward, Forwarding};
pub use inputs::{Deal, Inputs, Source};

use super::log::{
    Checkpoint, Commit, Delta, Fence, Held, Log, LogError, Progress, Read, Snapshot, Stored,
};
use crate::headers::PART;
use crate::nats::wire::{self, Wire};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use reader::Reader;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The number of a delta, and of the last delta in a snapshot.
const RECORD: &str = "Weir-Record";
/// Batches that a host has open on one stream at once, at most: the server takes 50
/// (`streamDefaultMaxAtomicBatchInflightPerStream` in its `stream.go`).
pub const OPEN_BATCHES: usize = 40;

/// Which log.
#[derive(Clone, Debug)]
pub struct Place {
    /// The stream of the job, and what all of its subjects begin with.
    pub stream: String,
    pub prefix: String,
    /// Whether results are stored under their own subjects, and not below the prefix.
    pub keeps_results: bool,
    pub partition: u16,
    /// Bytes of a message's payload; more take several messages.
    pub part: usize,
    /// After which an answer is given up.
    pub patience: Duration,
    /// Whether results are sent ahead of their commits, which makes two open batches of a partition.
    pub stages: bool,
}

/// The log of one partition. All partitions of a job in a host share `open`, those of a lane `inputs`.
pub struct JetStream {
    wire: Wire,
    place: Place,
    open: Arc<Semaphore>,
    inputs: Rc<Inputs>,
}

impl JetStream {
    #[must_use]
    pub fn new(wire: Wire, place: Place, open: Arc<Semaphore>, inputs: Rc<Inputs>) -> Self {
        Self {
            wire,
            place,
            open,
            inputs,
        }
    }

    fn subject(&self, kind: &str) -> String {
        let Place {
            prefix, partition, ..
        } = &self.place;
        format!("{prefix}.{kind}.{partition}")
    }

    /// Reads without owning the partition: snapshots of one key group or of all, then deltas, both up to a
    /// checkpoint at `least` or later. Returns the checkpoint after the deltas. The owner continues
    /// meanwhile, so the records may have gaps (`observe.rs`).
    ///
    /// # Errors
    /// As those of [`Log::recover`].
    pub async fn observe(
        &self,
        group: Option<u16>,
        least: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<Held, LogError> {
        let which = group.map_or_else(|| "*".to_owned(), |group| group.to_string());
        let snapshots = format!("{}.{which}", self.subject("snap"));
        let whole = Fence::default();
        let first = self.reading(snapshots, (whole, least), take).await?;
        self.reading(self.subject("log"), (whole, first.fence), take)
            .await
    }

    /// Removes all deltas and snapshots before `before`.
    ///
    /// # Errors
    /// All of them pass.
    pub async fn clear(&self, before: Fence) -> Result<(), LogError> {
        self.remove(&format!("{}.*", self.subject("snap")), before.0)
            .await?;
        self.remove(&self.subject("log"), before.0).await
    }

    /// Removes what matches `filter` before this sequence.
    async fn remove(&self, filter: &str, before: u64) -> Result<(), LogError> {
        #[derive(Deserialize)]
        struct Answer {
            error: Option<answer::ApiError>,
        }
        let subject = self.wire.api.stream_purge(&self.place.stream);
        let question = json!({ "filter": filter, "seq": before });
        let answered = answer::ask(&self.wire, &subject, &question, self.place.patience).await?;
        match serde_json::from_slice(&answered) {
            Ok(Answer { error: None }) => Ok(()),
            Ok(Answer { error: Some(error) }) => Err(error.into()),
            Err(_) => Err(LogError::Ambiguous(
                "the answer is not a jetstream answer".to_owned(),
            )),
        }
    }

    fn checkpoint_of(&self, payload: &[u8]) -> Result<Checkpoint, LogError> {
        serde_json::from_slice(payload).map_err(|why| self.unreadable(&why))
    }

    fn unreadable(&self, why: &dyn std::fmt::Display) -> LogError {
        let place = self.subject("ckpt");
        LogError::Damaged(format!("cannot read the checkpoint on `{place}`: {why}"))
    }

    /// Reads records of one kind from a place on, up to a checkpoint at `upto` or later, and returns that
    /// checkpoint.
    ///
    /// # Errors
    /// Busy, if there is none and nothing comes any more.
    async fn reading(
        &self,
        filter: String,
        (from, upto): (Fence, Fence),
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<Held, LogError> {
        let checkpoint = self.subject("ckpt");
        let filters = vec![filter, checkpoint.clone()];
        let (wire, patience) = (self.wire.clone(), self.place.patience);
        let mut reader = Reader::new(wire, &self.place.stream, filters, patience);
        reader.begin_at(from.0.max(1));
        let mut whole = Whole::default();
        loop {
            let (message, place) = reader.next().await?;
            let sequence = place.sequence;
            if message.subject == checkpoint.as_bytes() {
                let fence = Fence(sequence);
                let checkpoint = self.checkpoint_of(&message.payload)?;
                let held = Held { fence, checkpoint };
                take(Stored::Checkpoint(held.clone()))?;
                if fence >= upto {
                    return Ok(held);
                }
            } else if let Some((number, content)) = whole.add(&message) {
                take(match group(&message) {
                    Some(group) => Stored::Snapshot(Snapshot {
                        group,
                        reach: number,
                        content,
                    }),
                    None => Stored::Delta(Delta { number, content }, Fence(sequence + 1)),
                })?;
            }
        }
    }
}

/// The group of a snapshot; none for a delta.
fn group(message: &wire::Message) -> Option<u16> {
    let mut tokens = message.subject.rsplit(|byte| *byte == b'.');
    let group = tokens.next()?;
    let is_snapshot = tokens.nth(1)? == b"snap";
    let group = std::str::from_utf8(group).ok()?.parse().ok();
    group.filter(|_| is_snapshot)
}

/// Puts the parts of records together. They lie beside each other, because a commit does.
#[derive(Default)]
struct Whole {
    subject: Bytes,
    content: BytesMut,
    parts: usize,
}

impl Whole {
    /// The number and the content of a record, with its last part.
    fn add(&mut self, message: &wire::Message) -> Option<(u64, Bytes)> {
        let number = message.header(RECORD)?.parse().ok()?;
        let (part, parts) = message.header(PART).unwrap_or("1/1").split_once('/')?;
        let (part, parts): (usize, usize) = (part.parse().ok()?, parts.parse().ok()?);
        if part == 1 {
            *self = Self::default();
            self.subject = message.subject.clone();
        }
        if part != self.parts + 1 || self.subject != message.subject {
            return None;
        }
        self.parts = part;
        if parts == 1 {
            return Some((number, message.payload.clone()));
        }
        self.content.extend_from_slice(&message.payload);
        (part == parts).then(|| (number, std::mem::take(&mut self.content).freeze()))
    }
}

impl Log for JetStream {
    type Staged = Option<Batch>;

    /// The leader of the stream answers `STREAM.MSG.GET`, but perhaps a former leader that does not know it
    /// yet.
    async fn checkpoint(&self) -> Result<Option<Held>, LogError> {
        let api = self.wire.api.message(&self.place.stream);
        let subject = self.subject("ckpt");
        let found = answer::last(&self.wire, &api, &subject, self.place.patience).await?;
        let Some(found) = found else { return Ok(None) };
        let payload = STANDARD.decode(found.data);
        let payload = payload.map_err(|why| self.unreadable(&why))?;
        Ok(Some(Held {
            fence: Fence(found.seq),
            checkpoint: self.checkpoint_of(&payload)?,
        }))
    }

    fn stage(&self, staged: &mut Option<Batch>, gathered: &Commit) {
        if self.place.stages
            && self.wire.health.is_connected()
            && gathered.results() > staged.as_ref().map_or(0, Batch::results)
        {
            let batch = staged.get_or_insert_with(|| self.begin());
            // It is told of when the commit is sent.
            let _ = self.send_results(batch, gathered);
        }
    }

    async fn commit(
        &self,
        expected: Fence,
        commit: &Commit,
        staged: Option<Batch>,
    ) -> Result<Fence, LogError> {
        let _open = self.open.acquire().await;
        if !self.wire.health.is_connected() {
            return Err(LogError::Busy("there is no connection".to_owned()));
        }
        let staged = staged.filter(|batch| !batch.is_lost());
        let batch = staged.unwrap_or_else(|| self.begin());
        self.send(batch, expected, commit).await
    }

    async fn recover(
        &self,
        claim: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.inputs.leave(self.place.partition);
        let snapshots = format!("{}.*", self.subject("snap"));
        let whole = (Fence::default(), claim);
        self.reading(snapshots, whole, take).await?;
        self.reading(self.subject("log"), whole, take)
            .await
            .map(drop)
    }

    async fn follow(
        &self,
        from: Fence,
        upto: Fence,
        take: &mut dyn FnMut(Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let reading = self.reading(self.subject("log"), (from, upto), take);
        reading.await.map(drop)
    }

    async fn read(&self, behind: &[Progress], most: usize) -> Result<Read, LogError> {
        self.inputs.read(self.place.partition, behind, most).await
    }

    async fn idle(&self, behind: &[Progress]) {
        self.inputs.idle(self.place.partition, behind).await;
    }

    async fn purge(&self, before: Fence) -> Result<(), LogError> {
        self.remove(&self.subject("log"), before.0).await
    }
}
