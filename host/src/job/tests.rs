//! The properties of a job, on the model: no repeated result, no missing result, no write of a deposed owner,
//! and the state of a fold over the input, through every fault.
//!
//! Each schedule follows from its seed. `WEIR_SEED=N cargo test -p weir --lib job` repeats one,
//! `WEIR_SCHEDULES=N` runs more of them.

use super::log::{Checkpoint, Delta, Fence, Held, Snapshot, Stored};
use super::model::Tally;
use super::partition::Bounds;
use super::recovery::Recovery;
use fold::{Fold, Folding, Mistake};
use kept::Kept;
use remembered::Remembered;
use sabotage::Sabotage;
use schedule::{Processor, Schedule};
use std::rc::Rc;

mod api {
    pub use crate::job::log::{Checkpoint, Input, Snapshot};
    pub use crate::job::work::{Effects, Room, Unreadable, Unsealed, Work};
    pub use crate::outgoing::OutgoingMessage;
}

#[path = "../../../tests/job/fold.rs"]
mod fold;
mod host;
mod kept;
#[path = "../../../tests/job/oracle.rs"]
mod oracle;
mod remembered;
mod restored;
mod sabotage;
mod schedule;
mod views;

/// Runs a schedule; an error says what is wrong, and its seed.
fn schedule(seed: u64, sabotage: Sabotage) -> Result<Tally, String> {
    let (new, part) = (Fold::new, 64);
    schedule_with(Processor { new, part }, seed, sabotage)
}

fn schedule_with<F: Folding + 'static>(
    processor: Processor<F>,
    seed: u64,
    sabotage: Sabotage,
) -> Result<Tally, String> {
    let schedule = || Schedule::new(processor, seed, sabotage).run();
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(schedule));
    let ran = ran.unwrap_or_else(|_| Err("it panicked".to_owned()));
    ran.map_err(|why| format!("seed {seed}: {why}"))
}

/// A number from the environment.
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_fails_and_whenever_nothing_is_lost_repeated_or_written_by_a_deposed_owner() {
    if let Some(seed) = from_environment("WEIR_SEED") {
        println!("{:#?}", schedule(seed, Sabotage::None).unwrap());
        return;
    }
    let schedules = from_environment("WEIR_SCHEDULES").unwrap_or(100_000);
    let first = from_environment("WEIR_FIRST").unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let seeds = (first + thread..first + schedules).step_by(threads as usize);
                    seeds.map(|seed| schedule(seed, Sabotage::None)).try_fold(
                        Tally::default(),
                        |mut all, tally| {
                            all.add(&tally?);
                            Ok::<_, String>(all)
                        },
                    )
                })
            })
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            all.add(&thread.join().unwrap().unwrap());
        }
        all
    });
    println!("{schedules} schedules: {all:#?}");
    // Every fault was met, and often.
    let Tally {
        commits,
        claims,
        refused,
        ambiguous,
        late,
        lagging,
        staged,
        snapshots,
        purged,
        warm,
        cold,
        gaps,
    } = all;
    // A standby that misses what was purged is rare.
    assert!(gaps > 0 || schedules < 100_000, "{all:?}");
    for met in [
        commits, claims, refused, ambiguous, late, lagging, staged, snapshots, purged, warm, cold,
    ] {
        assert!(met > schedules / 10, "{all:?}");
    }
}

#[test]
fn the_state_of_jobs_is_that_of_a_fold_whatever_fails_and_whenever() {
    let first = from_environment("WEIR_FIRST").unwrap_or(0);
    let schedules = from_environment("WEIR_SCHEDULES").unwrap_or(3_000);
    let run = |seed, mistake| {
        let (new, part) = (Kept::new, 256);
        schedule_with(Processor { new, part }, seed, Sabotage::Processor(mistake))
    };
    for seed in first..first + schedules {
        run(seed, Mistake::None).unwrap();
    }
    for mistake in [Mistake::TimerStays, Mistake::NoHold, Mistake::NoUndo] {
        let found = (0..5_000).any(|seed| run(seed, mistake).is_err());
        assert!(found, "{mistake:?} is not found");
    }
}

#[test]
fn a_partition_that_reads_no_more_while_a_message_waits_loses_nothing_and_comes_to_its_end() {
    let first = from_environment("WEIR_FIRST").unwrap_or(0);
    let schedules = from_environment("WEIR_SCHEDULES").unwrap_or(5_000);
    let blocking = |groups, now, mistake| {
        let mut fold = Fold::new(groups, now, mistake);
        fold.blocks = true;
        fold
    };
    for seed in first..first + schedules {
        let (new, part) = (blocking, 64);
        schedule_with(Processor { new, part }, seed, Sabotage::None).unwrap();
    }
}

#[test]
fn a_state_that_was_kept_over_a_restart_is_gone_on_with_only_if_the_claim_proves_it() {
    let first = from_environment("WEIR_FIRST").unwrap_or(0);
    let schedules = from_environment("WEIR_SCHEDULES").unwrap_or(5_000);
    let part = 64;
    let run = |new, seed, sabotage| {
        remembered::forget();
        schedule_with(Processor { new, part }, seed, sabotage)
    };
    let mut all = Tally::default();
    for seed in first..first + schedules {
        all.add(&run(Remembered::new, seed, Sabotage::None).unwrap());
    }
    println!("{schedules} schedules: {all:#?}");
    assert!(
        all.warm > schedules / 3 && all.purged > schedules,
        "{all:?}"
    );
    // A savepoint that was restored is another state, whatever is kept.
    for seed in first..first + schedules / 5 {
        remembered::forget();
        let new = Remembered::new;
        let schedule = Schedule::new(Processor { new, part }, seed, Sabotage::None);
        let ran = schedule.with_restores().run();
        ran.map_err(|why| format!("seed {seed}: {why}")).unwrap();
    }
    let lie = |seed| run(Remembered::lying, seed, Sabotage::None).is_err();
    assert!((0..5_000).any(lie), "a wrong place in the log is not found");
}

#[test]
fn the_state_of_jobs_on_disk_is_that_of_a_fold_whatever_fails_and_whenever() {
    let first = from_environment("WEIR_FIRST").unwrap_or(0);
    let schedules = from_environment("WEIR_SCHEDULES").unwrap_or(20);
    let mut all = Tally::default();
    for seed in first..first + schedules {
        let home = tempfile::TempDir::new().unwrap();
        kept::keep(home.path());
        let (new, part) = (Kept::on_disk, 256);
        all.add(&schedule_with(Processor { new, part }, seed, Sabotage::None).unwrap());
    }
    println!("{schedules} schedules: {all:#?}");
    assert!(all.warm > schedules / 4, "{all:?}");
}

/// Runs a schedule with savepoints that are restored; with the state of jobs, where that is asked for.
fn restored(seed: u64, sabotage: Sabotage, kept: bool) -> Result<u64, String> {
    fn run<F: Folding + 'static>(mut schedule: Schedule<F>) -> Result<u64, String> {
        schedule.run()?;
        Ok(schedule.restores.map_or(0, |restores| restores.count))
    }
    let ran = match kept {
        false => {
            let (new, part) = (Fold::new, 64);
            run(Schedule::new(Processor { new, part }, seed, sabotage).with_restores())
        }
        true => {
            let (new, part) = (Kept::new, 256);
            run(Schedule::new(Processor { new, part }, seed, sabotage).with_restores())
        }
    };
    ran.map_err(|why| format!("seed {seed}: {why}"))
}

#[test]
fn a_restored_savepoint_whose_groups_had_come_to_different_positions_repeats_and_misses_nothing() {
    if let Some(seed) = from_environment("WEIR_SEED") {
        println!(
            "{} restores",
            restored(seed, Sabotage::None, false).unwrap()
        );
        return;
    }
    let first = from_environment("WEIR_FIRST").unwrap_or(0);
    let schedules = from_environment("WEIR_SCHEDULES").unwrap_or(5_000);
    let seeds = first..first + schedules;
    let restores = seeds
        .clone()
        .map(|seed| restored(seed, Sabotage::None, false).unwrap());
    let restores: u64 = restores.sum();
    println!("{schedules} schedules: {restores} restores");
    assert!(restores > schedules / 2);
    for seed in seeds.step_by(10) {
        restored(seed, Sabotage::None, true).unwrap();
    }
}

#[test]
fn every_mistake_in_a_restore_is_found() {
    for sabotage in [
        Sabotage::ForgetsAhead,
        Sabotage::TakesHighest,
        Sabotage::NoMark,
    ] {
        let found = (0..5_000).find_map(|seed| restored(seed, sabotage, false).err());
        let found = found.unwrap_or_else(|| panic!("{sabotage:?} is not found"));
        println!("{sabotage:?}: {}", found.lines().next().unwrap_or_default());
    }
}

#[test]
fn a_standby_that_was_misled_is_found_out_by_its_claim_and_changes_nothing() {
    let mut all = Tally::default();
    for seed in 0..5_000 {
        all.add(&schedule(seed, Sabotage::Misleads).unwrap());
    }
    assert!(all.warm > 100 && all.cold > 1_000, "{all:?}");
}

#[test]
fn every_mistake_in_the_engine_is_found() {
    let mistakes = [
        Mistake::TimerStays,
        Mistake::NoHold,
        Mistake::OverSnapshot,
        Mistake::NoUndo,
    ];
    let sabotages = [
        Sabotage::NoFence,
        Sabotage::TakenAsStored,
        Sabotage::TakenAsLost,
        Sabotage::NoClaim,
        Sabotage::ShortLog,
        Sabotage::ForgetsStaged,
        Sabotage::StagedStays,
        Sabotage::OneName,
        Sabotage::ReadsTwice,
        Sabotage::Skips,
        Sabotage::PassesMore,
        Sabotage::PurgesMore,
    ];
    let mistakes = mistakes.map(Sabotage::Processor);
    for sabotage in sabotages.into_iter().chain(mistakes) {
        let found = (0..5_000).find_map(|seed| schedule(seed, sabotage).err());
        let found = found.unwrap_or_else(|| panic!("{sabotage:?} is not found"));
        println!("{sabotage:?}: {}", found.lines().next().unwrap_or_default());
    }
}

#[test]
fn a_log_that_somebody_has_edited_is_not_taken_for_a_whole_one() {
    let delta = |number| {
        let content = bytes::Bytes::new();
        Stored::Delta(Delta { number, content }, Fence(number + 1))
    };
    let snapshot = |group, reach| {
        let content = bytes::Bytes::from_static(&[0; 8]);
        Stored::Snapshot(Snapshot {
            group,
            reach,
            content,
        })
    };
    let checkpoint = |fence| {
        let checkpoint = Checkpoint {
            log: 3,
            ..Checkpoint::default()
        };
        Stored::Checkpoint(Held { fence, checkpoint })
    };
    let claim = checkpoint(Fence(9));
    let recover = |stored: &[Stored]| {
        let checkpoint = Checkpoint {
            log: 3,
            ..Checkpoint::default()
        };
        let held = Held {
            fence: Fence(9),
            checkpoint,
        };
        let mut recovery = Recovery::new(held, 0..2, 0);
        let mut fold = Fold::new(2, Rc::default(), Mistake::None);
        for stored in stored {
            recovery
                .take(stored.clone(), &mut fold)
                .map_err(|error| format!("{error:?}"))?;
        }
        let bounds = Bounds {
            messages: 10,
            reserve: 1,
            bytes: 100,
            part: 10,
        };
        recovery
            .finish(bounds)
            .map(drop)
            .map_err(|why| format!("{why:?}"))
    };
    let whole = [claim.clone(), delta(1), delta(2), delta(3), claim.clone()];
    assert_eq!(recover(&whole), Ok(()));
    let compacted = [
        snapshot(0, 1),
        snapshot(1, 2),
        claim.clone(),
        delta(2),
        delta(3),
        claim.clone(),
    ];
    assert_eq!(recover(&compacted), Ok(()));
    let missing = |number: u64| {
        Err(format!(
            "Damaged(\"record {number} of 3 is missing in the log\")"
        ))
    };
    let without = |gone: usize, of: &[Stored]| {
        let mut rest = of.to_vec();
        rest.remove(gone);
        recover(&rest)
    };
    assert_eq!(without(1, &whole), missing(1));
    assert_eq!(without(3, &whole), missing(3));
    // Without its snapshot a group needs all records.
    assert_eq!(without(0, &compacted), missing(1));
    assert_eq!(without(1, &compacted), missing(1));
    assert_eq!(without(0, &whole), Err("Behind".to_owned()));
    assert_eq!(without(4, &whole), Err("Behind".to_owned()));
    let overtaken = [claim.clone(), checkpoint(Fence(10))];
    assert_eq!(recover(&overtaken), Err("Overtaken".to_owned()));
    assert!(recover(&[snapshot(2, 1)]).is_err_and(|why| why.contains("group 2")));
}
