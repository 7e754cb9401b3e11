//! Random numbers of one event: SplitMix64, begun from the seed and the number of the event.

/// A source of randomness that nothing else draws from.
pub(crate) struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Random {
    /// That of the event with this number.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        Self(mixed(
            mixed(seed.wrapping_add(STEP)).wrapping_add(number.wrapping_mul(STEP)),
        ))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `items`, each as likely.
    #[expect(
        clippy::indexing_slicing,
        reason = "`below` stays below the length of an array"
    )]
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        items[self.below(N as u64) as usize]
    }

    /// So many small letters, and a blank or `_` now and then.
    pub(crate) fn text(&mut self, length: u64, gap: char) -> String {
        let letter = |_| match self.below(13) {
            0 => gap,
            _ => char::from(b'a' + self.below(26) as u8),
        };
        (0..length).map(letter).collect()
    }

    /// Letters up to a size that lies up to a fifth around `average`, with `size` there already.
    pub(crate) fn filling(&mut self, size: u64, average: u64) -> String {
        let missing = average.saturating_sub(size);
        let fifth = missing / 5;
        let length = missing - fifth + self.below(2 * fifth + 1);
        let letter = |_| char::from(b'a' + self.below(26) as u8);
        (0..length).map(letter).collect()
    }
}
