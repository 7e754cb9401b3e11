//! The number of outputs that a candidate had for each input, in one byte each.
//!
//! An output of the live pipeline that arrives after its input has been compared is either a duplicate, which
//! is ignored, or one that the candidate does not have. To distinguish them for millions of inputs, only the
//! number of outputs is kept.

use super::Slot;
use std::collections::{BTreeMap, HashMap};

/// Inputs per block of bytes.
const BLOCK: u64 = 4096;
/// The input is unknown.
const UNKNOWN: u8 = 0;
/// It became a dead letter.
const DEAD: u8 = 1;
/// It had no results; a greater value means that many results more.
const NONE: u8 = 2;
/// It had more results than fit into a byte; they are counted elsewhere.
const MANY: u8 = u8::MAX;

/// The outputs of inputs, by sequence.
#[derive(Default)]
pub(super) struct OutputCounts {
    blocks: BTreeMap<u64, Box<[u8]>>,
    many: HashMap<u64, u64>,
}

impl OutputCounts {
    /// Records an input with its outputs: a dead letter, or a number of results.
    pub(super) fn put(&mut self, sequence: u64, dead: bool, results: u64) {
        let empty = || vec![UNKNOWN; usize::try_from(BLOCK).unwrap_or_default()].into();
        let block = self.blocks.entry(sequence / BLOCK).or_insert_with(empty);
        let small = u8::try_from(results)
            .ok()
            .and_then(|few| few.checked_add(NONE));
        let byte = match small {
            _ if dead => DEAD,
            Some(byte) if byte < MANY => byte,
            _ => {
                self.many.insert(sequence, results);
                MANY
            }
        };
        if let Some(place) = block.get_mut(index(sequence)) {
            *place = byte;
        }
    }

    /// Whether the input had an output in this slot; `None` if the input is unknown.
    pub(super) fn has(&self, sequence: u64, slot: Slot) -> Option<bool> {
        let byte = self.blocks.get(&(sequence / BLOCK))?.get(index(sequence))?;
        let results = match *byte {
            UNKNOWN => return None,
            DEAD => return Some(slot == Slot::DeadLetter),
            MANY => self.many.get(&sequence).copied().unwrap_or_default(),
            few => u64::from(few - NONE),
        };
        Some(matches!(slot, Slot::Result(index) if index < results))
    }

    /// Forgets inputs up to this one, by whole blocks.
    pub(super) fn forget(&mut self, through: u64) {
        let first = (through + 1) / BLOCK;
        if self
            .blocks
            .keys()
            .next()
            .is_some_and(|block| *block < first)
        {
            self.blocks = self.blocks.split_off(&first);
            self.many.retain(|sequence, _| *sequence >= first * BLOCK);
        }
    }
}

fn index(sequence: u64) -> usize {
    usize::try_from(sequence % BLOCK).unwrap_or_default()
}
