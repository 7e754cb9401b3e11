//! Sketches: figures over many values in little room, within an error. Each is kept as its bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use datasketches::error::Error;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hll::{HllSketch, HllType, HllUnion};
use datasketches::tdigest::TDigestMut;
use serde::Deserialize;

/// 4,096 registers: the number of different values is off by less than 1.6 % in two of three cases
/// (1.04 / sqrt(4096); <https://datasketches.apache.org/docs/HLL/HLL.html>). 2 KiB.
const REGISTERS: u8 = 12;
/// Compression of a t-digest: ranks near the middle are off by less than 1 %, those near the ends by far less
/// (<https://arxiv.org/abs/1902.04023>). 3 KiB.
const COMPRESSION: u16 = 200;
/// Different values that a sketch of the frequent ones keeps. Counts are exact up to three quarters of it.
const FREQUENT: usize = 1024;

fn damaged(error: Error) -> String {
    format!("a sketch is damaged: {error}")
}

/// As sketches were kept before: in base64.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let bytes = STANDARD_NO_PAD.decode(text);
    bytes.map_err(|error| format!("a sketch is damaged: {error}"))
}

/// How many values differ.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Distinct(HllUnion);

impl Distinct {
    pub fn new() -> Result<Self, String> {
        HllUnion::new(REGISTERS).map(Self).map_err(damaged)
    }

    pub fn add(&mut self, value: &str) {
        self.0.update_value(value);
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.update(&other.0.to_sketch(HllType::Hll8));
    }

    pub fn estimate(&self) -> u64 {
        self.0.estimate().round() as u64
    }

    /// As it is kept.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.to_sketch(HllType::Hll4).serialize()
    }

    /// What was kept.
    ///
    /// # Errors
    /// If the bytes are of no sketch.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let mut union = Self::new()?;
        let sketch = HllSketch::deserialize(bytes).map_err(damaged)?;
        union.0.update(&sketch);
        Ok(union)
    }
}

impl TryFrom<String> for Distinct {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&bytes(&text)?)
    }
}

/// Below which value a share of all lies.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Quantiles(TDigestMut);

impl Quantiles {
    pub fn new() -> Result<Self, String> {
        TDigestMut::new(COMPRESSION).map(Self).map_err(damaged)
    }

    pub fn add(&mut self, value: f64) {
        self.0.update(value);
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// None without values.
    pub fn quantile(&mut self, rank: f64) -> Option<f64> {
        self.0.quantile(rank).ok()?
    }

    /// As it is kept.
    pub fn bytes(&mut self) -> Vec<u8> {
        self.0.serialize()
    }

    /// What was kept.
    ///
    /// # Errors
    /// If the bytes are of no sketch.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        TDigestMut::deserialize(bytes).map(Self).map_err(damaged)
    }
}

impl TryFrom<String> for Quantiles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&bytes(&text)?)
    }
}

/// Which values are frequent, and how often each came.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Frequent(FrequentItemsSketch<String>);

impl Frequent {
    pub fn new() -> Result<Self, String> {
        FrequentItemsSketch::new(FREQUENT)
            .map(Self)
            .map_err(damaged)
    }

    pub fn add(&mut self, value: &str) {
        self.0.update(value.to_owned());
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// The most frequent ones with their counts, the most frequent first; of equal ones the lesser first.
    pub fn top(&self, most: usize) -> Vec<(String, u64)> {
        let rows = self.0.frequent_items(ErrorType::NoFalseNegatives);
        let rows = rows.into_iter();
        let mut rows: Vec<_> = rows
            .map(|row| (row.item().clone(), row.estimate()))
            .collect();
        rows.sort_by(|(item, count), (other, others)| {
            others.cmp(count).then_with(|| item.cmp(other))
        });
        rows.truncate(most);
        rows
    }

    /// As it is kept.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.serialize()
    }

    /// What was kept.
    ///
    /// # Errors
    /// If the bytes are of no sketch.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        FrequentItemsSketch::deserialize(bytes)
            .map(Self)
            .map_err(damaged)
    }
}

impl TryFrom<String> for Frequent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&bytes(&text)?)
    }
}
