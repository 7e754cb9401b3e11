//! Query 6: the average of the winning bids of the ten auctions of each seller that ended last. It reads what
//! `winning_bids.rs` publishes.
//!
//! Auctions of one seller come from several partitions, so not in the order in which they ended: what counts is their
//! end, and not when they come.

use crate::events::Won;
use serde::Serialize;
use weir_sdk::{Error, Message, Output, Outputs, State};

const LAST: usize = 10;

/// End, id and price of the last auctions, in this order. The end is the event time, in nanoseconds.
const AUCTIONS: State<Vec<(u64, u64, u64)>> = State::new("auctions");

#[derive(Serialize)]
struct Average {
    seller: u64,
    average: f64,
    /// The one that led to this result.
    auction: u64,
}

pub fn process(message: &Message) -> Result<Outputs, Error> {
    let key = message.state_key();
    let won: Won = message.json()?;
    let mut auctions = AUCTIONS.get(key)?.unwrap_or_default();
    auctions.push((message.event_time, won.auction, won.price));
    auctions.sort_unstable();
    if auctions.len() > LAST {
        auctions.remove(0);
    }
    AUCTIONS.set(key, &auctions)?;
    let sum: u64 = auctions.iter().map(|(_, _, price)| price).sum();
    let average = Average {
        seller: won.seller,
        average: sum as f64 / auctions.len() as f64,
        auction: won.auction,
    };
    Ok(Output::json(&average)?.into())
}
