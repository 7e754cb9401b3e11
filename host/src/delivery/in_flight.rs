//! The messages that a lane holds between pull and settlement, and which of them it may process next.
//!
//! Pure and synchronous. Of NATS it knows only the [`Ticket`]s that it keeps. No task waits for another.

mod task;

pub use task::{State, Task, TaskId};

use crate::config::resolved::Bounds;
use crate::delivery::consumers::Room;
use crate::delivery::ticket::Ticket;
use crate::message::Message;
use crate::parked::Origin;
use crate::process::changeover::Boundary;
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
    pub fn new(bounds: Bounds) -> Self {
        Self {
            tasks: Slab::new(),
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

    /// Adds a delivery.
    ///
    /// `retries` is how often a plugin has asked for it again before.
    pub fn admit(
        &mut self,
        message: Message,
        ticket: Ticket,
        origin: Option<Box<Origin>>,
        retries: u32,
    ) {
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
        };
        let id = self.tasks.insert(task);
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
            let task = self.tasks.get(id);
            let Some(task) = task.filter(|task| matches!(task.state, State::Fresh)) else {
                self.callable.pop_front();
                continue;
            };
            let size = task.message.size();
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

    /// A task has something to publish.
    pub fn ready(&mut self, id: TaskId, publication: P) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.state = State::Ready(publication);
            self.publishable.push_back(id);
        }
    }

    /// A task is to be called again, from `at` on.
    pub fn wait(&mut self, id: TaskId, at: Instant) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.state = State::Waiting(at);
        task.message.attempt = task.message.attempt.saturating_add(1);
        task.publish_failures = 0;
        self.waiting.messages += 1;
        self.waiting.bytes += task.message.size();
        self.sleeping.push(Reverse((at, id)));
    }

    /// Whether so many tasks wait for a retry that another one should wait elsewhere: waiting tasks take the room
    /// of new ones.
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
        for (id, task) in &mut self.tasks {
            if let State::Unpublished(..) = task.state {
                task.state = State::Fresh;
                self.callable.push_back(id);
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
            let task = self.tasks.get(id);
            if task.is_some_and(|task| matches!(task.state, State::Ready(_))) {
                return Some(id);
            }
        }
        None
    }

    /// Hands a task back for settlement.
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
                    self.callable.push_back(id);
                }
                State::Unpublished(publication, until) if until == at => {
                    self.ready(id, publication)
                }
                // Another task has its number since.
                other => task.state = other,
            }
        }
    }

    /// Tasks that wait for a retry or another publish, for a lane that is about to stop.
    pub fn waiting(&self) -> Vec<TaskId> {
        let waits =
            |task: &Task<P>| matches!(task.state, State::Waiting(_) | State::Unpublished(..));
        let tasks = self.tasks.iter();
        let waiting = tasks.filter(|(_, task)| waits(task));
        waiting.map(|(id, _)| id).collect()
    }

    /// How many wait until plugins want to be called again.
    #[must_use]
    pub fn retries(&self) -> usize {
        self.waiting.messages
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
