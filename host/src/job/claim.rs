//! Claims a partition: a checkpoint with a new owner fences the previous owner.
//!
//! Two kinds of partitions cannot be claimed: one with other key groups, because the job was restored with
//! another number of partitions, and one whose state is being replaced (`replace.rs`).

use super::log::{Held, Log, LogError};
use super::partition;
use super::surroundings::{End, Note, Settings, Surroundings};
use super::worker::{Lost, deliver, last};
use std::sync::Arc;

/// Claims the partition, however long that takes.
pub(super) async fn claim<L: Log, S: Surroundings>(
    log: &L,
    around: &S,
    settings: &Settings,
) -> Result<Held, Lost> {
    let owner = around.new_owner();
    let mut attempt = 0;
    loop {
        let found = last(log, around).await?;
        if let Some(refused) = refused(found.as_ref(), settings) {
            match refused {
                LogError::Permanent(reason) => return Err(Lost::End(End::Failed(reason))),
                passing => around.note(Note::Failed(&passing)),
            }
        } else {
            let (inputs, digests) = (&settings.inputs, &settings.digests);
            let owner = Arc::clone(&owner);
            let (fence, mut commit) = partition::claim(found.as_ref(), owner, inputs, digests);
            commit.checkpoint.groups = Some(settings.groups.clone());
            match deliver(log, around, fence, &commit, Default::default()).await {
                Ok(fence) => {
                    let checkpoint = commit.checkpoint;
                    return Ok(Held { fence, checkpoint });
                }
                // Somebody else was faster, or what was found was old.
                Err(Lost::End(End::Deposed)) => {}
                Err(lost) => return Err(lost),
            }
        }
        attempt += 1;
        tokio::select! {
            biased;
            () = around.stopped() => return Err(Lost::End(End::Stopped)),
            () = around.pause(attempt) => {}
        }
    }
}

/// Why the partition is not to be claimed.
fn refused(found: Option<&Held>, settings: &Settings) -> Option<LogError> {
    let checkpoint = &found?.checkpoint;
    if checkpoint.replacing {
        let reason = "the state of the partition is being replaced: if the `weir job` command that does it was \
                      interrupted, run it again";
        return Some(LogError::Busy(reason.to_owned()));
    }
    let groups = checkpoint.groups.as_ref()?;
    (*groups != settings.groups).then(|| {
        LogError::Permanent(format!(
            "the job was restored with another number of partitions: this one has the key groups {groups:?}, \
             not {:?}; `weir job show` prints the `partitions` that the pipeline needs",
            settings.groups
        ))
    })
}
