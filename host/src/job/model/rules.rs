//! What a log of a partition must never hold.

use crate::job::log::{Checkpoint, Commit, chained};

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
    if before.replacing && is_claim && !after.replacing {
        return Err(format!("a state that is not whole was claimed: {after:?}"));
    }
    match is_next && goes_on {
        true => Ok(()),
        false => Err(format!("{after:?} does not follow {before:?}")),
    }
}
