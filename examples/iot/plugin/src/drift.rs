//! A minute of a sensor that is far from the minutes before.
//!
//! Sums and counts are whole numbers, so what is compared is exact.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// When a minute is far from the others.
pub struct Rule {
    /// It is compared with so many before it. Until there is a third of them nothing is said.
    pub baseline: usize,
    /// How far from their average its own may be, in the unit of the readings.
    pub limit: u32,
}

/// A result of `pipeline.yaml`. Other fields are not needed here.
#[derive(Deserialize)]
pub struct Minute {
    pub device: String,
    /// When it began, as text.
    pub minute: String,
    pub readings: u32,
    pub sum: i64,
}

/// What is remembered of the minutes of a sensor.
#[derive(Default, Deserialize, Serialize)]
pub struct Baseline {
    /// Sum and number of the readings of each minute.
    minutes: VecDeque<(i64, u32)>,
    /// The last minute was far from those before it.
    drifting: bool,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Alert<'a> {
    /// `drift` for the first minute that is far from those before it, `steady` for the first that is not any more.
    pub alert: &'static str,
    pub device: &'a str,
    pub minute: &'a str,
    pub average: f64,
    pub baseline: f64,
}

impl Baseline {
    /// Compares a minute with those before it, and takes it in.
    pub fn compare<'a>(&mut self, minute: &'a Minute, rule: &Rule) -> Option<Alert<'a>> {
        let sum: i128 = self.minutes.iter().map(|(sum, _)| i128::from(*sum)).sum();
        let count: i128 = self
            .minutes
            .iter()
            .map(|(_, count)| i128::from(*count))
            .sum();
        let (own_sum, own_count) = (i128::from(minute.sum), i128::from(minute.readings));
        // |own average - average| > limit, without a division.
        let apart = (own_sum * count - sum * own_count).abs();
        let is_known = self.minutes.len() >= rule.baseline.div_ceil(3);
        let is_far = is_known && apart > i128::from(rule.limit) * own_count * count;
        let alert = (is_far != self.drifting).then(|| Alert {
            alert: if is_far { "drift" } else { "steady" },
            device: &minute.device,
            minute: &minute.minute,
            average: own_sum as f64 / own_count as f64,
            baseline: sum as f64 / count as f64,
        });
        self.drifting = is_far;
        self.minutes.push_back((minute.sum, minute.readings));
        if self.minutes.len() > rule.baseline {
            self.minutes.pop_front();
        }
        alert
    }
}
