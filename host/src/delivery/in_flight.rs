//! What a lane holds between pull and settlement, and which of it may be worked on next.
//!
//! Pure and synchronous; it knows nothing of NATS but the [`Ticket`]s it keeps. The rules of
//! `order: key` and `order: stream` live here and nowhere else:
//!
//! - tasks of one group are called in sequence: a task waits while one before it waits for a retry;
//! - tasks of one group are published in sequence: one is published when all before it are settled.
//!   Several may be in one plugin call all the same, because a call publishes nothing.
//!
//! Under `order: none` every task is a group of its own and no group is kept.

mod groups;
mod task;

pub use task::{State, Task, TaskId};

use crate::config::resolved::{Bounds, Order};
use crate::delivery::consumers::Room;
use crate::delivery::ticket::Ticket;
use crate::message::Message;
use crate::parked::Origin;
use crate::process::changeover::Boundary;
use bytestring::ByteString;
use groups::Groups;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

const NOTHING: Bounds = Bounds {
    messages: 0,
    bytes: 0,
};

/// The tasks of one lane. `P` is what a task publishes.
pub struct InFlight<P> {
    tasks: Slab<Task<P>>,
    groups: Groups,
    order: Order,
    bounds: Bounds,
    bytes: usize,
    /// Of the bounds, what is kept for tasks that were parked; none without a parking stream.
    share: Bounds,
    /// What of that is taken.
    unparked: Bounds,
    /// Tasks that may have become callable, oldest first.
    callable: VecDeque<TaskId>,
    /// Tasks that may have become publishable, oldest first.
    publishable: VecDeque<TaskId>,
    /// Tasks whose time comes later, the next one on top; some may be settled since.
    sleeping: BinaryHeap<Reverse<(Instant, TaskId)>>,
    /// Of what is held, what waits to be called again.
    waiting: Bounds,
}

impl<P> InFlight<P> {
    pub fn new(order: Order, bounds: Bounds) -> Self {
        Self {
            tasks: Slab::new(),
            groups: Groups::default(),
            order,
            bounds,
            bytes: 0,
            share: NOTHING,
            unparked: NOTHING,
            callable: VecDeque::new(),
            publishable: VecDeque::new(),
            sleeping: BinaryHeap::new(),
            waiting: NOTHING,
        }
    }

    /// Keeps an eighth of the bounds for tasks that were parked, but not many: they are few beside new ones.
    pub fn share_with_parked(&mut self, least_bytes: usize) {
        const MOST_SHARED: usize = 64;
        self.share = Bounds {
            messages: (self.bounds.messages / 8).clamp(1, MOST_SHARED),
            bytes: (self.bounds.bytes / 8).max(least_bytes),
        };
    }

    /// What could be held besides what is held.
    pub fn room(&self) -> Room {
        let (all, share, unparked) = (self.bounds, self.share, self.unparked);
        let left = |all: usize, share: usize, held: usize, unparked: usize| {
            all.saturating_sub(share.saturating_add(held.saturating_sub(unparked)))
        };
        let held = self.tasks.len();
        Room {
            source: Bounds {
                messages: left(all.messages, share.messages, held, unparked.messages),
                bytes: left(all.bytes, share.bytes, self.bytes, unparked.bytes),
            },
            parking: Bounds {
                messages: share.messages.saturating_sub(unparked.messages),
                bytes: share.bytes.saturating_sub(unparked.bytes),
            },
        }
    }

    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub fn get(&self, id: TaskId) -> Option<&Task<P>> {
        self.tasks.get(id)
    }

    pub fn get_mut(&mut self, id: TaskId) -> Option<&mut Task<P>> {
        self.tasks.get_mut(id)
    }

    /// Takes a delivery in hand.
    ///
    /// `retries` is how often a plugin has asked for it again before.
    pub fn admit(
        &mut self,
        message: Message,
        ticket: Ticket,
        origin: Option<Box<Origin>>,
        retries: u32,
    ) {
        let group = match self.order {
            Order::None => None,
            Order::Key => message.key.clone(),
            Order::Stream => Some(ByteString::new()),
        };
        self.bytes += message.size();
        if origin.is_some() {
            self.unparked.messages += 1;
            self.unparked.bytes += message.size();
        }
        let task = Task {
            ticket,
            message,
            origin,
            retries,
            publish_failures: 0,
            state: State::Fresh,
            slot: None,
        };
        let id = self.tasks.insert(task);
        if let (Some(group), Some(task)) = (group, self.tasks.get_mut(id)) {
            task.slot = Some(self.groups.join(group, id));
        }
        self.callable.push_back(id);
    }

    /// The next tasks to call plugins with, at most `bounds` (but at least one, if there is one),
    /// in the order of their delivery. They count as called from now on.
    pub fn next_batch(&mut self, bounds: Bounds) -> Vec<TaskId> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < bounds.messages {
            let Some(&id) = self.callable.front() else {
                break;
            };
            if !self.may_call(id) {
                self.callable.pop_front();
                continue;
            }
            let size = self.tasks.get(id).map_or(0, |task| task.message.size());
            if !batch.is_empty() && bytes + size > bounds.bytes {
                break;
            }
            self.callable.pop_front();
            bytes += size;
            if let Some(task) = self.tasks.get_mut(id) {
                task.state = State::Called;
            }
            batch.push(id);
        }
        batch
    }

    /// Whether a task is fresh and nothing before it in its group has yet to be called.
    ///
    /// Along a group the states never go back: called, ready or publishing, then perhaps one that waits,
    /// then fresh ones. So the neighbour before it answers for all.
    fn may_call(&self, id: TaskId) -> bool {
        let Some(task) = self.tasks.get(id) else {
            return false;
        };
        if !matches!(task.state, State::Fresh) {
            return false;
        }
        let before = task.slot.and_then(|slot| self.groups.before(slot));
        let before = before.and_then(|before| self.tasks.get(before));
        !matches!(
            before.map(|task| &task.state),
            Some(State::Fresh | State::Waiting(_))
        )
    }

    /// Whether a task is still out in the call that returned a verdict on it, and not waiting for
    /// one of its group to be called again first.
    pub fn is_called(&self, id: TaskId) -> bool {
        matches!(
            self.tasks.get(id).map(|task| &task.state),
            Some(State::Called)
        )
    }

    /// A task has something to publish.
    pub fn ready(&mut self, id: TaskId, publication: P) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.state = State::Ready(publication);
            self.publishable.push_back(id);
        }
    }

    /// A task is to be called again, from `at` on. What its group has called after it starts over.
    pub fn wait(&mut self, id: TaskId, at: Instant) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.state = State::Waiting(at);
        task.message.attempt = task.message.attempt.saturating_add(1);
        task.publish_failures = 0;
        self.waiting.messages += 1;
        self.waiting.bytes += task.message.size();
        self.start_over_behind(id);
        self.sleeping.push(Reverse((at, id)));
    }

    /// Whether so much waits to be called again that another task had better wait elsewhere: what
    /// waits takes the room of what is new.
    pub fn is_crowded(&self, id: TaskId) -> bool {
        let size = self.tasks.get(id).map_or(0, |task| task.message.size());
        let (waiting, all) = (self.waiting, self.bounds);
        (waiting.messages + 1) * 2 > all.messages || (waiting.bytes + size) * 2 > all.bytes
    }

    /// Not all of a task could be published: that is tried again, from `at` on.
    pub fn publish_again(&mut self, id: TaskId, publication: P, at: Instant) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.state = State::Unpublished(publication, at);
            self.sleeping.push(Reverse((at, id)));
        }
    }

    /// Gives up publishing what could not be published so far: plugins are called with it again.
    pub fn call_unpublished(&mut self) {
        let unpublished = |(id, task): (TaskId, &Task<P>)| {
            matches!(task.state, State::Unpublished(..)).then_some(id)
        };
        let unpublished: Vec<_> = self.tasks.iter().filter_map(unpublished).collect();
        for id in unpublished {
            if let Some(task) = self.tasks.get_mut(id) {
                task.state = State::Fresh;
            }
            self.start_over_behind(id);
            self.recall(id);
        }
    }

    /// What the group of a task has called after it is called again.
    fn start_over_behind(&mut self, id: TaskId) {
        let slot = self.tasks.get(id).and_then(|task| task.slot);
        let after = slot
            .into_iter()
            .flat_map(|slot| self.groups.from(slot).skip(1));
        for other in after {
            if let Some(task) = self.tasks.get_mut(other)
                && matches!(task.state, State::Called | State::Ready(_))
            {
                task.state = State::Fresh;
            }
        }
    }

    /// So many tasks have something to publish, at most.
    pub fn publishable(&self) -> usize {
        self.publishable.len()
    }

    /// The next task whose outputs may be published now, if any.
    pub fn next_publishable(&mut self) -> Option<TaskId> {
        while let Some(id) = self.publishable.pop_front() {
            let Some(task) = self.tasks.get(id) else {
                continue;
            };
            let is_head = task.slot.is_none_or(|slot| self.groups.is_head(slot));
            if is_head && matches!(task.state, State::Ready(_)) {
                return Some(id);
            }
        }
        None
    }

    /// Hands a task back for settlement. The next of its group may go on.
    pub fn finish(&mut self, id: TaskId) -> Option<Task<P>> {
        let task = self.tasks.try_remove(id)?;
        self.bytes -= task.message.size();
        if let State::Waiting(_) = task.state {
            self.waits_no_more(&task.message);
        }
        if task.origin.is_some() {
            self.unparked.messages -= 1;
            self.unparked.bytes -= task.message.size();
        }
        let next = task.slot.and_then(|slot| self.groups.leave(slot));
        self.publishable.extend(next);
        Some(task)
    }

    /// The earliest time at which a task that waits may go on.
    pub fn next_wake(&self) -> Option<Instant> {
        self.sleeping.peek().map(|Reverse((at, _))| *at)
    }

    /// Lets go on what has waited long enough.
    pub fn wake(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) =
            self.sleeping.peek().copied().filter(|next| next.0.0 <= now)
        {
            self.sleeping.pop();
            let Some(task) = self.tasks.get_mut(id) else {
                continue;
            };
            match std::mem::replace(&mut task.state, State::Fresh) {
                State::Waiting(until) if until == at => {
                    let message = task.message.clone();
                    self.waits_no_more(&message);
                    self.recall(id);
                }
                State::Unpublished(publication, until) if until == at => {
                    self.ready(id, publication)
                }
                // Another task has its number since.
                other => task.state = other,
            }
        }
    }

    /// Queues a task, and what of its group stands behind it, for a call: in sequence.
    fn recall(&mut self, id: TaskId) {
        match self.tasks.get(id).and_then(|task| task.slot) {
            Some(slot) => self.callable.extend(self.groups.from(slot)),
            None => self.callable.push_back(id),
        }
    }

    /// Tasks that wait to be called or published again, and those behind them, for a lane that is about
    /// to stop.
    pub fn waiting(&self) -> Vec<TaskId> {
        let unpublished = |task: &Task<P>| matches!(task.state, State::Unpublished(..));
        let tasks = self.tasks.iter();
        let waits = tasks.filter(|(id, task)| unpublished(task) || self.is_retry(*id, task));
        waits.map(|(id, _)| id).collect()
    }

    /// How many wait until plugins want to be called again, with those behind them.
    pub fn retries(&self) -> usize {
        let tasks = self.tasks.iter();
        tasks.filter(|(id, task)| self.is_retry(*id, task)).count()
    }

    fn is_retry(&self, id: TaskId, task: &Task<P>) -> bool {
        match task.state {
            State::Waiting(_) => true,
            State::Fresh => !self.may_call(id),
            _ => false,
        }
    }

    fn waits_no_more(&mut self, message: &Message) {
        self.waiting.messages -= 1;
        self.waiting.bytes -= message.size();
    }

    /// All tasks, for a lane that stops now.
    pub fn all(&self) -> Vec<TaskId> {
        self.tasks.iter().map(|(id, _)| id).collect()
    }
}

impl<P> Boundary for InFlight<P> {
    fn has_unpublished(&self) -> bool {
        let unstored = |task: &Task<P>| {
            matches!(
                task.state,
                State::Ready(_) | State::Publishing(..) | State::Unpublished(..)
            )
        };
        self.tasks.iter().any(|(_, task)| unstored(task))
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
