//! Query 4: the average of the winning bids of each category. It reads what `winning_bids.rs` publishes.

use crate::events::Won;
use serde::{Deserialize, Serialize};
use weir_sdk::{Error, Message, Output, Outputs, State};

#[derive(Default, Deserialize, Serialize)]
struct Total {
    auctions: u64,
    sum: u64,
}

const TOTAL: State<Total> = State::new("total");

#[derive(Serialize)]
struct Average {
    category: u64,
    average: f64,
    auctions: u64,
}

pub fn process(message: &Message) -> Result<Outputs, Error> {
    let key = message.state_key();
    let won: Won = message.json()?;
    let mut total = TOTAL.get(key)?.unwrap_or_default();
    total.auctions += 1;
    total.sum += won.price;
    TOTAL.set(key, &total)?;
    let average = Average {
        category: won.category,
        average: total.sum as f64 / total.auctions as f64,
        auctions: total.auctions,
    };
    Ok(Output::json(&average)?.into())
}
