//! What is stored of a window besides its accumulator, and the bytes of both.
//!
//! ```text
//! stage (1 byte) | start (8) | end (8) | panes so far (4) | messages since the last pane (4) | accumulator
//! ```
//!
//! Integers are little endian.

use super::{Stage, Window};

/// See the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub window: Window,
    pub stage: Stage,
    /// How many panes it has emitted: the index of the next.
    pub index: u32,
    /// Messages since its last pane. Where windows share slices it stays 0.
    pub since: u32,
}

impl Kept {
    /// A window that has nothing yet. One that is behind the watermark has had its time for an on-time pane.
    #[must_use]
    pub fn new(window: Window, watermark: i64) -> Self {
        Self {
            window,
            stage: match window.end <= watermark {
                true => Stage::Closed,
                false => Stage::Open,
            },
            index: 0,
            since: 0,
        }
    }

    /// The bytes of it with its accumulator.
    #[must_use]
    pub fn write(&self, accumulator: &[u8]) -> Vec<u8> {
        let stage = match self.stage {
            Stage::Open => 0,
            Stage::Closed => 1,
            Stage::Final => 2,
        };
        let mut bytes = Vec::with_capacity(25 + accumulator.len());
        bytes.push(stage);
        bytes.extend(self.window.start.to_le_bytes());
        bytes.extend(self.window.end.to_le_bytes());
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.since.to_le_bytes());
        bytes.extend(accumulator);
        bytes
    }

    /// Both of such bytes; `None` for any others.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (stage, bytes) = bytes.split_first()?;
        let stage = match stage {
            0 => Stage::Open,
            1 => Stage::Closed,
            2 => Stage::Final,
            _ => return None,
        };
        let (start, bytes) = bytes.split_first_chunk()?;
        let (end, bytes) = bytes.split_first_chunk()?;
        let (index, bytes) = bytes.split_first_chunk()?;
        let (since, accumulator) = bytes.split_first_chunk()?;
        let window = Window {
            start: i64::from_le_bytes(*start),
            end: i64::from_le_bytes(*end),
        };
        let kept = Self {
            window,
            stage,
            index: u32::from_le_bytes(*index),
            since: u32::from_le_bytes(*since),
        };
        Some((kept, accumulator))
    }
}
