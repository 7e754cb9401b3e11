//! Random numbers that are the same on every machine and with every release of `rand`.
//!
//! Only the bit stream comes from `rand`, from a generator whose algorithm it promises not to
//! change. Ranges and skew are computed here, in integers: a floating-point power function may
//! differ in its last bit between two machines, and one bit changes everything after it.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// A reproducible source of randomness.
#[derive(Clone, Debug)]
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. Multiply and shift: its bias is below 2^-40 for
    /// the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `per_mille` times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of `items`, each as likely.
    #[expect(
        clippy::indexing_slicing,
        reason = "`below` stays below the length of an array"
    )]
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        items[self.below(N as u64) as usize]
    }
}

/// Ranks with the skew of Zipf and Mandelbrot: rank `r` weighs `1 / (r + offset)`.
///
/// An offset of 1 is the plain law, in which the first of two dozen shops takes a quarter of all
/// orders; a larger one flattens the head.
#[derive(Clone, Debug)]
pub(crate) struct Skew {
    /// Sums of the weights up to and including each rank; strictly increasing.
    cumulative: Vec<u64>,
    total: u64,
}

impl Skew {
    /// Large enough that the weight of the last rank keeps four digits.
    const SCALE: u64 = 1_000_000_000;

    pub(crate) fn new(ranks: usize, offset: u64) -> Self {
        let mut total = 0;
        let cumulative = (0..ranks as u64)
            .map(|rank| {
                total += Self::SCALE / (rank + offset.max(1));
                total
            })
            .collect();
        Self { cumulative, total }
    }

    /// A rank, from 0, the first being the most likely.
    pub(crate) fn sample(&self, random: &mut Random) -> usize {
        let point = random.below(self.total);
        self.cumulative.partition_point(|&sum| sum <= point)
    }
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "an index out of bounds fails the test"
)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_stream_of_a_seed_never_changes() {
        let mut random = Random::new(42);
        let drawn: Vec<u64> = (0..4).map(|_| random.below(1_000_000)).collect();
        assert_eq!(drawn, FIRST_OF_SEED_42);
    }

    const FIRST_OF_SEED_42: [u64; 4] = [814_305, 318_821, 983_894, 701_135];

    #[test]
    fn the_first_rank_is_the_most_frequent_and_every_rank_occurs() {
        let (mut random, skew) = (Random::new(7), Skew::new(10, 1));
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[skew.sample(&mut random)] += 1;
        }
        assert!(
            counts.windows(2).all(|pair| pair[0] > pair[1] / 2),
            "{counts:?}"
        );
        assert!(counts[0] > 3_000 && counts[9] > 200, "{counts:?}");
    }
}
