//! What is read and what is published.

use serde::{Deserialize, Serialize};
use weir_sdk::{Error, Message};

/// A payment, as a terminal has sent it. Other fields are not needed here.
#[derive(Deserialize)]
pub struct Payment {
    pub id: u64,
    /// Milliseconds since the Unix epoch.
    pub time: u64,
    pub card: String,
    pub merchant: String,
    /// The telephone or the plastic card that was used.
    pub device: String,
    pub cents: u64,
    pub accepted: bool,
    pub place: Place,
}

/// In kilometres of the country's grid: distances are exact, and the same on every machine.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub struct Place {
    pub east: i32,
    pub north: i32,
}

/// A payment and the rule that it breaks.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Alert<'a> {
    pub rule: &'static str,
    pub payment: u64,
    pub card: &'a str,
    pub merchant: &'a str,
    pub time: u64,
    /// One line for people.
    pub text: String,
}

/// The year 2400: later times do not fit where nanoseconds are counted.
const LATEST: u64 = 13_569_465_600_000;

impl Payment {
    pub fn read(message: &Message) -> Result<Self, Error> {
        let payment: Self = message.json()?;
        if payment.time > LATEST {
            let time = payment.time;
            return Err(Error::reject(format!(
                "`time` is {time}, not in milliseconds"
            )));
        }
        Ok(payment)
    }

    pub fn breaks(&self, rule: &'static str, text: String) -> Alert<'_> {
        Alert {
            rule,
            payment: self.id,
            card: &self.card,
            merchant: &self.merchant,
            time: self.time,
            text,
        }
    }
}

impl Place {
    /// The square of the distance, in square kilometres.
    pub fn distance_squared(self, other: Self) -> u128 {
        let apart = |a: i32, b: i32| u128::from(a.abs_diff(b));
        apart(self.east, other.east).pow(2) + apart(self.north, other.north).pow(2)
    }
}
