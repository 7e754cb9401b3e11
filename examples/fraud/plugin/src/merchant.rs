//! What is remembered of a merchant, and the rule that needs it.

use crate::Memory;
use crate::payment::{Alert, Payment};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many payments within [`WITHIN`] are a burst.
const PAYMENTS: usize = 15;
/// In milliseconds.
const WITHIN: u64 = 60_000;

#[derive(Default, Deserialize, Serialize)]
pub struct Merchant {
    last: u64,
    /// When the payments of the last minute were, since the last alert.
    recent: VecDeque<u64>,
}

impl Memory for Merchant {
    fn last(&self) -> u64 {
        self.last
    }

    /// Stolen cards are used up at one terminal. Each burst is one alert, and the next begins after it.
    fn see<'a>(&mut self, payment: &'a Payment) -> Vec<Alert<'a>> {
        self.last = self.last.max(payment.time);
        let now = payment.time;
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|first| now.saturating_sub(*first) >= WITHIN)
        {
            self.recent.pop_front();
        }
        if self.recent.len() < PAYMENTS {
            return Vec::new();
        }
        let since = self
            .recent
            .front()
            .map_or(0, |first| now.saturating_sub(*first));
        self.recent.clear();
        let text = format!("{PAYMENTS} payments in {} s", since / 1000);
        vec![payment.breaks("burst", text)]
    }
}
