//! Exactly once: results, state and positions of a partition in one commit. START HERE, then `worker.rs`.
//!
//! A job has partitions; each has a log with one checkpoint. A host claims a partition by writing the
//! checkpoint with its own name. A commit is refused if its checkpoint does not follow the last one. So at
//! most one owner writes, whatever hosts know of each other, and a commit is stored as a whole or not at all
//! (`docs/adr/0023-what-a-commit-holds.md`).
//!
//! | file | what it does |
//! |---|---|
//! | `worker.rs` | owns one partition: claim, recover, read, process, commit, purge |
//! | `claim.rs` | claims a partition |
//! | `partition.rs` | what a commit holds, and what an answer means; pure |
//! | `recovery.rs` | from the log to the state; pure |
//! | `standby.rs` | reads the log: of a claim, and while another host owns the partition |
//! | `bounds.rs` | how much a commit may hold; pure |
//! | `compaction.rs` | which snapshots are due, and what can be purged; pure |
//! | `surroundings.rs` | what an owner is told, and whom it tells; plain data |
//! | `work.rs` | what the engine needs of a processor with its state |
//! | `positions.rs` | positions of key groups that come from several partitions; pure |
//! | `replace.rs` | puts another state in the place of that of a partition |
//! | `observe.rs` | the state of a partition for whoever does not own it; pure |
//! | `operate.rs` | a job as its operator reads and replaces it |
//! | `restore.rs`, `savepoint.rs` | savepoints of a job are made and restored, and a job is set back; their bytes |
//! | `dry_run.rs` | a job in memory, whose commits go nowhere: for replays and shadows |
//! | `differences.rs` | how the state of a candidate differs; pure |
//! | `rows.rs` | rows of the state as they are shown |
//! | `log.rs` | what the engine needs of a log; plain data |
//! | `jetstream.rs` | a log on a stream of JetStream, and the inputs |
//! | `pause.rs` | how long to wait before trying again |
//! | `lane.rs`, `lane/around.rs` | owns partitions, on one thread with one connection |
//! | `lane/folder.rs` | where the states of its partitions are on disk, and when unused ones are removed |
//! | `lane/standing.rs` | waits for a partition that another host owns, and stands by for it |
//! | `processing.rs`, `processing/due.rs`, `processing/timed.rs`, `processing/judged.rs` | the work of a partition: a processor on a state; timers and retries; event time |
//! | `processing/viewed.rs` | what it adds to views, and fills them with |
//! | `processing/kept.rs` | where its state is: in RAM or on disk |
//! | `shared.rs` | what the partitions of a lane share |
//! | `clock.rs` | when timers and retries are due |
//! | `views.rs` | the values of views, from results and from the state; pure |
//! | `watermarks.rs` | the watermark of each input |
//! | `held.rs` | a message as it waits in the state |
//! | `assign.rs` | which host is to own which partition; pure |
//! | `handover.rs` | which partitions a host takes and releases, by what it knows of the others; pure |
//! | `membership.rs` | a host as a member of a job: says what it owns, and hears what the others own |

pub mod assign;
mod bounds;
mod claim;
mod clock;
pub mod compaction;
pub mod differences;
pub mod dry_run;
pub mod handover;
mod held;
pub mod jetstream;
pub mod lane;
pub mod log;
pub mod membership;
pub mod observe;
pub mod operate;
pub mod partition;
pub mod pause;
pub mod positions;
pub mod processing;
pub mod recovery;
pub mod replace;
pub mod restore;
pub mod rows;
pub mod savepoint;
pub mod shared;
pub mod standby;
pub mod surroundings;
pub mod views;
mod watermarks;
pub mod work;
pub mod worker;

#[cfg(test)]
#[expect(
    unreachable_pub,
    clippy::indexing_slicing,
    reason = "only tests use it, and they may fail by panicking"
)]
mod model;
#[cfg(test)]
#[expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
