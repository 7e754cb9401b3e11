//! Time without a broker: the watermark follows the lines, and timers and windows become due when it passes
//! them. The end of the lines ends all remaining windows.
//!
//! A test has its own clock, which follows the event times of the lines, and advances when a line says so.

use super::Offline;
use crate::config::resolved::{OnInvalid, Pipeline};
use crate::jsonl::{Dead, Line};
use crate::message::Message;
use crate::process::Processor;
use crate::process::chain::Kind;
use crate::report::{self, count};
use crate::state::entries::What;
use crate::state::{Clock, Groups, Timer};
use crate::time::watermark::{Rules, Watermark};
use std::time::Duration;

/// Timers of one call.
const CALL: usize = 256;

/// The clocks of one pipeline.
#[derive(Default)]
pub(super) struct Time {
    rules: Rules,
    watermark: Watermark,
    /// Of the job: nanoseconds since the Unix epoch.
    now: u64,
    /// Whether that follows the event times.
    is_virtual: bool,
    has_windows: bool,
    /// A job refuses messages without a valid event time, if its configuration says so.
    is_job: bool,
    /// The ids of the operators in the state, in the order of the chain.
    operators: Vec<String>,
}

impl Time {
    pub(super) fn of<'a>(settings: &Pipeline, ids: impl Iterator<Item = &'a str>) -> Self {
        let rules = settings.job.as_ref().map(|job| job.watermark);
        Self {
            // Lines come from any time.
            rules: Rules {
                max_ahead: None,
                ..rules.unwrap_or_default()
            },
            has_windows: settings.has_windows(),
            is_job: settings.job.is_some(),
            operators: ids.map(ToOwned::to_owned).collect(),
            ..Self::default()
        }
    }

    /// That of one operator without a pipeline.
    pub(super) fn of_operator(id: &str) -> Self {
        Self {
            operators: vec![id.to_owned()],
            ..Self::default()
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The clock does not go back.
    pub(super) fn reach(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// A message comes: it has the watermark before it.
    pub(super) fn pass(&mut self, message: &mut Message, is_timed: bool) {
        message.watermark = self.watermark.get();
        if !is_timed {
            return;
        }
        self.see(message.event_time);
        if self.is_virtual {
            self.reach(message.event_time);
        }
    }

    /// What becomes of a message without a valid event time; `None` if it is processed.
    pub(super) fn refusal(&self, processor: &Processor, message: &Message) -> Option<Line> {
        let rule = processor.event_time(message).filter(|_| self.is_job)?;
        let reason = rule.extract(&message.headers, &message.payload).err()?;
        (rule.on_invalid == OnInvalid::DeadLetter).then(|| {
            Line::Dead(Dead {
                reject: reason,
                operator: None,
                kind: Some(Kind::EventTime.as_str().to_owned()),
                traceback: Vec::new(),
                sequence: Some(message.sequence),
            })
        })
    }

    fn see(&mut self, event_time: u64) {
        let time = i64::try_from(event_time).unwrap_or(i64::MAX);
        self.watermark.pass(&self.rules, time, 0);
    }
}

/// In UTC.
fn rfc3339(nanoseconds: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds.into());
    time.map_or_else(|_| nanoseconds.to_string(), |time| time.to_string())
}

impl Offline {
    /// The same with a clock of its own, which begins in 1970 and follows the event times of the lines.
    pub(in crate::cli) fn with_virtual_clock(mut self) -> Self {
        self.time.is_virtual = true;
        self
    }

    /// What its clock says: nanoseconds since the Unix epoch.
    pub(in crate::cli) fn now(&self) -> u64 {
        self.time.now
    }

    /// Whether timers or windows may be due between two lines.
    pub(in crate::cli) fn has_timers(&self) -> bool {
        self.state.is_some()
    }

    /// So much time passes, as if a message that concerns no plugin had come then: the lines of what is due.
    pub(in crate::cli) fn advance(&mut self, by: Duration) -> Vec<Line> {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let now = self.time.now.saturating_add(by);
        self.time.reach(now);
        self.time.see(now);
        if let Some(state) = &self.state {
            state.lock().begin(now);
        }
        self.fire()
    }

    /// No line comes any more: the lines of all windows that are left.
    pub(in crate::cli) fn finish(&mut self) -> Vec<Line> {
        if !self.time.has_windows {
            return Vec::new();
        }
        self.time.watermark = Watermark::at(Some(i64::MAX));
        self.fire()
    }

    /// Says which timers have not fired, once no line comes any more: results that wait for them are not among the
    /// lines.
    pub(in crate::cli) fn note_waiting(&self) {
        let Some(state) = &self.state else {
            return;
        };
        let timers: Vec<(Clock, u64)> = {
            let (state, groups) = (state.lock(), Groups::all());
            let entries = groups.iter().flat_map(|group| state.entries(group));
            let timers = entries.filter_map(|entry| match entry.what {
                What::Timer { clock, at } => Some((clock, at)),
                _ => None,
            });
            timers.collect()
        };
        let last_of = |clock: Clock| {
            let timers = timers.iter().filter(|(other, _)| *other == clock);
            let last = timers.clone().map(|(_, at)| *at).max()?;
            Some((count(timers.count(), "timer"), last))
        };
        if let Some((timers, last)) = last_of(Clock::EventTime) {
            let bound = self.time.rules.bound.unsigned_abs();
            report::note(&format!(
                "{timers} of event time did not fire before the input ended, so messages may still wait in the state; one \
                 more message with the event time {} or later brings them out",
                rfc3339(last.saturating_add(bound)),
            ));
        }
        if let Some((timers, last)) = last_of(Clock::ProcessingTime) {
            report::note(&format!(
                "{timers} of processing time did not fire before the input ended, the last is due at {}; `weir plugin test` \
                 brings them out with a line such as {{\"advance\": \"5m\"}}",
                rfc3339(last),
            ));
        }
    }

    /// The lines of what is due. A timer that is set meanwhile is due at the next call, as in a job.
    pub(super) fn fire(&mut self) -> Vec<Line> {
        let due = self.take_due();
        self.fire_all(&due)
    }

    /// The lines of what the clock has reached, as long as event time stands still.
    pub(super) fn fire_by_clock(&mut self) -> Vec<Line> {
        let due = self.take_due_by_clock();
        self.fire_all(&due)
    }

    fn fire_all(&mut self, due: &[Timer]) -> Vec<Line> {
        let due = due.chunk_by(|one, next| one.operator == next.operator);
        let calls = due.flat_map(|timers| timers.chunks(CALL));
        calls.flat_map(|timers| self.fire_of(timers)).collect()
    }

    /// Timers that are due.
    fn take_due(&self) -> Vec<Timer> {
        let Some(state) = &self.state else {
            return Vec::new();
        };
        let watermark = self.time.watermark.get().unwrap_or_default();
        let watermark = u64::try_from(watermark).unwrap_or_default();
        let mut due = {
            let mut state = state.lock();
            state.set_watermark(watermark);
            state.take_due(Clock::EventTime, watermark, usize::MAX)
        };
        due.extend(self.take_due_by_clock());
        due
    }

    fn take_due_by_clock(&self) -> Vec<Timer> {
        let now = self.time.now;
        let taken = self.state.as_ref().map(|state| {
            state
                .lock()
                .take_due(Clock::ProcessingTime, now, usize::MAX)
        });
        taken.unwrap_or_default()
    }

    /// Calls one operator with its timers.
    fn fire_of(&mut self, timers: &[Timer]) -> Vec<Line> {
        let (Some(state), [first, ..]) = (&mut self.state, timers) else {
            return Vec::new();
        };
        let is_it = |id: &String| state.lock().operator(id) == Some(first.operator);
        let place = self.time.operators.iter().position(is_it);
        let fired = self
            .processor
            .fire(place.unwrap_or(usize::MAX), timers.to_vec(), 0, state);
        let verdicts = self.tokio.block_on(fired);
        {
            let mut state = state.lock();
            drop(state.seal());
            state.confirmed();
        }
        let ended = timers.iter().zip(verdicts);
        let lines = ended.flat_map(|(timer, verdict)| {
            let source = Message::of_timer(&timer.key, timer.at);
            self.lines(&source, &timer.tag, verdict)
        });
        lines.collect()
    }
}
