//! What is to happen with one message of the source: the seam between processing and delivery. Plain data.
//!
//! `delivery/` turns it into publishes and a settlement, a dry run into outputs to compare, `weir pipe` and
//! `weir plugin test` into lines.

use super::chain::{Rejection, Retry};
use crate::outgoing::OutgoingMessage;
use smallvec::SmallVec;

/// All or nothing for one message of the source.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are `Publish`, and a box would be an allocation for each message"
)]
pub enum Disposition {
    /// Publish these, in order; at least one.
    Publish(SmallVec<[OutgoingMessage; 1]>),
    /// Publish nothing: the plugins emitted nothing, on purpose.
    Drop,
    /// It is never going to work.
    Dead(Box<DeadLetter>),
    /// Process it again, later.
    Retry(Retry),
}

/// A message that is never going to work.
#[derive(Debug)]
pub struct DeadLetter {
    /// Why.
    pub rejection: Rejection,
    /// To be stored, in parts if it is too large for one message; none if dead letters are off.
    pub messages: SmallVec<[OutgoingMessage; 1]>,
}
