//! The highest bid of each auction between its begin and its end, published once, when the auction has ended: the
//! common part of queries 4 and 6.
//!
//! It has ended when the watermark is past its end: no bid that counts is expected any more. What the key keeps is
//! deleted then, so bids that come after it find no auction. They look like those that come before it, whose auction
//! may still come; that can be until the watermark has passed the bid, because a later auction begins after it.

use crate::events::{Auction, Bid, Kind, Won};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, OrFail, Output, Outputs, State, Timer};

/// What is known of the auction with this key.
#[derive(Deserialize, Serialize)]
enum Book {
    /// Only bids yet.
    Awaited(Vec<Bid>),
    Open(Auction, Option<Bid>),
}

const BOOK: State<Book> = State::new("book");

/// The one timer of a key: when its state has no use any more.
const END: &str = "end";

pub fn process(message: &Message) -> Result<Outputs, Error> {
    let key = message.state_key();
    let book = BOOK.get(key)?.unwrap_or(Book::Awaited(Vec::new()));
    let book = match (Kind::of(message)?, book) {
        (Kind::Auction, Book::Awaited(bids)) => {
            let auction: Auction = message.json()?;
            set_end(key, auction.expires)?;
            let best = bids
                .into_iter()
                .fold(None, |best, bid| higher(&auction, best, bid));
            Book::Open(auction, best)
        }
        (Kind::Bid, Book::Awaited(mut bids)) => {
            bids.push(message.json()?);
            let last = bids.iter().map(|bid| bid.date_time).max();
            set_end(key, last.unwrap_or_default())?;
            Book::Awaited(bids)
        }
        (Kind::Bid, Book::Open(auction, best)) => {
            let best = higher(&auction, best, message.json()?);
            Book::Open(auction, best)
        }
        (_, book) => book,
    };
    BOOK.set(key, &book)?;
    Ok(Outputs::none())
}

/// What is there at this time is on time until the watermark is past it.
fn set_end(key: &str, time: Timestamp) -> Result<(), Error> {
    let past = u64::try_from(time.as_nanosecond() + 1).or_reject("a time is before 1970")?;
    timers::set(key, END, Clock::EventTime, past)
}

/// The better of the best bid so far and another one, if that counts. Of equal prices the first one is better, and of
/// the same time that of the first person, so that the order in which they come does not matter.
fn higher(auction: &Auction, best: Option<Bid>, bid: Bid) -> Option<Bid> {
    if !(auction.date_time..=auction.expires).contains(&bid.date_time) {
        return best;
    }
    let rank = |bid: &Bid| {
        let earlier = std::cmp::Reverse((bid.date_time, bid.bidder));
        (bid.price, earlier)
    };
    match best {
        Some(best) if rank(&best) >= rank(&bid) => Some(best),
        _ => Some(bid),
    }
}

pub fn on_timer(timer: &Timer) -> Result<Outputs, Error> {
    let book = BOOK.get(&timer.key)?;
    BOOK.delete(&timer.key);
    let Some(Book::Open(auction, Some(bid))) = book else {
        return Ok(Outputs::none());
    };
    let won = Won {
        auction: auction.id,
        category: auction.category,
        seller: auction.seller,
        bidder: bid.bidder,
        price: bid.price,
        date_time: bid.date_time,
        expires: auction.expires,
    };
    Ok(Output::json(&won)?.into())
}
