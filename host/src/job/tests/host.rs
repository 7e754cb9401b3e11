//! The environment of an owner in the model, which counts its events.

use crate::job::model::{Model, step};
use crate::job::surroundings::{Note, Surroundings};
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// A host of the model.
pub struct Host {
    pub model: Rc<Model>,
    pub name: u64,
    pub one_name: bool,
    pub owners: Cell<u64>,
    pub stopped: Rc<Cell<bool>>,
    /// Whether it follows the log before it claims the partition.
    pub stands_by: bool,
}

impl Surroundings for Host {
    fn new_owner(&self) -> Arc<str> {
        self.owners.set(self.owners.get() + 1);
        match self.one_name {
            true => "host".into(),
            false => format!("{}.{}", self.name, self.owners.get()).into(),
        }
    }

    async fn until(&self, due: u64) {
        let now = || self.model.now.get();
        poll_fn(|_| {
            if now() < due {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    async fn pause(&self, _attempt: u32) {
        step().await;
    }

    async fn stopped(&self) {
        poll_fn(|_| match self.stopped.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    fn note(&self, note: Note<'_>) {
        let mut tally = self.model.tally.borrow_mut();
        match note {
            Note::Recovered { warm: true } => tally.warm += 1,
            Note::Recovered { warm: false } if self.stands_by => tally.cold += 1,
            Note::Follows(standby, _) if standby.has_gap() => tally.gaps += 1,
            _ => {}
        }
    }
}
