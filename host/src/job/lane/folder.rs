//! The directories of the states on disk. Each server, job and partition has its own.

use super::Lane;
use crate::config::resolved::Store;
use crate::job::processing::Processing;
use crate::job::work::Work;
use crate::plugin::user_cache;
use crate::report::hint as hinted;
use crate::state::{Location, remove_unused};
use anyhow::{Result, anyhow};
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of memory of each partition for blocks that were read.
const CACHE: u64 = 32 << 20;
/// How often the directories that nobody uses any more are removed.
const REMOVED_EVERY: Duration = Duration::from_hours(1);
/// Bytes of writes of each partition before they become a file.
const MEMTABLE: usize = 16 << 20;

/// The directory of a job.
pub(super) struct Folder {
    /// Has the directories of all jobs.
    states: PathBuf,
    /// `<stream>@<incarnation>` of the job.
    identity: String,
}

impl Folder {
    /// None for states in memory.
    pub(super) fn of(store: &Store, stream: &str, incarnation: &str) -> Result<Option<Self>> {
        let Store::Disk(path) = store else {
            return Ok(None);
        };
        let states = path.clone();
        let states = states.or_else(|| Some(user_cache()?.join("state")));
        let identity = format!("{stream}@{incarnation}");
        let states = states.ok_or_else(|| {
            let error =
                anyhow!("cannot keep the state on disk: the user has no directory for caches");
            hinted(
                error,
                "set `state.path`, or the environment variable `XDG_CACHE_HOME`",
            )
        })?;
        Ok(Some(Self { states, identity }))
    }

    pub(super) fn location(&self, partition: u16) -> Location {
        Location {
            folder: self.states.join(&self.identity),
            name: partition.to_string(),
            identity: self.identity.clone(),
            cache: CACHE,
            memtable: MEMTABLE,
        }
    }

    /// Removes what no process has used for long, also of other jobs, now and again. Never ends.
    pub(super) async fn remove_unused(&self, pipeline: &str) {
        for starts in std::iter::once(true).chain(std::iter::repeat(false)) {
            let (states, own) = (self.states.clone(), self.identity.clone());
            let removing = move || remove_unused(&states, &own, starts);
            let removed = tokio::task::spawn_blocking(removing).await;
            for (path, done) in removed.unwrap_or_default() {
                let path = path.display();
                match done {
                    Ok(()) => tracing::info!(
                        pipeline,
                        "removed the state on disk in `{path}`: no host uses it any more"
                    ),
                    Err(why) => tracing::warn!(
                        pipeline,
                        "cannot remove the state on disk in `{path}`, which no host uses any more: {why}"
                    ),
                }
            }
            tokio::time::sleep(REMOVED_EVERY).await;
        }
    }
}

/// What to do about a partition that cannot be run.
pub(super) fn hint(lane: &Lane, work: &Processing, partition: u16) -> String {
    let (stream, prefix) = (&lane.place.stream, &lane.place.prefix);
    let todo = match work.broken() {
        Some(_) => {
            format!("make room there, or set `state.path`; it is read from stream `{stream}` again")
        }
        None => format!("see what is in stream `{stream}` on `{prefix}.*.{partition}.>`"),
    };
    format!("{todo}; other partitions continue")
}
