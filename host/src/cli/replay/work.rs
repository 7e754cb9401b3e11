//! A running replay: passes inputs to the threads, and writes or compares their answers.

use super::Replayed;
use super::inputs::Inputs;
use super::lanes::{Answered, Threads};
use super::live::Live;
use super::windows::{self, Windows};
use crate::compare::matcher::{Matcher, Room};
use crate::compare::report::Report;
use crate::config::resolved::Pipeline;
use crate::jsonl::Line;
use crate::nats::history::Stored;
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
    pub(super) replayed: Replayed,
    pub(super) inputs: Inputs,
    pub(super) threads: Threads,
    pub(super) inputs_read: u64,
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
        self.bar.set_position(self.inputs.passed());
        Ok(answered)
    }

    async fn batch(&mut self) -> Result<Vec<(usize, Stored)>> {
        let bounds = match &self.threads {
            Threads::Each(_) => self.settings.batch,
            Threads::Job(lanes) => lanes.batch(),
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < bounds.messages
            && bytes < bounds.bytes
            && let Some((source, stored)) = self.inputs.next().await?
        {
            bytes += stored.message.payload.len();
            batch.push((source, stored));
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
        let is_several = self.replayed.ranges.len() > 1;
        while let Some(answered) = self.next().await? {
            for line in answered.of_timers {
                if !windows.take_candidate(&line) && live.compares(&line) {
                    matcher.answered_unnamed(line);
                }
            }
            for ((source, sequence), mut outputs) in answered.answers {
                let range = self.replayed.ranges.get(source);
                // What waited in a savepoint may be of a message before.
                if range.is_none_or(|range| sequence < range.first) {
                    continue;
                }
                outputs.retain(|(_, line)| !windows.take_candidate(line));
                let outputs = live.comparable(outputs);
                match is_several {
                    true => matcher.answered_any((source, sequence), outputs),
                    false => matcher.answered(sequence, outputs),
                }
            }
            if !is_several {
                matcher.pass(answered.through);
            }
            while (matcher.waits() || is_several && matcher.waits_unnamed())
                && !matcher.is_full()
                && live.tell(&mut matcher, &mut windows).await?
            {}
        }
        matcher.pass(u64::MAX);
        while live.tell(&mut matcher, &mut windows).await? {}
        matcher.settle(u64::MAX, |sequence, slot| live.judge(sequence, slot));
        let read = self.inputs.read();
        matcher.settle_unnamed(0, |side| live.judge_unnamed(side, &read));
        self.bar.finish_and_clear();
        let windows = windows.found(live.forgets(), samples);
        Ok((matcher.report().clone(), windows))
    }
}
