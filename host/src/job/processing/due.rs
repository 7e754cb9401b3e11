//! Processes what is due: timers of plugins, and messages and timers whose next attempt has come.

use super::super::held::{self, Held, HeldTimer, queue};
use super::super::log::Input;
use super::super::work::{Effects, Work};
use super::{Processing, nanoseconds};
use crate::message::Message;
use crate::process::Judged;
use crate::process::chain::{Rejection, Retry};
use crate::process::disposition::Disposition;
use crate::process::retry;
use crate::state::{Clock, Operator, Refused, Timer};
use bytes::Bytes;
use std::time::Duration;

/// What waits in one queue and goes on together once the first of it is due.
const RELEASED: usize = 64;

impl Processing {
    /// Lets a message wait: for the retry that a plugin asked for, or behind one of its key.
    pub(super) async fn hold(
        &mut self,
        input: &Input,
        retry: Option<&Retry>,
        effects: &mut Effects,
    ) {
        let (attempts, delay) = retry.map_or_else(Default::default, |retry| self.put_off(retry, 0));
        let (key, tag) = queue(self.shared.order, input);
        let held = {
            let mut state = self.state.lock();
            let until = state.now().saturating_add(nanoseconds(delay));
            state.hold(key, &tag, &held::message(input), attempts, until)
        };
        if let Err(refused) = held {
            let reason = format!("it cannot wait for its next attempt: {refused}");
            self.give_up(input, reason, effects).await;
        }
    }

    /// When the next entry is due, by the clock of the partition: at once, if the watermark has passed it.
    pub(super) fn due(&self) -> Option<u64> {
        let is_blocked = self.is_blocked();
        let state = self.state.lock();
        let passed = state.next_due(Clock::EventTime).filter(|_| !is_blocked);
        match passed.filter(|at| *at <= state.watermark()) {
            Some(_) => Some(0),
            None => state.next_due(Clock::ProcessingTime),
        }
    }

    /// Takes the due entries out of the state, in the order of their times for each clock. Views learn of
    /// expired values. Entries of event time wait for all earlier messages, also for a retried one.
    fn take_due(&mut self, most: usize) -> Vec<Timer> {
        let of_event_time = if self.is_blocked() { 0 } else { most };
        let mut state = self.state.lock();
        let (watermark, now) = (state.watermark(), state.now());
        let mut due = state.take_due(Clock::EventTime, watermark, of_event_time);
        let left = most - due.len();
        due.extend(state.take_due(Clock::ProcessingTime, now, left));
        due.retain(|timer| !state.expire(timer));
        due
    }

    /// How often a message has been tried, and how long it waits, after a further attempt.
    pub(super) fn put_off(&mut self, retry: &Retry, attempts: u32) -> (u32, Duration) {
        let settings = &self.shared.settings.retry;
        tracing::debug!(attempts, "retry: {}", retry.reason);
        if !retry.counts {
            self.gathered.retried_infrastructure += 1;
            let delay = retry::delay(settings, retry.after, attempts.saturating_add(1));
            return (attempts, delay);
        }
        self.gathered.retried += 1;
        let attempts = attempts.saturating_add(1);
        (attempts, retry::delay(settings, retry.after, attempts))
    }

    /// Carries out what is due.
    pub(super) async fn fire_due(&mut self, most: usize, effects: &mut Effects) {
        let mut due = self.take_due(most).into_iter().peekable();
        while let Some(timer) = due.next() {
            if timer.operator == Operator::HOST {
                // Its key is of this partition, as it was in its state.
                let _ = self.release(&timer, effects).await;
                continue;
            }
            if self.is_behind(&timer) {
                let held = self.hold_timer(&timer, b"", 0, 0);
                self.held_or_given_up(&timer, held, effects).await;
                continue;
            }
            let operator = timer.operator;
            let mut timers = vec![timer];
            let is_next = |next: &Timer| next.operator == operator && !self.is_behind(next);
            while let Some(next) = due.next_if(is_next) {
                timers.push(next);
            }
            self.call(timers, effects).await;
        }
    }

    /// Calls one operator with its timers.
    async fn call(&mut self, timers: Vec<Timer>, effects: &mut Effects) {
        let dispositions = self.fire_of(timers.clone(), 0).await;
        for (timer, disposition) in timers.into_iter().zip(dispositions) {
            match disposition {
                Disposition::Retry(retry) => {
                    let (attempts, delay) = self.put_off(&retry, 0);
                    let queue = self.queue(&timer);
                    let held = self.hold_timer(&timer, &queue, attempts, nanoseconds(delay));
                    self.held_or_given_up(&timer, held, effects).await;
                }
                disposition => self.carry_out(None, disposition, effects),
            }
        }
    }

    /// What is to become of timers of one operator, which were retried so often.
    async fn fire_of(&mut self, timers: Vec<Timer>, retries: u32) -> Vec<Disposition> {
        let sources = timers.iter();
        let sources = sources.map(|timer| Message::of_timer(&timer.key, timer.at));
        let sources: Vec<Message> = sources.collect();
        let place = timers.first().map_or(usize::MAX, |timer| self.place(timer));
        let mut processor = self.shared.processor.lock().await;
        self.shared.calls(&[], None);
        let verdicts = processor.fire(place, timers.clone(), retries, &mut self.state);
        let verdicts = verdicts.await;
        self.shared.called();
        let source_id = self.sources.first().unwrap_or(&self.shared.unknown);
        let judge = |((message, timer), verdict): ((_, &Timer), _)| {
            let judged = Judged {
                message,
                source_id,
                retries,
                timer: &timer.tag,
            };
            processor.judge(judged, verdict)
        };
        let judged = sources.iter().zip(&timers).zip(verdicts).map(judge);
        let dispositions: Vec<Disposition> = judged.collect();
        for (timer, disposition) in timers.iter().zip(&dispositions) {
            // One that has emitted what is refused has fired.
            if matches!(disposition, Disposition::Dead(letter) if letter.rejection.emitted.is_none())
            {
                processor.abandon(place, timer, &self.state);
            }
        }
        dispositions
    }

    /// The place of a timer's operator in the chain.
    fn place(&self, timer: &Timer) -> usize {
        let mut operators = self.operators.iter();
        let place = operators.position(|known| *known == timer.operator);
        place.unwrap_or(usize::MAX)
    }

    /// Whether messages of its key that came before a timer of event time wait for a retry.
    fn is_behind(&self, timer: &Timer) -> bool {
        let is_ordered = timer.clock == Clock::EventTime && timer.operator != Operator::HOST;
        let state = self.state.lock();
        is_ordered && state.has_held() && state.is_held(&timer.key, b"").unwrap_or_default()
    }

    /// The id of a timer's operator.
    fn operator(&self, timer: &Timer) -> &str {
        let mut operators = self.operators.iter().zip(&self.shared.state_ids);
        let operator = operators.find(|(known, _)| **known == timer.operator);
        operator.map_or("", |(_, id)| id)
    }

    /// The queue of a timer that is retried: its own.
    fn queue(&self, timer: &Timer) -> Vec<u8> {
        let operator = self.operator(timer).as_bytes();
        [b"timer/", operator, b"/", &timer.tag].concat()
    }

    /// Ends a timer that cannot wait.
    async fn held_or_given_up(
        &mut self,
        timer: &Timer,
        held: Result<(), Refused>,
        effects: &mut Effects,
    ) {
        if let Err(refused) = held {
            let reason = format!("it cannot wait for its next attempt: {refused}");
            self.give_up_timer(timer, reason, effects).await;
        }
    }

    /// Lets a timer wait in a queue of its key.
    fn hold_timer(
        &mut self,
        timer: &Timer,
        queue: &[u8],
        attempts: u32,
        delay: u64,
    ) -> Result<(), Refused> {
        let held = held::timer(&HeldTimer {
            operator: self.operator(timer).into(),
            tag: Bytes::copy_from_slice(&timer.tag),
            clock: timer.clock,
            at: timer.at,
        });
        let mut state = self.state.lock();
        let until = state.now().saturating_add(delay);
        state.hold(&timer.key, queue, &held, attempts, until)
    }

    /// A queue whose time has come: what is in it goes on in order until something has to wait again.
    async fn release(&mut self, queue: &Timer, effects: &mut Effects) -> Result<(), Refused> {
        let Timer { key, tag, .. } = queue;
        for _ in 0..RELEASED {
            let Some((attempts, held)) = self.first(key, tag)? else {
                break;
            };
            let (sequence, dispositions) = match held {
                Some(Held::Message(mut input)) => {
                    self.name_source(&mut input);
                    let sequence = Some(self.shown(&input).sequence);
                    (sequence, self.dispose(&[&input], attempts).await)
                }
                Some(Held::Timer(held)) => {
                    let timer = self.timer(key, &held);
                    (None, self.fire_of(vec![timer], attempts).await)
                }
                // It was written by `held`, so this does not happen; and if it does, others go on.
                None => (None, Vec::new()),
            };
            match dispositions.into_iter().next() {
                Some(Disposition::Retry(retry)) => {
                    let (attempts, delay) = self.put_off(&retry, attempts);
                    let mut state = self.state.lock();
                    let until = state.now().saturating_add(nanoseconds(delay));
                    return state.put_off(key, tag, attempts, until);
                }
                Some(disposition) => self.carry_out(sequence, disposition, effects),
                None => {}
            }
            self.state.lock().release(key, tag)?;
        }
        Ok(())
    }

    /// A timer that waited. If its operator is gone, no plugin is called, and the verdict says so.
    fn timer(&self, key: &[u8], held: &HeldTimer) -> Timer {
        let operator = self.state.lock().operator(&held.operator);
        Timer {
            operator: operator.unwrap_or(Operator::HOST),
            key: key.to_vec(),
            tag: held.tag.to_vec(),
            clock: held.clock,
            at: held.at,
        }
    }

    /// The first of a queue, and how often it was tried.
    fn first(&self, key: &[u8], tag: &[u8]) -> Result<Option<(u32, Option<Held>)>, Refused> {
        let state = self.state.lock();
        let first = state.held(key, tag)?.next();
        Ok(first.map(|first| (first.attempts, held::read(first.message))))
    }

    /// Gives up the first entry that is due.
    pub(super) async fn reject_due(&mut self, reason: &str, effects: &mut Effects) {
        for timer in self.take_due(1) {
            if timer.operator != Operator::HOST {
                self.give_up_timer(&timer, reason.to_owned(), effects).await;
                continue;
            }
            let Timer { key, tag, .. } = &timer;
            match self.first(key, tag) {
                Ok(Some((_, Some(Held::Message(input))))) => {
                    self.give_up(&input, reason.to_owned(), effects).await;
                }
                Ok(Some((_, Some(Held::Timer(held))))) => {
                    let timer = self.timer(key, &held);
                    self.give_up_timer(&timer, reason.to_owned(), effects).await;
                }
                _ => {}
            }
            let _ = self.state.lock().release(key, tag);
        }
    }

    async fn give_up_timer(&mut self, timer: &Timer, reason: String, effects: &mut Effects) {
        let place = self.place(timer);
        let message = Message::of_timer(&timer.key, timer.at);
        let judged = Judged {
            message: &message,
            source_id: self.sources.first().unwrap_or(&self.shared.unknown),
            retries: 0,
            timer: &timer.tag,
        };
        let operator = self.shared.settings.operators.get(place);
        let rejection = Rejection {
            operator: operator.map(|operator| operator.name.clone()),
            ..Rejection::by_sink(reason)
        };
        let disposition = {
            let processor = self.shared.processor.lock().await;
            processor.abandon(place, timer, &self.state);
            processor.reject(judged, rejection)
        };
        self.carry_out(None, disposition, effects);
    }
}
