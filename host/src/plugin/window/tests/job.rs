//! A windowed operator with its state, as the engine of a job calls it.

use super::*;
use crate::state::{Clock, Group, Groups, State};
use crate::time::windows::{Early, Kind, Panes, Timing, Window};
use bytes::Bytes;
use futures_util::FutureExt;

/// A message with this number is refused.
pub(super) const POISON: u64 = u64::MAX;

/// The numbers of messages, in the order in which they were added.
#[derive(Default)]
pub(super) struct Lists {
    /// How often it was called: `add`, `merge`, `emit`.
    pub calls: [usize; 3],
    /// What has this number is not emitted, and not merged.
    pub refused: Option<u64>,
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let numbers = bytes.chunks_exact(8);
    numbers
        .map(|number| u64::from_le_bytes(number.try_into().unwrap()))
        .collect()
}

impl Lists {
    fn check(&self, key: &str, bytes: &[u8]) -> Result<(), String> {
        match self
            .refused
            .filter(|refused| numbers(bytes).contains(refused))
        {
            Some(refused) => Err(format!("`{key}` has {refused}")),
            None => Ok(()),
        }
    }
}

impl Arithmetic for Lists {
    async fn add(
        &mut self,
        additions: &[Addition<'_>],
    ) -> wasmtime::Result<Vec<Result<Vec<u8>, String>>> {
        self.calls[0] += 1;
        let add = |addition: &Addition<'_>| {
            let mut accumulator = addition.accumulator.clone();
            for message in &addition.messages {
                assert_eq!(message.key.as_deref().unwrap_or_default(), addition.key);
                accumulator.extend(&message.payload);
            }
            match numbers(&accumulator).contains(&POISON) {
                true => Err("poison".to_owned()),
                false => Ok(accumulator),
            }
        };
        assert!(
            additions
                .iter()
                .all(|addition| !addition.messages.is_empty())
        );
        Ok(additions.iter().map(add).collect())
    }

    async fn merge(
        &mut self,
        pairs: &[Merge<'_>],
    ) -> wasmtime::Result<Vec<Result<Vec<u8>, String>>> {
        self.calls[1] += 1;
        let merge = |pair: &Merge<'_>| {
            assert!(!pair.left.is_empty() && !pair.right.is_empty());
            let both = [&*pair.left, &*pair.right].concat();
            self.check(pair.key, &both).map(|()| both)
        };
        Ok(pairs.iter().map(merge).collect())
    }

    async fn emit(
        &mut self,
        panes: &[Firing<'_>],
    ) -> wasmtime::Result<Vec<Result<SmallVec<[Output; 1]>, String>>> {
        self.calls[2] += 1;
        let emit = |firing: &Firing<'_>| {
            self.check(firing.key, &firing.accumulator)?;
            let index = firing.pane.index.to_string();
            let headers = [("Index".into(), index.into())];
            Ok(smallvec![Output {
                headers: Some(headers.into_iter().collect()),
                payload: Some(Bytes::from(firing.accumulator.clone())),
                key: Some(firing.key.into()),
                ..Output::default()
            }])
        };
        Ok(panes.iter().map(emit).collect())
    }
}

/// A pane as it was emitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub key: String,
    pub window: Window,
    pub index: u32,
    pub timing: Timing,
    /// Sorted.
    pub values: Vec<u64>,
}

impl Seen {
    fn read(output: &Output) -> Self {
        let headers = output.headers.as_ref().unwrap();
        let time = |name| {
            let time: jiff::Timestamp = headers.get(name).unwrap().parse().unwrap();
            i64::try_from(time.as_nanosecond()).unwrap()
        };
        let all = [Timing::Early, Timing::OnTime, Timing::Late];
        let is_timing = |timing: &Timing| headers.get("Weir-Pane") == Some(timing.as_str());
        let mut values = numbers(output.payload.as_ref().unwrap());
        values.sort();
        let names = headers.iter().map(|(name, _)| &**name);
        let expected = [
            "Index",
            "Weir-Window-Start",
            "Weir-Window-End",
            "Weir-Pane",
            "Weir-Pane-Index",
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        assert_eq!(headers.get("Index"), headers.get("Weir-Pane-Index"));
        let end = time("Weir-Window-End");
        assert_eq!(output.event_time, Some((end - 1).max(0) as u64));
        Self {
            key: output.key.as_ref().unwrap().to_string(),
            window: Window {
                start: time("Weir-Window-Start"),
                end,
            },
            index: headers.get("Weir-Pane-Index").unwrap().parse().unwrap(),
            timing: all.into_iter().find(is_timing).unwrap(),
            values,
        }
    }
}

/// See the top of this file.
pub(super) struct Job {
    pub rules: Windows,
    /// How far messages may be out of order.
    pub bound: i64,
    pub mark: Option<i64>,
    pub state: SharedState,
    pub operator: Operator,
    pub arithmetic: Lists,
    pub panes: Vec<Seen>,
    /// The numbers of those that were late, and of those that were rejected.
    pub late: Vec<u64>,
    pub rejected: Vec<u64>,
    /// Timers that ended as dead letters.
    pub dead_timers: usize,
    log: Vec<Bytes>,
}

pub(super) fn windows(kind: Kind) -> Windows {
    Windows {
        kind,
        allowed_lateness: 0,
        early: Early::default(),
        panes: Panes::Accumulating,
    }
}

/// The message with a number, at a time.
pub(super) fn message(number: u64, key: &str, time: i64) -> Message {
    let payload = Bytes::copy_from_slice(&number.to_le_bytes());
    let key = (!key.is_empty()).then(|| key.into());
    Message {
        key,
        ..Message::received(
            Bytes::from_static(b"in"),
            &Bytes::new(),
            payload,
            number,
            time as u64,
        )
    }
}

fn empty(budget: u64) -> State {
    let state = State::new(Groups::all(), ["windows"], budget).unwrap();
    // Windows are for good.
    state.with_ttl(Some(1))
}

impl Job {
    pub(super) fn new(rules: Windows, bound: i64) -> Self {
        Self::with_budget(rules, bound, u64::MAX)
    }

    pub(super) fn with_budget(rules: Windows, bound: i64, budget: u64) -> Self {
        let state = empty(budget);
        Self {
            rules,
            bound,
            mark: None,
            operator: state.operator("windows").unwrap(),
            state: SharedState::new(state),
            arithmetic: Lists::default(),
            panes: Vec::new(),
            late: Vec::new(),
            rejected: Vec::new(),
            dead_timers: 0,
            log: Vec::new(),
        }
    }

    /// Messages of one batch, each with the watermark before it.
    pub(super) fn batch(&mut self, messages: &[Message]) {
        let mut left = Vec::with_capacity(messages.len());
        for message in messages {
            let watermark = self.mark;
            self.mark = self.mark.max(Some(message.event_time as i64 - self.bound));
            left.push(Message {
                watermark,
                ..message.clone()
            });
        }
        let begin = self.state.lock().savepoint();
        // Of an operator before this one.
        self.state.lock().set_format(7);
        loop {
            let call = super::super::messages(
                &self.rules,
                &self.state,
                self.operator,
                &mut self.arithmetic,
                &left,
            );
            let outcomes = call.now_or_never().unwrap().unwrap();
            assert_eq!(outcomes.len(), left.len());
            let is_rejected = |outcome: &Outcome| matches!(outcome, Outcome::Reject(_));
            if outcomes.iter().any(is_rejected) {
                self.state.lock().roll_back(begin);
                let mut outcomes = outcomes.iter();
                left.retain(|message| {
                    let is_rejected = is_rejected(outcomes.next().unwrap());
                    self.rejected
                        .extend(is_rejected.then_some(message.sequence));
                    !is_rejected
                });
                continue;
            }
            for (message, outcome) in left.iter().zip(&outcomes) {
                let Outcome::Emit(outputs) = outcome else {
                    panic!("{outcome:?}");
                };
                match &**outputs {
                    [output] if output.late => self.late.push(message.sequence),
                    outputs => self.panes.extend(outputs.iter().map(Seen::read)),
                }
            }
            break;
        }
        let watermark = self.mark.unwrap_or_default().max(0) as u64;
        self.state.lock().set_watermark(watermark);
    }

    /// Messages of the key `k`, each with its time as its number.
    pub(super) fn times(&mut self, times: &[i64]) {
        let messages = times.iter().map(|time| message(*time as u64, "k", *time));
        self.batch(&messages.collect::<Vec<_>>());
    }

    /// The watermark comes this far, and what is due fires.
    pub(super) fn watermark(&mut self, mark: i64) {
        self.mark = self.mark.max(Some(mark));
        self.state
            .lock()
            .set_watermark(self.mark.unwrap().max(0) as u64);
        while self.fire(Clock::EventTime, 3) {}
    }

    /// Fires some of the timers that are due. Whether there were any.
    pub(super) fn fire(&mut self, clock: Clock, most: usize) -> bool {
        let mut due = {
            let mut state = self.state.lock();
            let upto = match clock {
                Clock::EventTime => state.watermark(),
                Clock::ProcessingTime => state.now(),
            };
            state.take_due(clock, upto, most)
        };
        let any = !due.is_empty();
        self.call(&mut due);
        any
    }

    /// Calls with timers that have been taken.
    pub(super) fn call(&mut self, due: &mut Vec<Timer>) {
        while !due.is_empty() {
            let begin = self.state.lock().savepoint();
            let call = timers(
                &self.rules,
                &self.state,
                self.operator,
                &mut self.arithmetic,
                due,
            );
            let outcomes = call.now_or_never().unwrap().unwrap();
            assert_eq!(outcomes.len(), due.len());
            let mut dead = Vec::new();
            for (timer, outcome) in due.iter().zip(&outcomes) {
                if let Outcome::Reject(_) = outcome {
                    dead.push(timer.clone());
                }
            }
            if dead.is_empty() {
                for outcome in outcomes {
                    let Outcome::Emit(outputs) = outcome else {
                        panic!("{outcome:?}");
                    };
                    self.panes.extend(outputs.iter().map(Seen::read));
                }
                return;
            }
            self.state.lock().roll_back(begin);
            for timer in &dead {
                abandon(&self.rules, &self.state, self.operator, timer).unwrap();
                self.dead_timers += 1;
            }
            due.retain(|timer| !dead.contains(timer));
        }
    }

    pub(super) fn commit(&mut self) {
        let mut state = self.state.lock();
        self.log.extend(state.seal());
        state.confirmed();
    }

    /// Another owner goes on with what is committed: from the log, or from snapshots of the groups of these keys.
    pub(super) fn recover(&mut self, snapshots: Option<&[&str]>) {
        let mut other = empty(u64::MAX);
        {
            let state = self.state.lock();
            match snapshots {
                Some(keys) => {
                    for key in keys {
                        let group = Group::of(key.as_bytes());
                        let snapshot = state.snapshot(group);
                        other.restore(group.number(), &snapshot).unwrap();
                    }
                }
                None => {
                    for delta in &self.log {
                        other.replay(delta, &|_| true).unwrap();
                    }
                }
            }
            other.set_watermark(state.watermark());
            other.begin(state.now());
        }
        self.state = SharedState::new(other);
    }

    /// Rows of state, with their timers.
    pub(super) fn rows(&mut self) -> u64 {
        self.commit();
        self.state.lock().usage().rows
    }

    /// What was emitted, sorted.
    pub(super) fn sorted(&self) -> Vec<Seen> {
        let mut panes = self.panes.clone();
        panes.sort();
        panes
    }
}
