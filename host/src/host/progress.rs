//! Whether a pipeline makes progress: it settles messages, or has nothing to do.
//!
//! Pure: its caller passes observations and times. `observe.rs` makes the observations; `waits.rs` says what
//! a stalled pipeline waits for.

use std::time::{Duration, Instant};

/// What was seen of a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether there is something to be done now.
    pub(super) work: bool,
    /// Messages that this host has settled so far, as far as the server heard of it.
    pub(super) settled: u64,
    /// Up to which delivery everything is settled, by whichever host; 0 while the server does not say.
    pub(super) floor: u64,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The pipeline has had work for so long, and settled nothing.
    Stalled(Duration),
    /// It settles again, or has nothing to do; for so long it did not.
    GoesOn(Duration),
}

/// The progress of one pipeline.
#[derive(Debug)]
pub(super) struct Progress {
    /// How long a pipeline with work may settle nothing.
    bound: Duration,
    last: Seen,
    /// When it settled something last, or got work; `None` while it has none.
    since: Option<Instant>,
    stalled: bool,
}

impl Progress {
    pub(super) fn new(bound: Duration) -> Self {
        Self {
            bound,
            last: Seen::default(),
            since: None,
            stalled: false,
        }
    }

    /// Takes in what was seen.
    pub(super) fn observe(&mut self, now: Instant, seen: Seen) -> Option<Change> {
        let moved = seen.settled > self.last.settled || seen.floor > self.last.floor;
        self.last = Seen {
            floor: seen.floor.max(self.last.floor),
            ..seen
        };
        let before = self.since;
        if !seen.work {
            self.since = None;
        } else if moved || self.since.is_none() {
            self.since = Some(now);
        }
        let lasted = |since: Instant| now.saturating_duration_since(since);
        let stalled = self.since.map(lasted).filter(|it| *it >= self.bound);
        match (
            std::mem::replace(&mut self.stalled, stalled.is_some()),
            stalled,
        ) {
            (false, Some(lasted)) => Some(Change::Stalled(lasted)),
            (true, None) => before.map(lasted).map(Change::GoesOn),
            _ => None,
        }
    }

    /// The lanes were restarted, or the connection is lost: earlier observations have no meaning.
    pub(super) fn forget(&mut self) {
        (self.since, self.stalled) = (None, false);
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Since when it has had work and settled nothing, if that is worth a question.
    pub(super) fn doubtful(&self, now: Instant) -> Option<Instant> {
        let long = |since: &Instant| now.saturating_duration_since(*since) >= self.bound / 4;
        self.since.filter(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUND: Duration = Duration::from_secs(30);

    /// What changed at each of these: a second, whether there is work, and what is settled.
    fn changes(seen: &[(u64, bool, u64)]) -> Vec<(u64, Change)> {
        let (mut progress, start) = (Progress::new(BOUND), Instant::now());
        let observe = |(second, work, settled): &(u64, bool, u64)| {
            let seen = Seen {
                work: *work,
                settled: *settled,
                floor: 0,
            };
            let change = progress.observe(start + Duration::from_secs(*second), seen);
            change.map(|change| (*second, change))
        };
        seen.iter().filter_map(observe).collect()
    }

    #[test]
    fn a_pipeline_with_work_that_settles_nothing_within_the_bound_is_stalled_until_it_does() {
        let seen = [
            (0, true, 5),
            (29, true, 5),
            (30, true, 5),
            (60, true, 5),
            (61, true, 6),
            (90, true, 6),
        ];
        let secs = Duration::from_secs;
        assert_eq!(
            changes(&seen),
            [
                (30, Change::Stalled(secs(30))),
                (61, Change::GoesOn(secs(61)))
            ]
        );
    }

    #[test]
    fn an_idle_pipeline_is_never_stalled_and_a_slow_one_that_settles_is_not() {
        assert_eq!(
            changes(&[(0, false, 0), (1000, false, 0), (1001, true, 0)]),
            []
        );
        let slow: Vec<_> = (0..50).map(|step| (step * 29, true, step)).collect();
        assert_eq!(changes(&slow), []);
    }

    #[test]
    fn work_that_goes_away_ends_a_stall_and_what_comes_then_has_its_own_time() {
        let seen = [
            (0, true, 0),
            (40, true, 0),
            (41, false, 0),
            (50, true, 0),
            (79, true, 0),
        ];
        let last: Vec<_> = changes(&seen)
            .into_iter()
            .map(|(second, _)| second)
            .collect();
        assert_eq!(last, [40, 41]);
    }

    #[test]
    fn what_another_host_settles_is_progress_and_a_server_that_does_not_say_is_none() {
        let (mut progress, start) = (Progress::new(BOUND), Instant::now());
        let mut at = |second, floor| {
            let seen = Seen {
                work: true,
                settled: 0,
                floor,
            };
            progress.observe(start + Duration::from_secs(second), seen)
        };
        assert_eq!(at(0, 7), None);
        assert_eq!(at(29, 8), None);
        assert_eq!(at(58, 0), None);
        assert!(matches!(at(59, 8), Some(Change::Stalled(_))));
    }

    proptest! {
        #[test]
        fn a_stall_and_its_end_take_turns(seen in prop::collection::vec((0_u64..60, any::<bool>(), 0_u64..2), 0..60)) {
            let (mut second, mut settled) = (0, 0);
            let seen: Vec<_> = seen.into_iter().map(|(later, work, more)| {
                (second, settled) = (second + later, settled + more);
                (second, work, settled)
            }).collect();
            let kinds = changes(&seen).into_iter().map(|(_, change)| matches!(change, Change::Stalled(_)));
            for (place, began) in kinds.enumerate() {
                prop_assert_eq!(began, place % 2 == 0);
            }
        }
    }
}
