//! One run of a small simulation: owners that come, go, sleep and crash, a log with faults, and its input.
//!
//! The seed decides each step. At the end nothing fails any more, and the result must be right.

use super::fold::{Folding, Mistake};
use super::host::Host;
use super::oracle::{Event, Oracle, Published};
use super::remembered::BROKEN;
use super::restored::Restores;
use super::sabotage::{Sabotage, Sabotaged};
use crate::job::log::Progress;
use crate::job::model::{Model, Random, Tally};
use crate::job::partition::Bounds;
use crate::job::recovery::Recovery;
use crate::job::standby::stand_by;
use crate::job::surroundings::{End, Settings};
use crate::job::worker::run;
use crate::message::Message;
use bytes::Bytes;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Groups of the partition, and keys in them.
pub(super) const GROUPS: u16 = 3;
const KEYS: usize = 5;
/// Results of most messages, the most that fit into a commit, and a number that does not.
const FITS: u8 = 3;
const FILLS: u8 = 9;
const EXCEEDS: u8 = 20;

/// A message with an event, which happened when its sequence says.
fn message(sequence: u64, event: Event) -> Message {
    let (subject, none) = (Bytes::from_static(b"in"), Bytes::new());
    Message::received(subject, &none, event.payload(), sequence, sequence)
}

/// An owner of the partition, or one that was.
pub(super) struct Owner {
    pub(super) future: Pin<Box<dyn Future<Output = End>>>,
    pub(super) stopped: Rc<Cell<bool>>,
    /// Whether it is to own the partition; it stands by before.
    pub(super) promoted: Rc<Cell<bool>>,
    /// Steps that it sleeps through, as a process does that was stopped.
    pub(super) sleeps: usize,
}

/// What processes the messages.
pub struct Processor<F> {
    /// Makes one with so many groups, this clock, and perhaps a mistake.
    pub new: fn(u16, Rc<Cell<u64>>, Mistake) -> F,
    /// Bytes of a message of the log: less than many of its deltas have.
    pub part: usize,
}

/// One run of the world.
pub struct Schedule<F> {
    processor: Processor<F>,
    pub(super) model: Rc<Model>,
    pub(super) sabotage: Sabotage,
    settings: Settings,
    pub(super) owners: Vec<Owner>,
    pub(super) started: u64,
    events: Vec<Event>,
    oracle: Oracle,
    /// Savepoints that are restored; none, if there is nothing like that.
    pub(super) restores: Option<Restores>,
}

impl<F: Folding + 'static> Schedule<F> {
    pub fn new(processor: Processor<F>, seed: u64, sabotage: Sabotage) -> Self {
        let mut random = Random::new(!seed);
        let inputs = 1 + random.below(2);
        // The log of some schedules takes less than the bounds say.
        let limit = if random.once_in(8) { 14 } else { 100 };
        let retries = random.once_in(2);
        let count = 3 + random.below(10);
        let events = (0..count).map(|_| Event {
            key: random.below(KEYS) as u8,
            timer: if random.once_in(3) {
                1 + random.below(4) as u8
            } else {
                0
            },
            failures: if retries && random.once_in(4) {
                1 + random.below(2) as u8
            } else {
                0
            },
            results: match random.below(16) {
                0 => 0,
                1 => EXCEEDS,
                2 if limit > 14 => FILLS,
                results => 1 + results as u8 % FITS,
            },
        });
        let events = events.collect();
        let bounds = Bounds {
            messages: 20,
            reserve: 2,
            bytes: 4096,
            part: processor.part,
        };
        Self {
            processor,
            model: Rc::new(Model::new(seed, inputs, limit)),
            sabotage,
            settings: Settings {
                groups: 0..GROUPS,
                inputs: (0..inputs)
                    .map(|input| Progress::at(format!("in{input}"), 0))
                    .collect(),
                bounds,
                digests: Arc::default(),
                batch: 1 + random.below(4),
                least: random.below(200),
            },
            owners: Vec::new(),
            started: 0,
            events,
            oracle: Oracle::default(),
            restores: None,
        }
    }

    /// The same, with savepoints that are restored now and then.
    pub fn with_restores(self) -> Self {
        let restores = Some(Restores::default());
        Self { restores, ..self }
    }

    pub(super) fn below(&self, most: usize) -> usize {
        self.model.random.borrow_mut().below(most)
    }

    pub(super) fn fold(&self) -> F {
        let mistake = match self.sabotage {
            Sabotage::Processor(mistake) => mistake,
            _ => Mistake::None,
        };
        (self.processor.new)(GROUPS, Rc::clone(&self.model.now), mistake)
    }

    fn start(&mut self) {
        self.started += 1;
        let stands_by = self.below(2) == 0;
        let promoted = Rc::new(Cell::new(!stands_by));
        let model = Rc::clone(&self.model);
        let stopped = Rc::new(Cell::new(false));
        let host = Host {
            model: Rc::clone(&model),
            name: self.started,
            one_name: self.sabotage == Sabotage::OneName,
            owners: Cell::new(0),
            stopped: Rc::clone(&stopped),
            stands_by,
        };
        let log = Sabotaged {
            model,
            sabotage: self.sabotage,
            staged: Default::default(),
        };
        let (mut fold, settings) = (self.fold(), self.settings.clone());
        let is_promoted = Rc::clone(&promoted);
        let promotion = move || {
            poll_fn({
                let is_promoted = Rc::clone(&is_promoted);
                move |_| match is_promoted.get() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
        };
        let demoted = Rc::clone(&promoted);
        let future = Box::pin(async move {
            let mut standby = None;
            loop {
                tokio::select! {
                    biased;
                    () = promotion() => {}
                    () = stand_by(&log, &mut fold, &host, &settings, &mut standby) => {}
                }
                let ended = run(&log, &mut fold, &host, settings.clone(), &mut standby).await;
                if !host.stands_by || ended != End::Stopped {
                    return ended;
                }
                // It has handed the partition over, and follows those who take it.
                host.stopped.set(false);
                demoted.set(false);
            }
        });
        self.owners.push(Owner {
            future,
            stopped,
            promoted,
            sleeps: 0,
        });
    }

    /// One more message of the input.
    fn append(&mut self) {
        let Some(event) = self.events.pop() else {
            return;
        };
        let mut inputs = self.model.inputs.borrow_mut();
        // A key is in one input.
        let input = usize::from(event.key) % inputs.len();
        let sequence = inputs[input].len() as u64 + 1;
        inputs[input].push(message(sequence, event));
        if self.below(4) == 0 {
            inputs[input].push(Message {
                payload: Model::OTHERS,
                ..message(sequence + 1, event)
            });
        }
        // Sequences of both inputs are told apart by their keys.
        self.oracle.add(sequence, event, FILLS);
    }

    fn poll(&mut self, which: usize) -> Result<(), String> {
        let Some(owner) = self.owners.get_mut(which) else {
            return Ok(());
        };
        if owner.sleeps > 0 {
            owner.sleeps -= 1;
            return Ok(());
        }
        let mut context = Context::from_waker(Waker::noop());
        match owner.future.as_mut().poll(&mut context) {
            Poll::Pending => return Ok(()),
            // Whoever takes the partition then starts again.
            Poll::Ready(End::Damaged(reason)) if reason == BROKEN => {
                drop(self.owners.swap_remove(which));
            }
            Poll::Ready(End::Failed(reason) | End::Damaged(reason)) => {
                return Err(format!("failed: {reason}"));
            }
            Poll::Ready(End::Deposed | End::Stopped) => drop(self.owners.swap_remove(which)),
        }
        Ok(())
    }

    /// One thing happens.
    fn step(&mut self) -> Result<(), String> {
        let owners = self.owners.len();
        if self.restores.is_some() && self.below(16) == 0 {
            return self.save_or_restore();
        }
        match self.below(64) {
            0..=31 => self.poll(self.below(owners)),
            32..=51 => {
                self.model.deliver();
                Ok(())
            }
            52..=55 => {
                self.append();
                Ok(())
            }
            56..=57 => {
                self.model.now.set(self.model.now.get() + 1);
                Ok(())
            }
            58..=59 if owners < 3 => {
                self.start();
                Ok(())
            }
            // A crash, at whatever step it is in.
            60 if owners > 0 => {
                let which = self.below(owners);
                drop(self.owners.swap_remove(which));
                Ok(())
            }
            61 if owners > 0 => {
                let (which, sleeps) = (self.below(owners), self.below(60));
                self.owners[which].sleeps = sleeps;
                Ok(())
            }
            62 if owners > 0 => {
                let which = self.below(owners);
                self.owners[which].stopped.set(true);
                Ok(())
            }
            63 if owners > 0 => {
                let which = self.below(owners);
                self.owners[which].promoted.set(true);
                Ok(())
            }
            _ => self.check(8),
        }
    }

    /// A recovery from what the log holds now succeeds; one in so many times it is tried.
    fn check(&self, of: usize) -> Result<(), String> {
        if self.below(of) == 0 && self.is_whole() {
            self.recovered()?;
        }
        match self.model.violation.borrow().as_ref() {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// Whether there is a state, and none that is just being replaced.
    pub(super) fn is_whole(&self) -> bool {
        let held = self.model.content().0;
        held.is_some_and(|held| !held.checkpoint.replacing)
    }

    /// The state that the log holds now.
    pub(super) fn recovered(&self) -> Result<F, String> {
        let (held, stored) = self.model.content();
        let held = held.ok_or("there is no checkpoint")?;
        let mut fold = self.fold();
        let mut recovery = Recovery::new(held, 0..GROUPS, 0);
        for stored in stored {
            recovery
                .take(stored, &mut fold)
                .map_err(|error| error.to_string())?;
        }
        let running = recovery.finish(self.settings.bounds);
        running.map_err(|error| format!("cannot recover: {error:?}"))?;
        Ok(fold)
    }

    /// All results that count.
    pub(super) fn published(&self) -> Vec<Published> {
        let (mut published, base) = self
            .restores
            .as_ref()
            .map_or_else(Default::default, |restores| {
                (restores.earlier.clone(), restores.base.get())
            });
        let outputs = self.model.outputs();
        let outputs = outputs.iter().skip(base);
        published.extend(outputs.map(|output| Published::read(&output.payload)));
        published
    }

    /// Runs it to its end.
    pub fn run(&mut self) -> Result<Tally, String> {
        for _ in 0..60 + self.below(120) {
            self.step()?;
        }
        while !self.events.is_empty() {
            self.append();
        }
        // Nothing fails any more, and one owner is left, be it one that was deposed.
        self.model.calm.set(true);
        let keep = self.below(2);
        self.owners.truncate(keep);
        self.finish_restore();
        for round in 0_usize.. {
            if self.owners.is_empty() {
                self.start();
            }
            if let Some(owner) = self.owners.first_mut() {
                owner.sleeps = 0;
                owner.stopped.set(false);
                // One that stands by has time to read all.
                owner.promoted.set(owner.promoted.get() || round > 8);
            }
            self.poll(0)?;
            while self.model.deliver() {}
            self.model.now.set(self.model.now.get() + 1);
            if round % 8 == 7
                && self.is_whole()
                && self.model.is_read()
                && self.recovered()?.is_quiet()
            {
                break;
            }
            if round > 1000 {
                return Err(format!("no progress: {:?}", self.model.content().0));
            }
        }
        self.check(1)?;
        self.oracle.compare(&self.published())?;
        let state = self.recovered()?;
        self.oracle.compare_state(&state)?;
        self.compare_views(&state)?;
        Ok(*self.model.tally.borrow())
    }
}
