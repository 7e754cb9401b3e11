//! The processor of the schedules with a state that survives restarts: an owner may find any state that any
//! owner or standby ever had, with its position in the log, as in a directory of an earlier run. Only the
//! claim decides whether the state is used.

use super::api::{Checkpoint, Effects, Input, Snapshot, Unreadable, Unsealed, Work};
use super::fold::{Fold, Folding, Mistake};
use crate::state::Mark;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Why nothing of a state is to be committed.
pub const BROKEN: &str = "it cannot be read";
/// States that are kept, at most.
const MOST: usize = 6;

thread_local! {
    /// Of the schedule that runs: where in the log each state is, and its groups.
    static KEPT: RefCell<Vec<(Mark, Vec<Snapshot>)>> = const { RefCell::new(Vec::new()) };
    static TURN: Cell<usize> = const { Cell::new(0) };
}

/// A schedule begins: nothing is kept.
pub fn forget() {
    KEPT.with_borrow_mut(Vec::clear);
    TURN.set(0);
}

pub struct Remembered {
    fold: Fold,
    groups: u16,
    /// Whether it finds a state with the place of another one.
    lies: bool,
    /// Whether it could not read its state: it is broken until it starts again.
    broken: bool,
}

impl Remembered {
    pub fn new(groups: u16, now: Rc<Cell<u64>>, mistake: Mistake) -> Self {
        Self {
            fold: Fold::new(groups, now, mistake),
            groups,
            lies: false,
            broken: false,
        }
    }

    pub fn lying(groups: u16, now: Rc<Cell<u64>>, mistake: Mistake) -> Self {
        let lies = true;
        Self {
            lies,
            ..Self::new(groups, now, mistake)
        }
    }

    /// A number below, another one each time.
    fn turn(below: usize) -> usize {
        TURN.set(TURN.get() + 7);
        TURN.get() / 3 % below
    }
}

impl Folding for Remembered {
    fn hashes(&self) -> BTreeMap<u8, (u64, u64)> {
        self.fold.hashes()
    }

    fn is_quiet(&self) -> bool {
        self.fold.is_quiet()
    }
}

impl Work for Remembered {
    fn begin(&mut self, checkpoint: &Checkpoint) {
        self.broken = false;
        self.fold.begin(checkpoint);
    }

    fn noted(&mut self, mark: Option<&Mark>) {
        // What is gathered for the next commit is in the state of a fold.
        let Some(mark) =
            mark.filter(|_| self.fold.unsealed() == Unsealed::default() && !self.broken)
        else {
            return;
        };
        let groups = (0..self.groups).map(|group| Snapshot {
            group,
            reach: mark.log,
            content: self.fold.snapshot(group),
        });
        let groups = groups.collect();
        KEPT.with_borrow_mut(|kept| {
            if kept.len() == MOST {
                kept.remove(Self::turn(MOST));
            }
            kept.push((mark.clone(), groups));
        });
    }

    fn kept(&mut self) -> Option<Mark> {
        if std::mem::take(&mut self.broken) {
            return None;
        }
        let (mark, groups) = KEPT.with_borrow(|kept| {
            let found = kept.get(Self::turn(kept.len() + 1))?;
            let place = if self.lies { kept.last()? } else { found };
            Some((place.0.clone(), found.1.clone()))
        })?;
        self.fold.begin(&Checkpoint::default());
        for snapshot in &groups {
            self.fold.restore(snapshot).unwrap();
        }
        Some(mark)
    }

    fn broken(&self) -> Option<String> {
        self.broken.then(|| BROKEN.to_owned())
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Unreadable> {
        self.fold.restore(snapshot)
    }

    fn replay(&mut self, delta: &Bytes, applies: &dyn Fn(u16) -> bool) -> Result<(), Unreadable> {
        self.fold.replay(delta, applies)
    }

    fn group(&self, input: &Input) -> u16 {
        self.fold.group(input)
    }

    async fn process(&mut self, batch: &[Input]) -> Effects {
        let effects = self.fold.process(batch).await;
        // What it reads is wrong from now on, and so is what comes of it.
        self.broken |= Self::turn(40) == 0;
        match self.broken {
            true => Effects::default(),
            false => effects,
        }
    }

    async fn fire(&mut self, most: usize) -> Effects {
        self.fold.fire(most).await
    }

    fn undo(&mut self) {
        self.fold.undo();
    }

    async fn reject(&mut self, message: Option<&Input>, reason: &str) -> Effects {
        self.fold.reject(message, reason).await
    }

    fn next_due(&self) -> Option<u64> {
        self.fold.next_due()
    }

    fn unsealed(&self) -> Unsealed {
        self.fold.unsealed()
    }

    fn seal(&mut self) -> Option<Bytes> {
        self.fold.seal()
    }

    fn confirmed(&mut self) {
        self.fold.confirmed();
    }

    fn snapshot(&mut self, group: u16) -> Bytes {
        self.fold.snapshot(group)
    }

    fn size(&self) -> usize {
        self.fold.size()
    }
}
