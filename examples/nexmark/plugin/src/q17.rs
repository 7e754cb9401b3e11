//! Query 17: the bids of each auction on each day, in numbers. Each bid is a result, which takes the place of the one
//! before of that auction and day.

use crate::events::{Bid, timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use weir_sdk::{Error, Message, OrFail, Output, Outputs, State};

/// Below this price a bid is low, and below the next one it is in the middle.
const MIDDLE: u64 = 10_000;
const HIGH: u64 = 1_000_000;

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
struct Numbers {
    bids: u64,
    low: u64,
    middle: u64,
    high: u64,
    min: u64,
    max: u64,
    sum: u64,
}

/// Those of each day with bids: `2015-07-15`.
const DAYS: State<BTreeMap<String, Numbers>> = State::new("days");

#[derive(Serialize)]
struct Row {
    auction: u64,
    day: String,
    #[serde(flatten)]
    numbers: Numbers,
    average: f64,
}

impl Numbers {
    fn add(&mut self, price: u64) {
        self.min = match self.bids {
            0 => price,
            _ => self.min.min(price),
        };
        self.max = self.max.max(price);
        self.bids += 1;
        self.sum += price;
        match price {
            ..MIDDLE => self.low += 1,
            MIDDLE..HIGH => self.middle += 1,
            HIGH.. => self.high += 1,
        }
    }
}

pub fn process(message: &Message) -> Result<Outputs, Error> {
    let key = message.state_key();
    let bid: Bid = message.json()?;
    let day = timestamp(message.event_time)?.strftime("%F").to_string();
    let mut days = DAYS.get(key)?.unwrap_or_default();
    let numbers = days.entry(day.clone()).or_default();
    numbers.add(bid.price);
    let row = Row {
        auction: key.parse().or_reject("the key is no auction")?,
        day,
        numbers: *numbers,
        average: numbers.sum as f64 / numbers.bids as f64,
    };
    DAYS.set(key, &days)?;
    Ok(Output::json(&row)?.into())
}
