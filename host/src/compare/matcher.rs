//! Matches the outputs of both sides, in any order and in bounded memory.
//!
//! A pair is compared when its second output arrives, and then released. While there is room, an output that
//! waits for its counterpart is kept completely, so that a sample can show it; beyond that, only a summary
//! that tells how it differs. The live pipeline has no counterpart if it has settled the input
//! ([`Matcher::settle`]); the candidate has none if it has answered the input.

mod unnamed;

use super::output_counts::OutputCounts;
use super::report::{Kind, Report, Why};
use super::{Outputs, Print, Slot, size};
use crate::jsonl::Line;
use std::collections::BTreeMap;
pub use unnamed::OnlySide;
use unnamed::Unnamed;

/// How much may wait for a counterpart.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Outputs of each side.
    pub outputs: usize,
    /// Bytes of each side that are kept for samples.
    pub bytes: usize,
}

/// The outputs of one side by input and slot.
struct Waiting {
    print: Print,
    line: Option<Box<Line>>,
}

impl Waiting {
    fn new(line: Line) -> Self {
        Self {
            print: Print::of(&line),
            line: Some(Box::new(line)),
        }
    }

    fn size(&self) -> usize {
        self.line.as_deref().map_or(0, size)
    }
}

/// Outputs of one side that wait for a counterpart.
#[derive(Default)]
struct Side {
    waiting: BTreeMap<(u64, Slot), Waiting>,
    bytes: usize,
}

impl Side {
    fn put(&mut self, key: (u64, Slot), line: Line, room: Room) {
        let (print, bytes) = (Print::of(&line), size(&line));
        let fits = self.bytes + bytes <= room.bytes;
        self.bytes += if fits { bytes } else { 0 };
        let line = fits.then(|| Box::new(line));
        if let Some(before) = self.waiting.insert(key, Waiting { print, line }) {
            self.bytes -= before.size();
        }
    }

    fn take(&mut self, key: (u64, Slot)) -> Option<Waiting> {
        let taken = self.waiting.remove(&key)?;
        self.bytes -= taken.size();
        Some(taken)
    }

    /// Removes the oldest output of an input up to this one.
    fn take_first(&mut self, through: u64) -> Option<((u64, Slot), Waiting)> {
        let key = *self.waiting.keys().next()?;
        (key.0 <= through)
            .then_some(key)
            .and_then(|key| Some((key, self.take(key)?)))
    }
}

/// Compares outputs as they arrive.
pub struct Matcher {
    room: Room,
    /// The maximum number of samples of each kind.
    samples: usize,
    candidate: Side,
    live: Side,
    unnamed: Unnamed,
    answered: OutputCounts,
    /// The candidate will not answer inputs up to this one any more.
    passed: u64,
    /// Outputs of the live pipeline for inputs up to this one were dropped because of the limit.
    dropped: u64,
    report: Report,
}

impl Matcher {
    /// Keeps at most this many samples of each kind.
    #[must_use]
    pub fn new(room: Room, samples: usize) -> Self {
        Self {
            room,
            samples,
            candidate: Side::default(),
            live: Side::default(),
            unnamed: Unnamed::default(),
            answered: OutputCounts::default(),
            passed: 0,
            dropped: 0,
            report: Report::default(),
        }
    }

    /// The findings so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether outputs of the candidate wait for those of the live pipeline.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.candidate.waiting.is_empty()
    }

    /// Whether the candidate should catch up, because there is little room for further outputs of the live
    /// pipeline.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.live.waiting.len() >= self.room.outputs || self.live.bytes >= self.room.bytes / 2
    }

    /// Whether the live pipeline should catch up, because there is little room for further outputs of the candidate.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        let waiting = self.candidate.waiting.len().max(self.unnamed.of_candidate);
        waiting >= self.room.outputs / 2
    }

    /// Other inputs come: what waits for a counterpart is not compared. The findings stay.
    pub fn restart(&mut self) {
        self.settle(u64::MAX, |_, _| Some(Why::Unsettled));
        self.settle_unnamed(0, |_| Some(Why::Unsettled));
        let report = std::mem::take(&mut self.report);
        *self = Self {
            report,
            ..Self::new(self.room, self.samples)
        };
    }

    /// The candidate has answered an input. A repeated answer is ignored.
    pub fn answered(&mut self, sequence: u64, outputs: Outputs) {
        if self.answered.has(sequence, Slot::DeadLetter).is_some() {
            return;
        }
        self.report.inputs += 1;
        let dead = outputs.iter().any(|(slot, _)| *slot == Slot::DeadLetter);
        self.answered.put(sequence, dead, outputs.len() as u64);
        for (slot, line) in outputs {
            let key = (sequence, slot);
            match self.live.take(key) {
                Some(live) => self.compare(key, &live, &Waiting::new(line)),
                None if sequence <= self.dropped => self.report.leave(Why::Beyond),
                None => self.candidate.put(key, line, self.room),
            }
        }
        // The other outputs of the live pipeline.
        let slots = (sequence, Slot::Result(0))..=(sequence, Slot::DeadLetter);
        let others: Vec<_> = self
            .live
            .waiting
            .range(slots)
            .map(|(key, _)| *key)
            .collect();
        for key in others {
            if let Some(live) = self.live.take(key) {
                self.missing(key, live.line.as_deref());
            }
        }
        while self.candidate.waiting.len() > self.room.outputs {
            if self.candidate.take_first(u64::MAX).is_some() {
                self.report.leave(Why::Beyond);
            }
        }
    }

    /// The live pipeline has published an output.
    pub fn published(&mut self, sequence: u64, slot: Slot, line: Line) {
        let key = (sequence, slot);
        if let Some(candidate) = self.candidate.take(key) {
            return self.compare(key, &Waiting::new(line), &candidate);
        }
        match self.answered.has(sequence, slot) {
            // It was compared before, or its counterpart was dropped.
            Some(true) => {}
            Some(false) => self.missing(key, Some(&line)),
            None if sequence <= self.passed => self.report.without_input += 1,
            None => self.live.put(key, line, self.room),
        }
        while self.live.waiting.len() > self.room.outputs {
            if let Some(((sequence, _), _)) = self.live.take_first(u64::MAX) {
                self.dropped = self.dropped.max(sequence);
            }
        }
    }

    /// The candidate will not answer further inputs up to this one: they are not in the stream, or another
    /// host processes them.
    pub fn pass(&mut self, through: u64) {
        self.passed = self.passed.max(through);
        while self.live.take_first(through).is_some() {
            self.report.without_input += 1;
        }
    }

    /// The live pipeline has settled all inputs up to this one, and all their outputs have been passed to
    /// [`Matcher`]. `judge` returns a reason if a missing output does not mean a difference.
    pub fn settle(&mut self, through: u64, judge: impl Fn(u64, Slot) -> Option<Why>) {
        while let Some((key, candidate)) = self.candidate.take_first(through) {
            match judge(key.0, key.1) {
                Some(why) => self.report.leave(why),
                None => self.report.differs(
                    key,
                    vec![Kind::Additional],
                    None,
                    candidate.line.as_deref(),
                    self.samples,
                ),
            }
        }
    }

    /// Forgets the inputs up to this one; there will be no further outputs of them.
    pub fn forget(&mut self, through: u64) {
        self.answered.forget(through);
    }

    fn missing(&mut self, key: (u64, Slot), live: Option<&Line>) {
        let kinds = vec![Kind::Missing];
        self.report.differs(key, kinds, live, None, self.samples);
    }

    fn compare(&mut self, key: (u64, Slot), live: &Waiting, candidate: &Waiting) {
        let kinds = differing(live.print, candidate.print);
        if kinds.is_empty() {
            self.report.same += 1;
            return;
        }
        let (live, candidate) = (live.line.as_deref(), candidate.line.as_deref());
        self.report
            .differs(key, kinds, live, candidate, self.samples);
    }
}

/// How two outputs differ.
fn differing(one: Print, other: Print) -> Vec<Kind> {
    let kinds = [
        (Kind::Subject, one.subject == other.subject),
        (Kind::Headers, one.headers == other.headers),
        (Kind::Payload, one.payload == other.payload),
        (Kind::Reason, one.end == other.end),
    ];
    let kinds = kinds.iter().filter(|(_, same)| !same);
    kinds.map(|(kind, _)| *kind).collect()
}
