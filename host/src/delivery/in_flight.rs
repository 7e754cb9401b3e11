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

use crate::config::resolved::{Bounds, Order};
use crate::delivery::intake::Room;
use crate::delivery::sink::Failure;
use crate::delivery::ticket::Ticket;
use crate::message::Message;
use crate::parked::Origin;
use bytestring::ByteString;
use groups::{Groups, Slot};
use slab::Slab;
use std::collections::VecDeque;
use std::time::Instant;

const NOTHING: Bounds = Bounds {
    messages: 0,
    bytes: 0,
};

/// Names a task for as long as it is held.
pub type TaskId = usize;

/// One message in hand, until it is settled.
pub struct Task<P> {
    pub ticket: Ticket,
    pub message: Message,
    /// Where the message came from, if it was parked since.
    pub origin: Option<Box<Origin>>,
    /// Times that this lane has called plugins with it or tried to publish it, beyond the first.
    pub retries: u32,
    pub state: State<P>,
    /// In its group, if it must keep a sequence.
    slot: Option<Slot>,
}

impl<P> Task<P> {
    /// The stream that the message is from: `usual`, unless it was parked since.
    pub fn source_id<'a>(&'a self, usual: &'a ByteString) -> &'a ByteString {
        self.origin
            .as_ref()
            .map_or(usual, |origin| &origin.source_id)
    }

    /// When that stream stored the message, in nanoseconds since 1970.
    pub fn stored(&self) -> u64 {
        let origin = self.origin.as_ref();
        origin.map_or(self.ticket.facts.stored, |origin| origin.stored)
    }
}

/// Where a task stands.
pub enum State<P> {
    /// To be called.
    Fresh,
    /// Out in a plugin call.
    Called,
    /// To be called again, not before this.
    Waiting(Instant),
    /// To be published.
    Ready(P),
    /// Published; this many publish acks are still to come, and the first that was a failure.
    Publishing(P, usize, Option<Failure>),
}

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
    /// Tasks whose time comes later.
    sleeping: Vec<(Instant, TaskId)>,
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
            sleeping: Vec::new(),
        }
    }

    /// Keeps a share of the bounds for tasks that were parked: an eighth, but not many, since they
    /// are few beside what is new.
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
            all.saturating_sub(share)
                .saturating_sub(held.saturating_sub(unparked))
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

    /// Whether something that plugins have returned is not stored yet.
    pub fn is_publishing(&self) -> bool {
        let unstored =
            |task: &Task<P>| matches!(task.state, State::Ready(_) | State::Publishing(..));
        self.tasks.iter().any(|(_, task)| unstored(task))
    }

    pub fn bytes(&self) -> usize {
        self.bytes
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
    pub fn admit(&mut self, message: Message, ticket: Ticket, origin: Option<Box<Origin>>) {
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
            retries: 0,
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
    /// Along a group the states never go back: called, ready or publishing, then perhaps one that
    /// waits, then fresh ones. So the neighbour before it answers for all.
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
        task.retries += 1;
        let slot = task.slot;
        let after = slot
            .into_iter()
            .flat_map(|slot| self.groups.from(slot).skip(1));
        for other in after {
            if let Some(task) = self.tasks.get_mut(other)
                && !matches!(task.state, State::Publishing(..))
            {
                task.state = State::Fresh;
            }
        }
        self.sleeping.push((at, id));
    }

    /// The next task whose outputs may be published now, if any.
    pub fn next_publishable(&mut self) -> Option<TaskId> {
        while let Some(id) = self.publishable.pop_front() {
            let Some(task) = self.tasks.get(id) else {
                continue;
            };
            if matches!(task.state, State::Ready(_)) && self.is_head(task) {
                return Some(id);
            }
        }
        None
    }

    fn is_head(&self, task: &Task<P>) -> bool {
        task.slot.is_none_or(|slot| self.groups.is_head(slot))
    }

    /// Hands a task back for settlement. The next of its group may go on.
    pub fn finish(&mut self, id: TaskId) -> Option<Task<P>> {
        let task = self.tasks.try_remove(id)?;
        self.bytes -= task.message.size();
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
        self.sleeping.iter().map(|(at, _)| *at).min()
    }

    /// Lets go on what has waited long enough.
    pub fn wake(&mut self, now: Instant) {
        let mut woken = Vec::new();
        self.sleeping.retain(|(at, id)| {
            let due = *at <= now;
            if due {
                woken.push(*id);
            }
            !due
        });
        for id in woken {
            if let Some(task) = self.tasks.get_mut(id)
                && matches!(task.state, State::Waiting(at) if at <= now)
            {
                task.state = State::Fresh;
                self.recall(id);
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

    /// Tasks that wait for a retry, and those behind them, for a lane that is about to stop.
    pub fn waiting(&self) -> Vec<TaskId> {
        let waits = |id: TaskId, task: &Task<P>| match task.state {
            State::Waiting(_) => true,
            State::Fresh => !self.may_call(id),
            _ => false,
        };
        self.tasks
            .iter()
            .filter(|(id, task)| waits(*id, task))
            .map(|(id, _)| id)
            .collect()
    }

    /// All tasks, for a lane that stops now.
    pub fn all(&self) -> Vec<TaskId> {
        self.tasks.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
