//! Timers that are due: calls their operator, and the operators behind it with what it emits for them.
//!
//! A timer whose results an operator behind refuses has fired all the same: its own operator's writes stay, and the
//! dead letter has what it emitted. So the timers run again from the same savepoint, and what that one emits is
//! withheld from the operators behind.

use super::savepoint::{self, Savepoints};
use super::slot::Item;
use super::{Chain, Rejection, Verdict};
use crate::message::Message;
use crate::process::route::OperatorSet;
use crate::state::Timer;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// By the place of a timer.
type ByTimer<T> = BTreeMap<usize, T>;

/// Timers that fire, until none is refused that was not refused before.
#[derive(Default)]
struct Firing {
    /// Why operators behind refuse what these emit.
    refused: ByTimer<Box<Rejection>>,
    /// The same of those that were not refused before.
    newly: ByTimer<Box<Rejection>>,
    /// What was withheld of each.
    withheld: ByTimer<Vec<Message>>,
    /// How often they have been tried then, if an operator that asks for a retry now is the last to do so.
    last: Option<u32>,
}

impl Chain {
    /// Calls an operator with timers of it that are due, and the operators behind it with what it emits
    /// for them, whatever their `subjects:` are. State is as for [`Chain::run_on`]. One verdict per timer,
    /// in order; [`Message::of_timer`] stands for its source. `last` is how often they have been tried after this,
    /// if that is as often as they may be.
    pub async fn fire<S: Savepoints>(
        &mut self,
        operator: usize,
        timers: Vec<Timer>,
        last: Option<u32>,
        state: &mut S,
    ) -> Vec<Verdict> {
        let begin = state.savepoint();
        let mut firing = Firing {
            last,
            ..Firing::default()
        };
        loop {
            let batch = timers.iter().cloned().enumerate().collect();
            let fire = async |batch: Vec<(usize, Timer)>, state: &mut S| {
                self.fire_once(operator, batch, &mut firing, state).await
            };
            let verdicts = savepoint::settle(batch, state, fire).await;
            if firing.newly.is_empty() {
                let verdicts = verdicts.into_iter().enumerate();
                return verdicts
                    .map(|(timer, verdict)| firing.end(timer, verdict))
                    .collect();
            }
            state.roll_back(begin);
            firing.refused.append(&mut firing.newly);
        }
    }

    /// The timers in their places, once.
    async fn fire_once<S: Savepoints>(
        &mut self,
        operator: usize,
        batch: Vec<(usize, Timer)>,
        firing: &mut Firing,
        state: &mut S,
    ) -> Vec<Verdict> {
        let (places, timers): (Vec<usize>, Vec<Timer>) = batch.into_iter().unzip();
        let watermark = state
            .keyed()
            .and_then(|state| state.lock().watermark_so_far());
        let sources = timers.iter().map(|timer| Message {
            watermark,
            ..Message::of_timer(&timer.key, timer.at)
        });
        let sources: Vec<Message> = sources.collect();
        let picked = self.picked(sources.iter());
        let mut ends: Vec<Option<Verdict>> = timers.iter().map(|_| None).collect();
        self.place.store(operator, Ordering::Relaxed);
        let Some(slot) = self.slots.get_mut(operator) else {
            let reason = "the pipeline has no such operator";
            let end = || Verdict::Dead(Box::new(Rejection::by_sink(reason.to_owned())));
            return timers.iter().map(|_| end()).collect();
        };
        let items = slot
            .fire(&timers, &sources, &picked, &mut ends, self.bounds, state)
            .await;
        let fired: Vec<bool> = ends.iter().map(Option::is_none).collect();
        let items = firing.withhold(items, &places);
        let operators = vec![OperatorSet::ALL; timers.len()];
        let verdicts = self
            .pass(operator + 1, items, &operators, &picked, ends, state)
            .await;
        let ended = places.iter().zip(&sources).zip(fired).zip(&verdicts);
        for (((place, source), _), verdict) in ended.filter(|((_, fired), _)| *fired) {
            if let Some(why) = self.refusal(source, verdict, firing.last) {
                firing.newly.insert(*place, Box::new(why));
            }
        }
        verdicts
    }

    /// Why an operator behind refuses what a timer has emitted, if it does.
    fn refusal(&self, source: &Message, verdict: &Verdict, last: Option<u32>) -> Option<Rejection> {
        match (verdict, last) {
            (Verdict::Dead(rejection), _) => Some((**rejection).clone()),
            (Verdict::Retry(retry), Some(attempts)) if retry.counts => {
                Some(self.gave_up(source, retry, attempts))
            }
            _ => None,
        }
    }
}

impl Firing {
    /// Takes out what was emitted for timers that are refused.
    fn withhold(&mut self, items: Vec<Item>, places: &[usize]) -> Vec<Item> {
        self.withheld.clear();
        let mut passed = Vec::with_capacity(items.len());
        for item in items {
            match places.get(item.owner) {
                Some(place) if self.refused.contains_key(place) => {
                    let withheld = self.withheld.entry(*place).or_default();
                    withheld.push(item.message);
                }
                _ => passed.push(item),
            }
        }
        passed
    }

    /// How a timer ends: one that was refused with what it has emitted.
    fn end(&mut self, timer: usize, verdict: Verdict) -> Verdict {
        match self.refused.remove(&timer) {
            Some(mut rejection) if verdict.ends_well() => {
                rejection.emitted = Some(self.withheld.remove(&timer).unwrap_or_default());
                Verdict::Dead(rejection)
            }
            _ => verdict,
        }
    }
}
