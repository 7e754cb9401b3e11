//! Whether memory is flat after a while.

use serde::Serialize;

/// What is not called growth: allocators and collectors move by some of it for ever.
const TOLERANCE_BYTES: u64 = 4 << 20;
/// The same as a part of what was there, in percent; the larger of the two counts.
const TOLERANCE_PERCENT: u64 = 5;

/// How memory went on after the first part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// The most in the first part.
    pub first: u64,
    /// The most in any later part.
    pub later: u64,
    /// Whether the later parts stay within the tolerance above the first.
    pub flat: bool,
}

impl Growth {
    /// In a word.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        if self.flat { "flat" } else { "grows" }
    }
}

/// Judges the most that was held in each part of a run, in bytes. `None` with less than two parts.
#[must_use]
pub fn growth(parts: &[u64]) -> Option<Growth> {
    let (&first, rest) = parts.split_first()?;
    let later = *rest.iter().max()?;
    let tolerance = TOLERANCE_BYTES.max(first * TOLERANCE_PERCENT / 100);
    Some(Growth {
        first,
        later,
        flat: later <= first + tolerance,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn is_flat(mebibytes: &[u64]) -> Option<bool> {
        let parts: Vec<u64> = mebibytes.iter().map(|each| each * MIB).collect();
        growth(&parts).map(|growth| growth.flat)
    }

    #[test]
    fn memory_that_moves_within_the_tolerance_is_flat() {
        assert_eq!(is_flat(&[20, 21, 19, 24, 20]), Some(true));
        assert_eq!(is_flat(&[200, 205, 210]), Some(true));
    }

    #[test]
    fn memory_that_goes_beyond_it_at_any_time_is_not() {
        assert_eq!(is_flat(&[20, 22, 24, 26]), Some(false));
        assert_eq!(is_flat(&[20, 30, 20]), Some(false));
        assert_eq!(is_flat(&[200, 211]), Some(false));
    }

    #[test]
    fn one_part_says_nothing() {
        assert_eq!(is_flat(&[20]), None);
        assert_eq!(growth(&[]), None);
    }
}
