//! The decisions of a seed, and their counts.

/// Random numbers from a seed (splitmix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero up to `most`, without it.
    pub fn below(&mut self, most: usize) -> usize {
        (self.next() >> 32) as usize % most.max(1)
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// How often faults were met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub commits: u64,
    pub claims: u64,
    /// Commits of an owner that was deposed, and repeats.
    pub refused: u64,
    /// Commits that are stored though nobody heard.
    pub ambiguous: u64,
    /// Requests that arrived after nobody waited for them.
    pub late: u64,
    /// Reads of an old state of the log.
    pub lagging: u64,
    /// Commits of which something was sent ahead.
    pub staged: u64,
    pub snapshots: u64,
    pub purged: u64,
    /// Standbys that went on with what they had, that could not, and that had missed deltas.
    pub warm: u64,
    pub cold: u64,
    pub gaps: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.claims += other.claims;
        self.refused += other.refused;
        self.ambiguous += other.ambiguous;
        self.late += other.late;
        self.lagging += other.lagging;
        self.staged += other.staged;
        self.snapshots += other.snapshots;
        self.purged += other.purged;
        self.warm += other.warm;
        self.cold += other.cold;
        self.gaps += other.gaps;
    }
}
