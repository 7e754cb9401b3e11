//! Carries out the decisions of a partition: claim, recover, read, process, commit, purge. START HERE.
//!
//! [`run`] owns one partition until it is deposed or told to stop. It makes no safety decision: those are in
//! `partition.rs` and `recovery.rs`. It may be dropped at any point, which is the same as a crash. Knows no
//! runtime.

use super::claim;
use super::log::{Commit, Fence, Held, Input, Log, LogError};
use super::partition::{self, Fit, Resolution, Running};
use super::recovery::Recovery;
use super::standby;
use super::surroundings::{End, Note, Settings, Surroundings};
use super::work::{Effects, Work};
use crate::failpoint::Station;
use futures_util::future::LocalBoxFuture;
use futures_util::poll;
use std::pin::pin;
use std::task::Poll;

/// How often in a row the last checkpoint may be older than one that was there before: a replica that lags
/// behind catches up, a log that was replaced does not.
const OUTDATED: u32 = 100;

/// Why a tenure ends.
pub(super) enum Lost {
    End(End),
    /// The log takes no commit as large as one that fits the bounds.
    TooLarge(String),
}

/// Owns a partition. `standby` is what [`standby::stand_by`] has read into the state, if it did; and, once the
/// partition is handed over, what it can go on with.
pub async fn run<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    mut settings: Settings,
    standby: &mut Option<Recovery>,
) -> End {
    loop {
        let (Ok(lost) | Err(lost)) = tenure(log, work, around, &settings, standby).await;
        let reason = match lost {
            Lost::End(end) => return end,
            Lost::TooLarge(reason) => reason,
        };
        match settings.bounds.halved() {
            Some(bounds) => settings.bounds = bounds,
            None => return End::Damaged(reason),
        }
        around.note(Note::Halved);
    }
}

/// From a claim to its end.
async fn tenure<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    settings: &Settings,
    standby: &mut Option<Recovery>,
) -> Result<Lost, Lost> {
    // What was kept is opened while the partition has its owner.
    let warm = standby.take().or_else(|| standby::kept(work, settings));
    let owned = async {
        let claimed = claim::claim(log, around, settings).await?;
        around.reached(Station::Claimed).await;
        standby::recover(log, work, around, settings, &claimed, warm).await
    };
    // Nothing is to be committed yet, so a stop need not wait.
    let mut running = tokio::select! {
        biased;
        () = around.stopped() => return Ok(Lost::End(End::Stopped)),
        owned = owned => owned?,
    };
    log_length(around, &running);
    around.reached(Station::Recovered).await;
    let lost = serve(log, work, around, settings, &mut running).await?;
    if matches!(lost, Lost::End(End::Stopped)) {
        *standby = Some(running.into_standby());
    }
    Ok(lost)
}

fn log_length(around: &impl Surroundings, running: &Running) {
    let (deltas, bytes) = running.log_length();
    around.note(Note::Logged(deltas, bytes));
}

/// Brings a commit in, of which `staged` was sent ahead, however often that takes.
pub(super) async fn deliver<L: Log, S: Surroundings>(
    log: &L,
    around: &S,
    expected: Fence,
    commit: &Commit,
    mut staged: L::Staged,
) -> Result<Fence, Lost> {
    let mut attempt = 0;
    loop {
        // What was sent ahead is of use once: no second attempt is to depend on it.
        let mut committing = pin!(log.commit(expected, commit, std::mem::take(&mut staged)));
        // What is asked for is sent by now.
        let answer = match poll!(&mut committing) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                around.reached(Station::Sent).await;
                committing.await
            }
        };
        let error = match answer {
            Ok(fence) => {
                around.note(Note::Committed);
                return Ok(fence);
            }
            Err(error) => error,
        };
        around.note(Note::Failed(&error));
        match error {
            LogError::Damaged(reason) => return Err(Lost::End(End::Damaged(reason))),
            LogError::Permanent(reason) => return Err(Lost::End(End::Failed(reason))),
            LogError::TooLarge(reason) => return Err(Lost::TooLarge(reason)),
            LogError::Busy(_) | LogError::Full(_) => {}
            LogError::WrongFence | LogError::Ambiguous(_) => {
                if let Some(fence) = look(log, around, expected, commit).await? {
                    around.note(Note::Resolved);
                    return Ok(fence);
                }
            }
        }
        attempt += 1;
        around.pause(attempt).await;
    }
}

/// Finds out whether a commit is stored; none if it is not.
async fn look<L: Log, S: Surroundings>(
    log: &L,
    around: &S,
    expected: Fence,
    commit: &Commit,
) -> Result<Option<Fence>, Lost> {
    for attempt in 1..=OUTDATED {
        let found = last(log, around).await?;
        match partition::resolve(expected, &commit.checkpoint, found.as_ref()) {
            Resolution::Stored(fence) => return Ok(Some(fence)),
            Resolution::NotStored => return Ok(None),
            Resolution::Overtaken => return Err(Lost::End(End::Deposed)),
            Resolution::Outdated => around.pause(attempt).await,
        }
    }
    let reason = "the checkpoint is older than it was: the log was replaced or edited";
    Err(Lost::End(End::Failed(reason.to_owned())))
}

/// The last checkpoint, however long it takes to get an answer.
pub(super) async fn last<L: Log, S: Surroundings>(
    log: &L,
    around: &S,
) -> Result<Option<Held>, Lost> {
    answered(around, async || log.checkpoint().await).await
}

/// Asks until there is an answer.
async fn answered<T, S: Surroundings>(
    around: &S,
    ask: impl AsyncFn() -> Result<T, LogError>,
) -> Result<T, Lost> {
    let mut attempt = 0;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => failed(around, error, &mut attempt).await?,
        }
    }
}

/// Waits before a failed request is repeated.
pub(super) async fn failed<S: Surroundings>(
    around: &S,
    error: LogError,
    attempt: &mut u32,
) -> Result<(), Lost> {
    around.note(Note::Failed(&error));
    match error {
        LogError::Damaged(reason) => return Err(Lost::End(End::Damaged(reason))),
        LogError::Permanent(reason) => return Err(Lost::End(End::Failed(reason))),
        _ => {}
    }
    *attempt += 1;
    around.pause(*attempt).await;
    Ok(())
}

/// Reads, processes and commits, until the partition is lost.
async fn serve<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    settings: &Settings,
    running: &mut Running,
) -> Result<Lost, Lost> {
    let mut in_flight: Option<LocalBoxFuture<'_, Result<Fence, Lost>>> = None;
    let mut purge: Option<LocalBoxFuture<'_, Result<(), LogError>>> = None;
    // Of the commit that gathers.
    let mut staged = L::Staged::default();
    // Read, and not yet processed.
    let mut waiting: Vec<Input> = Vec::new();
    let mut most = settings.batch;
    // Whether what comes next has to wait for the next commit.
    let mut full = false;
    let mut stopping = false;
    // Of the commit in flight.
    let mut has_snapshots = false;
    loop {
        if stopping && running.is_idle() {
            return Ok(Lost::End(End::Stopped));
        }
        if let Some((fence, commit)) = running.form(work) {
            // What was read for the commit may be wrong.
            if let Some(why) = work.broken() {
                return Err(Lost::End(End::Damaged(why)));
            }
            full = false;
            has_snapshots = !commit.snapshots.is_empty();
            around.reached(Station::Processed).await;
            if let Some(group) = running.take_oversized() {
                around.note(Note::Oversized(group));
            }
            let staged = std::mem::take(&mut staged);
            in_flight = Some(Box::pin(async move {
                deliver(log, around, fence, &commit, staged).await
            }));
        } else {
            log.stage(&mut staged, running.gathered());
        }
        let (due, quiet) = (work.next_due(), work.quiet_due());
        let holding = quiet.map(|_| work.holding(running.inputs()));
        let holding = holding.unwrap_or_default();
        let free = !full && !stopping;
        let open = free && !work.is_blocked();
        let room = running.room().min(settings.batch);
        let can_read = open && waiting.is_empty() && room > 0;
        tokio::select! {
            biased;
            stored = finished(&mut in_flight) => {
                let stored = stored?;
                around.reached(Station::Committed).await;
                if has_snapshots {
                    around.reached(Station::Snapshotted).await;
                }
                work.confirmed();
                let purged = running.stored(stored);
                work.noted(Some(&running.mark()));
                log_length(around, running);
                around.reached(Station::Noted).await;
                if let Some(before) = purged {
                    purge = Some(Box::pin(log.purge(before)));
                }
            }
            purged = finished(&mut purge) => {
                around.reached(Station::Purged).await;
                if let Err(error) = purged {
                    around.note(Note::Failed(&error));
                }
            },
            () = around.stopped(), if !stopping => stopping = true,
            () = async { around.until(due.unwrap_or_default()).await; around.permitted().await }, if free && due.is_some() => {
                full = process(work, around, running, &mut Vec::new(), &mut most).await?;
            }
            () = around.permitted(), if open && !waiting.is_empty() => {
                full = process(work, around, running, &mut waiting, &mut most).await?;
            }
            read = answered(around, async || log.read(running.inputs(), room).await), if can_read => {
                let read = read?;
                running.pass(&read.passed);
                waiting = read.messages;
            }
            () = async { around.until(quiet.unwrap_or_default()).await; log.idle(&holding).await }, if can_read && quiet.is_some() => {
                work.idle();
            }
        }
        most = (most * 2).min(settings.batch);
    }
}

/// Processes waiting messages, or due entries if there are none: as many as fit into a commit. True if the
/// next one must wait for the next commit.
pub(super) async fn process<W: Work, S: Surroundings>(
    work: &mut W,
    around: &S,
    running: &mut Running,
    waiting: &mut Vec<Input>,
    most: &mut usize,
) -> Result<bool, Lost> {
    loop {
        let count = waiting.len().min(*most);
        let batch = waiting.get(..count).unwrap_or_default();
        let effects = match &*running.fresh(batch, work) {
            [] if batch.is_empty() => work.fire(*most).await,
            [] => Effects::default(),
            fresh => work.process(fresh).await,
        };
        match running.gather(batch, effects, work.unsealed()) {
            Fit::Joins => {
                waiting.drain(..count);
                return Ok(false);
            }
            Fit::Later => {
                work.undo();
                return Ok(true);
            }
            Fit::Never if *most > 1 => {
                work.undo();
                *most /= 2;
            }
            Fit::Never => {
                work.undo();
                around.note(Note::Rejected);
                let reason = "its results and writes are more than a commit holds";
                let effects = work.reject(batch.first(), reason).await;
                if running.gather_dead(batch, effects, work.unsealed()) != Fit::Joins {
                    let reason = "the bounds of a commit are too small for a dead letter";
                    return Err(Lost::End(End::Damaged(reason.to_owned())));
                }
                waiting.drain(..count);
                return Ok(false);
            }
        }
    }
}

/// The end of what is under way; never, if nothing is.
async fn finished<T>(slot: &mut Option<LocalBoxFuture<'_, T>>) -> T {
    match slot {
        Some(future) => {
            let ended = future.await;
            *slot = None;
            ended
        }
        None => std::future::pending().await,
    }
}
