//! The time between two readings that is too long.
//!
//! Readings come out of order, and one that is still to come may lie in the middle of what looks like a gap. So that
//! there is a gap is known when the watermark is past it, and so is its end. All times are in nanoseconds since the
//! Unix epoch.

use serde::{Deserialize, Serialize};

/// What is remembered of the readings of a sensor.
#[derive(Default, Deserialize, Serialize)]
pub struct Silence {
    /// The last reading up to which all is decided, and later ones, in order. Nearly always there is only the first.
    times: Vec<u64>,
    /// That it is silent since the first of them has been said.
    reported: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "alert", rename_all = "kebab-case")]
pub enum Alert<'a> {
    /// There is no reading after `since`, in milliseconds since the Unix epoch, as all that is published.
    Gap { device: &'a str, since: u64 },
    /// The first reading after it was `at`.
    Back {
        device: &'a str,
        since: u64,
        at: u64,
    },
}

const MILLISECOND: u64 = 1_000_000;

impl Silence {
    /// A reading of this time. One from before what is decided says nothing new.
    pub fn add(&mut self, time: u64) {
        let Err(place) = self.times.binary_search(&time) else {
            return;
        };
        if place > 0 || self.times.is_empty() {
            self.times.insert(place, time);
        }
    }

    /// What is certain as of this watermark: no reading from before it is expected any more.
    pub fn decide<'a>(
        &mut self,
        device: &'a str,
        watermark: u64,
        silent_for: u64,
    ) -> Vec<Alert<'a>> {
        let mut alerts = Vec::new();
        while let Some(&first) = self.times.first() {
            let since = first / MILLISECOND;
            match (self.times.get(1), self.reported) {
                (Some(&next), true) if next <= watermark => {
                    let at = next / MILLISECOND;
                    alerts.push(Alert::Back { device, since, at });
                    self.reported = false;
                    self.times.remove(0);
                }
                (Some(&next), false) if next - first <= silent_for => drop(self.times.remove(0)),
                (_, false) if watermark >= end(first, silent_for) => {
                    alerts.push(Alert::Gap { device, since });
                    self.reported = true;
                }
                _ => break,
            }
        }
        alerts
    }

    /// The watermark at which there is more to decide, as far as is known.
    pub fn due(&self, silent_for: u64) -> Option<u64> {
        match self.reported {
            true => self.times.get(1).copied(),
            false => self.times.first().map(|first| end(*first, silent_for)),
        }
    }
}

/// When a silence has been too long. A reading at the watermark may still come.
fn end(first: u64, silent_for: u64) -> u64 {
    first.saturating_add(silent_for).saturating_add(1)
}
