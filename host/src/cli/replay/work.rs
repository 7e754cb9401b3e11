//! A replay that runs: inputs go to the threads, and what they answer is written or compared.

use super::lanes::{Answered, Threads};
use super::live::Live;
use super::range::Range;
use super::windows::{self, Windows};
use crate::compare::matcher::{Matcher, Room};
use crate::compare::report::Report;
use crate::config::resolved::Pipeline;
use crate::jsonl::Line;
use crate::message::Message;
use crate::nats::history::Reader;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use std::io::Write;

/// How many outputs may wait for their counterparts: about 200 MB.
const ROOM: Room = Room {
    outputs: 1_000_000,
    bytes: 64 << 20,
};

/// A running replay.
pub(super) struct Work {
    pub(super) settings: Pipeline,
    pub(super) range: Range,
    pub(super) inputs: Reader,
    pub(super) threads: Threads,
    pub(super) inputs_read: u64,
    /// Outputs that come of timers.
    pub(super) of_timers: u64,
    pub(super) ended: bool,
    /// It began with a savepoint.
    pub(super) goes_on: bool,
    pub(super) bar: ProgressBar,
}

impl Work {
    /// The outputs of the next batch of inputs; `None` after the last.
    async fn next(&mut self) -> Result<Option<Answered>> {
        while !self.ended && self.threads.has_room() {
            let batch = self.batch().await?;
            self.ended = batch.is_empty();
            self.threads.send(batch).await?;
        }
        let answered = self.threads.receive().await?;
        if let Some(answered) = &answered {
            let through = answered.through.saturating_add(1);
            self.bar
                .set_position(through.saturating_sub(self.range.first));
        }
        Ok(answered)
    }

    async fn batch(&mut self) -> Result<Vec<Message>> {
        let bounds = match &self.threads {
            Threads::Each(_) => self.settings.batch,
            Threads::Job(lanes) => lanes.batch(),
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < bounds.messages
            && bytes < bounds.bytes
            && let Some(stored) = self.inputs.next().await?
        {
            bytes += stored.message.payload.len();
            batch.push(stored.message);
        }
        self.inputs_read += batch.len() as u64;
        Ok(batch)
    }

    /// Writes all outputs; returns the number of results and of dead letters.
    pub(super) async fn write(&mut self, out: impl Write) -> Result<(u64, u64)> {
        let mut out = std::io::BufWriter::new(out);
        let (mut results, mut dead_letters) = (0, 0);
        while let Some(answered) = self.next().await? {
            let answers = answered.answers.into_iter();
            let lines = answers.flat_map(|(_, outputs)| outputs.into_iter().map(|(_, line)| line));
            for line in lines.chain(answered.of_timers) {
                match line {
                    Line::Dead(_) => dead_letters += 1,
                    _ => results += 1,
                }
                writeln!(out, "{line}").context("cannot write the outputs")?;
            }
        }
        out.flush().context("cannot write the outputs")?;
        self.bar.finish_and_clear();
        Ok((results, dead_letters))
    }

    /// Compares all outputs, those of windows by their windows.
    pub(super) async fn compare(
        &mut self,
        mut live: Live,
        samples: usize,
    ) -> Result<(Report, windows::Found)> {
        let mut matcher = Matcher::new(ROOM, samples);
        let mut windows = Windows::of(&self.settings, self.goes_on);
        while let Some(answered) = self.next().await? {
            let others = answered.of_timers.iter();
            self.of_timers += others.filter(|line| !windows.take_candidate(line)).count() as u64;
            for (sequence, mut outputs) in answered.answers {
                outputs.retain(|(_, line)| !windows.take_candidate(line));
                // What waited in a savepoint may be of a message before.
                if sequence >= self.range.first {
                    matcher.answered(sequence, live.comparable(outputs));
                }
            }
            matcher.pass(answered.through);
            while matcher.waits()
                && !matcher.is_full()
                && live.tell(&mut matcher, &mut windows).await?
            {}
        }
        matcher.pass(u64::MAX);
        while live.tell(&mut matcher, &mut windows).await? {}
        matcher.settle(u64::MAX, |sequence, slot| live.judge(sequence, slot));
        self.bar.finish_and_clear();
        let windows = windows.found(live.forgets(), samples);
        Ok((matcher.report().clone(), windows))
    }
}
