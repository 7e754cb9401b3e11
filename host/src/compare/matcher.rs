//! Brings the outputs of both sides together, whatever their order, in bounded memory.
//!
//! An output is looked at once, when the second of a pair comes, and both are let go. What waits for
//! its counterpart is kept whole while there is room, so that a sample can show it; beyond that, only
//! what is needed to say in what it differs. That the live pipeline has nothing for an output is known
//! when it has settled the input ([`Matcher::settle`]); that the candidate has nothing, when it has
//! answered the input.

use super::report::{Kind, Report, Why};
use super::seen::Seen;
use super::{Outputs, Print, Slot, size};
use crate::jsonl::Line;
use std::collections::BTreeMap;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Outputs of each side.
    pub outputs: usize,
    /// Bytes of each side that are kept for samples.
    pub bytes: usize,
}

/// What of an input and a slot is known on one side.
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

/// One side's outputs that wait for the other's.
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

    /// The oldest that is of an input up to this one.
    fn take_first(&mut self, through: u64) -> Option<((u64, Slot), Waiting)> {
        let key = *self.waiting.keys().next()?;
        (key.0 <= through)
            .then_some(key)
            .and_then(|key| Some((key, self.take(key)?)))
    }
}

/// Compares outputs as they come.
pub struct Matcher {
    room: Room,
    /// Samples of each kind.
    samples: usize,
    candidate: Side,
    live: Side,
    seen: Seen,
    /// Inputs up to this one that the candidate has not answered will not be answered.
    passed: u64,
    /// Outputs of the live pipeline for inputs up to this one were let go for want of room.
    dropped: u64,
    report: Report,
}

impl Matcher {
    /// Keeps at most so many samples of each kind.
    #[must_use]
    pub fn new(room: Room, samples: usize) -> Self {
        Self {
            room,
            samples,
            candidate: Side::default(),
            live: Side::default(),
            seen: Seen::default(),
            passed: 0,
            dropped: 0,
            report: Report::default(),
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether outputs of the candidate wait for those of the live pipeline.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.candidate.waiting.is_empty()
    }

    /// Whether it is time that the candidate answers: no many more outputs of the live pipeline can be
    /// kept for inputs to come.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.live.waiting.len() >= self.room.outputs || self.live.bytes >= self.room.bytes / 2
    }

    /// The candidate has answered an input. One that was answered before is not looked at again.
    pub fn answered(&mut self, sequence: u64, outputs: Outputs) {
        if self.seen.has(sequence, Slot::DeadLetter).is_some() {
            return;
        }
        self.report.inputs += 1;
        let dead = outputs.iter().any(|(slot, _)| *slot == Slot::DeadLetter);
        self.seen.put(sequence, dead, outputs.len() as u64);
        for (slot, line) in outputs {
            let key = (sequence, slot);
            match self.live.take(key) {
                Some(live) => self.compare(key, &live, &Waiting::new(line)),
                None if sequence <= self.dropped => self.report.leave(Why::Beyond),
                None => self.candidate.put(key, line, self.room),
            }
        }
        // What the live pipeline has besides.
        let slots = (sequence, Slot::Result(0))..=(sequence, Slot::DeadLetter);
        let besides: Vec<_> = self
            .live
            .waiting
            .range(slots)
            .map(|(key, _)| *key)
            .collect();
        for key in besides {
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
        match self.seen.has(sequence, slot) {
            // It was compared before, or given up.
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

    /// Inputs up to this one that the candidate has not answered will not be: they are not in the
    /// stream, or another host has them.
    pub fn pass(&mut self, through: u64) {
        self.passed = self.passed.max(through);
        while self.live.take_first(through).is_some() {
            self.report.without_input += 1;
        }
    }

    /// The live pipeline has settled all inputs up to this one, and all that it has published of them
    /// was told. `judge` says why the lack of an output means nothing, where that is so.
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

    /// Forgets the inputs up to this one, of which nothing will be told any more.
    pub fn forget(&mut self, through: u64) {
        self.seen.forget(through);
    }

    fn missing(&mut self, key: (u64, Slot), live: Option<&Line>) {
        let kinds = vec![Kind::Missing];
        self.report.differs(key, kinds, live, None, self.samples);
    }

    fn compare(&mut self, key: (u64, Slot), live: &Waiting, candidate: &Waiting) {
        let (one, other) = (live.print, candidate.print);
        let kinds = [
            (Kind::Subject, one.subject == other.subject),
            (Kind::Headers, one.headers == other.headers),
            (Kind::Payload, one.payload == other.payload),
            (Kind::Reason, one.end == other.end),
        ];
        let kinds = kinds.iter().filter(|(_, same)| !same);
        let kinds: Vec<Kind> = kinds.map(|(kind, _)| *kind).collect();
        if kinds.is_empty() {
            self.report.same += 1;
            return;
        }
        let (live, candidate) = (live.line.as_deref(), candidate.line.as_deref());
        self.report
            .differs(key, kinds, live, candidate, self.samples);
    }
}
