//! The interface between the engine and a processor with its state.
//!
//! The engine decides when; the processor with its store of state decides what. It makes and reads deltas and
//! snapshots, which are opaque to the engine. Knows no log.

use super::log::{Checkpoint, Input, Progress, Snapshot};
use crate::outgoing::OutgoingMessage;
use crate::state::Mark;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Effects of a batch that leave the host. Its writes are in the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    pub outputs: Vec<OutgoingMessage>,
    pub dead_letters: Vec<OutgoingMessage>,
    /// Values of views (`views.rs`).
    pub views: Vec<OutgoingMessage>,
    /// The watermark of each input after the batch; empty if none has changed.
    pub watermarks: Vec<Option<i64>>,
    /// That of the partition; none if nothing follows event time.
    pub watermark: Option<u64>,
}

/// What the writes since the last commit add to the next one, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsealed {
    /// Bytes of the delta.
    pub delta: usize,
    /// Values of views, and their bytes.
    pub values: usize,
    pub bytes: usize,
}

/// What values of views may take.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub messages: usize,
    pub bytes: usize,
    /// Bytes of a payload.
    pub longest: usize,
}

/// A delta or a snapshot that the code at hand cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// The processor of one partition, with its state.
///
/// A *due entry* is whatever waits in the state for a time: a timer, or a message that is retried. It is
/// taken out of the state by the commit that carries it out.
#[expect(
    async_fn_in_trait,
    reason = "a partition stays on one thread, so nothing here has to be sent to another"
)]
pub trait Work {
    /// Forgets all state: a recovery begins from here, or a standby.
    fn begin(&mut self, checkpoint: &Checkpoint);

    /// Takes the state of one group in the place of what is there of it. Comes before any delta.
    ///
    /// # Errors
    /// When it cannot be read.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Unreadable>;

    /// Makes the changes of a delta again in the groups for which `applies`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn replay(&mut self, delta: &Bytes, applies: &dyn Fn(u16) -> bool) -> Result<(), Unreadable>;

    /// The state is whole.
    ///
    /// # Errors
    /// When it is not one that this code goes on with.
    fn recovered(&mut self) -> Result<(), Unreadable> {
        Ok(())
    }

    /// The state that is there is that of this checkpoint, with which its partition was claimed. Of a recovery
    /// [`begin`](Self::begin) has been told it.
    fn claimed(&mut self, _checkpoint: &Checkpoint) {}

    /// What was restored, replayed and confirmed is the state of this place in the log, and can be kept there over a
    /// restart; of no one place, if none.
    fn noted(&mut self, _mark: Option<&Mark>) {}

    /// Takes the state that was kept over a restart in the place of what is there, and says where in the log that is. None
    /// if there is none, or it is not whole; [`begin`](Self::begin) comes then.
    fn kept(&mut self) -> Option<Mark> {
        None
    }

    /// Why nothing of the state is to be committed or to be gone on with, but for [`begin`](Self::begin): it cannot be
    /// read, or cannot be kept.
    fn broken(&self) -> Option<String> {
        None
    }

    /// The key group of a message.
    fn group(&self, input: &Input) -> u16;

    /// Processes messages in order.
    async fn process(&mut self, batch: &[Input]) -> Effects;

    /// Carries out at most `most` of the entries that are due, in the order of their times.
    async fn fire(&mut self, most: usize) -> Effects;

    /// Undoes all writes of the last [`process`](Self::process) or [`fire`](Self::fire), which is run again
    /// later.
    fn undo(&mut self);

    /// Gives up one message, or the first due entry if there is none: its effects exceed what a commit
    /// holds. It becomes a dead letter.
    async fn reject(&mut self, message: Option<&Input>, reason: &str) -> Effects;

    /// When the next entry is due, by the clock of [`Surroundings`](super::surroundings::Surroundings); none if
    /// nothing waits for a time. What a watermark has passed is due at once.
    fn next_due(&self) -> Option<u64>;

    /// When an entry that waits for a watermark would be due, by the clock of
    /// [`Surroundings`](super::surroundings::Surroundings), if the inputs that [`hold`](Self::holding) it
    /// back had nothing pending; none if no entry would become due.
    fn quiet_due(&self) -> Option<u64> {
        None
    }

    /// Those of the inputs whose watermark it waits for.
    fn holding(&self, inputs: &[Progress]) -> Vec<Progress> {
        inputs.to_vec()
    }

    /// No input that holds it back has had anything pending until now.
    fn idle(&mut self) {}

    /// Whether further messages would only wait behind a due entry. Then none is read or processed before the
    /// entry ends.
    fn is_blocked(&self) -> bool {
        false
    }

    /// What [`values`](Self::values) and [`seal`](Self::seal) would make now.
    fn unsealed(&self) -> Unsealed;

    /// Values of views that are to have what the state had before them: so many, and of so many bytes. Comes before
    /// [`values`](Self::values), with which they are committed, and again until there is nothing to be filled.
    fn fill(&mut self, _room: &Room) -> Option<Vec<OutgoingMessage>> {
        None
    }

    /// The views that contain all of the state after the next commit.
    fn viewed(&self) -> Arc<BTreeSet<String>> {
        Arc::default()
    }

    /// The values of views (`views.rs`) that the writes of one commit have changed. Comes before [`seal`](Self::seal).
    /// None has a payload of more than `longest` bytes.
    fn values(&mut self, _longest: usize) -> Vec<OutgoingMessage> {
        Vec::new()
    }

    /// Ends the writes of one commit: what they changed since the last one; none if nothing.
    fn seal(&mut self) -> Option<Bytes>;

    /// The oldest delta that was sealed and not confirmed is in the log.
    fn confirmed(&mut self);

    /// The state of one group as it is now. Nothing is unsealed.
    fn snapshot(&mut self, group: u16) -> Bytes;

    /// Bytes of the whole state, about.
    fn size(&self) -> usize;
}
