//! Brings a state up to date with its log: for a partition of another owner, and after a claim.
//!
//! A standby follows the log and owns nothing. What it has read counts only if its host claims the partition
//! and the claim proves the state (`recovery.rs`). Then it reads what is missing; otherwise everything. It
//! may be dropped at any point; the [`Recovery`] describes the state.

use super::log::{Checkpoint, Fence, Held, Log, LogError};
use super::partition::Running;
use super::recovery::{Recovery, Unfinished};
use super::surroundings::{End, Note, Settings, Surroundings};
use super::work::{Unreadable, Work};
use super::worker::{Lost, failed};

const BEHIND: &str = "the log was read from a replica that lags behind";

/// Follows the log of a partition. Never ends. `standby` describes the state.
pub async fn stand_by<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    settings: &Settings,
    standby: &mut Option<Recovery>,
) {
    let mut attempt = 0;
    loop {
        let before = standby.as_ref().map(Recovery::log);
        let followed = follow(log, work, around, settings, standby).await;
        if standby.as_ref().map(Recovery::log) > before {
            attempt = 0;
        }
        let error = followed.err().unwrap_or_else(|| {
            let reason = "nothing more is heard of the log";
            LogError::Busy(reason.to_owned())
        });
        if failed(around, error, &mut attempt).await.is_err() {
            // What was read does not fit together, as where a restore came between.
            *standby = None;
            work.begin(&Checkpoint::default());
            attempt += 1;
            around.pause(attempt).await;
        }
    }
}

async fn follow<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    settings: &Settings,
    standby: &mut Option<Recovery>,
) -> Result<(), LogError> {
    if standby.is_none() {
        *standby = kept(work, settings);
    }
    if standby.as_ref().is_none_or(Recovery::has_gap) {
        *standby = None;
        let mut attempt = 0;
        let last = loop {
            if let Some(last) = log.checkpoint().await? {
                break last;
            }
            // Nobody has ever claimed it.
            attempt += 1;
            around.pause(attempt).await;
        };
        work.begin(&last.checkpoint);
        let fence = last.fence;
        let mut begun = Recovery::new(last, settings.groups.clone(), settings.least);
        log.recover(fence, &mut |stored| begun.take(stored, work))
            .await?;
        if !begun.is_whole() {
            return Err(LogError::Busy(BEHIND.to_owned()));
        }
        *standby = Some(begun);
    }
    let Some(standby) = standby else {
        return Ok(());
    };
    around.note(Note::Follows(standby, work.size()));
    let (from, for_ever) = (standby.next(), Fence(u64::MAX));
    let mut take = |stored| {
        standby.take(stored, work)?;
        around.note(Note::Follows(standby, work.size()));
        match standby.has_gap() {
            true => Err(LogError::Busy(
                "the log was compacted before the standby had read it".to_owned(),
            )),
            false => Ok(()),
        }
    };
    log.follow(from, for_ever, &mut take).await
}

/// What was kept over a restart, to go on with.
pub(super) fn kept(work: &mut impl Work, settings: &Settings) -> Option<Recovery> {
    let mark = work.kept()?;
    Some(Recovery::kept(
        &mark,
        settings.groups.clone(),
        settings.least,
    ))
}

/// Reads the state as of the claim.
pub(super) async fn recover<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    settings: &Settings,
    claimed: &Held,
    standby: Option<Recovery>,
) -> Result<Running, Lost> {
    let mut attempt = 0;
    if let Some(mut standby) = standby {
        catch_up(log, work, around, claimed, &mut standby).await;
        if work.broken().is_none() && standby.is_of(&claimed.checkpoint) {
            work.claimed(&claimed.checkpoint);
            if let Err(Unreadable(why)) = work.recovered() {
                return Err(Lost::End(End::Failed(why)));
            }
            around.note(Note::Recovered { warm: true });
            let running = standby.owned(claimed.clone(), settings.bounds);
            work.noted(Some(&running.mark()));
            return Ok(running);
        }
    }
    loop {
        work.begin(&claimed.checkpoint);
        let mut recovery = Recovery::new(claimed.clone(), settings.groups.clone(), settings.least);
        let mut take = |stored| recovery.take(stored, work);
        let error = match log.recover(claimed.fence, &mut take).await {
            Ok(()) => match recovery.finish(settings.bounds) {
                Ok(running) => match work.recovered() {
                    Ok(()) => {
                        around.note(Note::Recovered { warm: false });
                        work.noted(Some(&running.mark()));
                        return Ok(running);
                    }
                    Err(Unreadable(why)) => LogError::Permanent(why),
                },
                Err(Unfinished::Overtaken) => return Err(Lost::End(End::Deposed)),
                Err(Unfinished::Damaged(reason)) => LogError::Damaged(reason),
                Err(Unfinished::Behind) => LogError::Busy(BEHIND.to_owned()),
            },
            Err(error) => error,
        };
        failed(around, error, &mut attempt).await?;
    }
}

/// Reads what a standby is missing for a claim, if it can be had.
async fn catch_up<L: Log, W: Work, S: Surroundings>(
    log: &L,
    work: &mut W,
    around: &S,
    claimed: &Held,
    standby: &mut Recovery,
) {
    let (claim, fence) = (&claimed.checkpoint, claimed.fence);
    let mut attempt = 0;
    while !standby.is_of(claim) && !standby.has_gap() && standby.log() < claim.log {
        let (from, before) = (standby.next(), standby.log());
        if from > fence {
            // It is of another log.
            return;
        }
        let mut take = |stored| standby.take(stored, work);
        let error = match log.follow(from, fence, &mut take).await {
            Ok(()) if standby.log() > before => continue,
            Ok(()) => return,
            Err(error) => error,
        };
        if failed(around, error, &mut attempt).await.is_err() {
            return;
        }
    }
}
