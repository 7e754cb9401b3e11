//! How event time passes without a broker: the watermark follows the lines, windows are emitted once it has passed their
//! end, and all that are left at the end of the lines.

use super::Offline;
use crate::config::resolved::Pipeline;
use crate::jsonl::Line;
use crate::message::Message;
use crate::state::{Clock, Timer};
use crate::time::watermark::{Rules, Watermark};

/// Windows of one call.
const CALL: usize = 256;

/// The event time of one pipeline.
pub(super) struct EventTime {
    rules: Rules,
    watermark: Watermark,
    /// The ids of the operators in the state, in the order of the chain.
    operators: Vec<String>,
}

impl EventTime {
    pub(super) fn new<'a>(settings: &Pipeline, ids: impl Iterator<Item = &'a str>) -> Self {
        let rules = settings.job.as_ref().map(|job| job.watermark);
        Self {
            // Lines come from any time.
            rules: Rules {
                max_ahead: None,
                ..rules.unwrap_or_default()
            },
            watermark: Watermark::default(),
            operators: ids.map(ToOwned::to_owned).collect(),
        }
    }

    /// A message comes: it has the watermark before it.
    pub(super) fn pass(&mut self, message: &mut Message) {
        message.watermark = self.watermark.get();
        let time = i64::try_from(message.event_time).unwrap_or(i64::MAX);
        self.watermark.pass(&self.rules, time, 0);
    }
}

impl Offline {
    /// No line comes any more: the lines of all windows that are left.
    pub(in crate::cli) fn finish(&mut self) -> Vec<Line> {
        if let Some(time) = &mut self.event_time {
            time.watermark = Watermark::at(Some(i64::MAX));
        }
        self.fire()
    }

    /// The lines of the windows that the watermark has passed.
    pub(super) fn fire(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        loop {
            let due = self.take_due();
            if due.is_empty() {
                return lines;
            }
            for timers in due.chunk_by(|one, next| one.operator == next.operator) {
                lines.extend(self.fire_of(timers));
            }
        }
    }

    /// Timers that are due.
    fn take_due(&self) -> Vec<Timer> {
        let watermark = self.event_time.as_ref().and_then(|it| it.watermark.get());
        let (Some(watermark), Some(state)) = (watermark, &self.state) else {
            return Vec::new();
        };
        let watermark = u64::try_from(watermark).unwrap_or_default();
        let mut state = state.lock();
        state.set_watermark(watermark);
        state.take_due(Clock::EventTime, watermark, CALL)
    }

    /// Calls one operator with its timers.
    fn fire_of(&mut self, timers: &[Timer]) -> Vec<Line> {
        let (Some(time), Some(state), [first, ..]) = (&self.event_time, &mut self.state, timers)
        else {
            return Vec::new();
        };
        let is_it = |id: &String| state.lock().operator(id) == Some(first.operator);
        let place = time.operators.iter().position(is_it);
        let fired = self
            .processor
            .fire(place.unwrap_or(usize::MAX), timers.to_vec(), state);
        let verdicts = self.tokio.block_on(fired);
        {
            let mut state = state.lock();
            drop(state.seal());
            state.confirmed();
        }
        let sources = timers
            .iter()
            .map(|timer| Message::of_timer(&timer.key, timer.at));
        let lines = sources
            .zip(verdicts)
            .flat_map(|(source, verdict)| self.lines(&source, verdict));
        lines.collect()
    }
}
