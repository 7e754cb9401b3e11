//! The highest bid of each auction between its begin and its end, published once, when the auction has ended: the
//! common part of queries 4 and 6.
//!
//! It has ended when the watermark is past its end: no bid that counts is expected any more. What the key keeps is
//! deleted then, so bids that come after it find no auction. They look like those that come before it, whose auction
//! may still come; that can be until the watermark has passed the bid, because a later auction begins after it.

//!
//! Each bid reads this state, and some write it. So it is small, and it is written only where it changes: times are
//! numbers, and of the bids on an open auction only the best one is there.

use crate::events::{self, Kind, Won, timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, OrFail, Output, Outputs, State, Timer};

/// What is known of the auction with this key.
#[derive(Deserialize, Serialize)]
enum Book {
    /// Only bids yet, of which each may be the best.
    Awaited(Vec<Bid>),
    Open(Auction, Option<Bid>),
}

/// Times are in nanoseconds since 1970.
#[derive(Deserialize, Serialize)]
struct Auction {
    begin: u64,
    end: u64,
    id: u64,
    seller: u64,
    category: u64,
}

#[derive(Deserialize, Serialize)]
struct Bid {
    price: u64,
    at: u64,
    bidder: u64,
}

const BOOK: State<Book> = State::new("book");

/// The one timer of a key: when its state has no use any more.
const END: &str = "end";

pub fn process(message: &Message) -> Result<Outputs, Error> {
    match Kind::of(message)? {
        Kind::Auction => open(message)?,
        Kind::Bid => bid(message)?,
        Kind::Person => {}
    }
    Ok(Outputs::none())
}

fn open(message: &Message) -> Result<(), Error> {
    let key = message.state_key();
    let bids = match BOOK.get(key)? {
        None => Vec::new(),
        Some(Book::Awaited(bids)) => bids,
        Some(Book::Open(..)) => return Ok(()),
    };
    let read: events::Auction = message.json()?;
    let end = read.expires.as_nanosecond();
    let auction = Auction {
        begin: message.event_time,
        end: u64::try_from(end).or_reject("a time is before 1970")?,
        id: read.id,
        seller: read.seller,
        category: read.category,
    };
    set_end(key, auction.end)?;
    let bids = bids.into_iter().filter(|bid| auction.has(bid));
    let best = bids.max_by_key(Bid::rank);
    BOOK.set(key, &Book::Open(auction, best))
}

fn bid(message: &Message) -> Result<(), Error> {
    let key = message.state_key();
    let events::Bid { bidder, price } = message.json()?;
    let at = message.event_time;
    let bid = Bid { price, at, bidder };
    match BOOK.get(key)? {
        Some(Book::Open(auction, best)) => {
            let is_best = best.is_none_or(|best| bid.rank() > best.rank());
            match is_best && auction.has(&bid) {
                true => BOOK.set(key, &Book::Open(auction, Some(bid))),
                false => Ok(()),
            }
        }
        awaited => {
            let mut bids = match awaited {
                Some(Book::Awaited(bids)) => bids,
                _ => Vec::new(),
            };
            bids.push(bid);
            let expected = timers::now(Clock::EventTime);
            let last = bids.iter().map(|bid| bid.at).max();
            set_end(key, last.unwrap_or_default())?;
            bids.retain(|bid| bid.at >= expected);
            BOOK.set(key, &Book::Awaited(bids))
        }
    }
}

/// What is there at this time is on time until the watermark is past it.
fn set_end(key: &str, time: u64) -> Result<(), Error> {
    timers::set(key, END, Clock::EventTime, time.saturating_add(1))
}

impl Auction {
    /// Whether a bid counts.
    fn has(&self, bid: &Bid) -> bool {
        (self.begin..=self.end).contains(&bid.at)
    }
}

impl Bid {
    /// The greatest is the best: of equal prices the first one is better, and of the same time that of the first
    /// person, so that the order in which they come does not matter.
    fn rank(&self) -> impl Ord + use<> {
        (self.price, Reverse((self.at, self.bidder)))
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
        date_time: timestamp(bid.at)?,
        expires: timestamp(auction.end)?,
    };
    Ok(Output::json(&won)?.into())
}
