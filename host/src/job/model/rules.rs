//! Invariants of a partition's log.

use super::Model;
use crate::job::log::{Checkpoint, Commit, chained};
use crate::message::Message;

/// Event time of the partition is not ahead of any input: a message happened when its sequence says. Those for other
/// partitions say nothing. Key groups that come from a savepoint may be ahead until all have come together.
pub fn is_not_ahead(after: &Checkpoint, inputs: &[Vec<Message>]) -> Result<(), String> {
    if after.inputs.iter().any(|input| !input.ahead.is_empty()) {
        return Ok(());
    }
    let reached = after.inputs.iter().zip(inputs).map(|(progress, input)| {
        let read = input.iter().take(progress.position as usize);
        let mine = read.filter(|message| message.payload != Model::OTHERS);
        mine.map(|message| message.event_time)
            .max()
            .unwrap_or_default()
    });
    match after.watermark <= reached.min() || after.watermark == Some(0) {
        true => Ok(()),
        false => Err(format!("event time is ahead of an input: {after:?}")),
    }
}

/// Whether a commit may follow a checkpoint, whoever sent it.
pub fn follows(before: &Checkpoint, commit: &Commit) -> Result<(), String> {
    let after = &commit.checkpoint;
    let is_claim = after.epoch == before.epoch + 1 && after.owner != before.owner;
    let is_owner = after.epoch == before.epoch && after.owner == before.owner;
    let deltas = u64::from(commit.delta.is_some());
    let mut positions = before.inputs.iter().zip(&after.inputs);
    if !is_claim && !is_owner {
        return Err(format!(
            "a deposed owner wrote: {after:?} behind {before:?}"
        ));
    }
    let chain = match &commit.delta {
        Some(delta) => chained(&before.chain, delta),
        None => before.chain.clone(),
    };
    let is_next = after.number == before.number + 1 && after.log == before.log + deltas;
    let is_next = is_next && after.compacted <= after.log;
    // Whoever replaces the state begins another chain, and says where it goes on.
    let is_chained = after.chain == chain || before.replacing;
    let is_next = is_next && is_chained;
    let goes_on =
        before.replacing || positions.all(|(before, after)| before.position <= after.position);
    if before.watermark > after.watermark && !before.replacing {
        return Err(format!("event time goes back: {after:?} behind {before:?}"));
    }
    if before.replacing && is_claim && !after.replacing {
        return Err(format!("a state that is not whole was claimed: {after:?}"));
    }
    match is_next && goes_on {
        true => Ok(()),
        false => Err(format!("{after:?} does not follow {before:?}")),
    }
}
