//! The queries that are chains, by hand: the winning bid of each auction, and what is made of it in the same step.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use nexmark_oracle::Time;
use serde::Serialize;
use serde_json::json;

use super::events::{Auction, Bid, read};
use super::lane::{Query, Results};
use super::table::Table;

/// Auctions of a seller that count.
const LAST: usize = 10;

/// What is known of an auction: bids that wait for it, or itself with its highest bid; and until when it is kept.
#[derive(Default, Serialize)]
struct Book {
    auction: Option<Auction>,
    bids: Vec<Bid>,
    end: u64,
}

impl Book {
    /// Leaves the best of the bids that count.
    fn settle(&mut self, auction: Auction) {
        let open = auction.date_time..=auction.expires;
        let bids = self.bids.iter().filter(|bid| open.contains(&bid.date_time));
        let rank = |bid: &&Bid| (bid.price, Reverse((bid.date_time, bid.bidder)));
        let best = bids.max_by_key(rank).copied();
        self.bids.clear();
        self.bids.extend(best);
    }
}

/// What is made of the winning bids.
pub(super) enum Then {
    /// Of each category how many there are, and their sum.
    Q4(Table<u64, (u64, u64)>),
    /// Of each seller end, auction and price of the last, in this order.
    Q6(Table<u64, Vec<(Time, u64, u64)>>),
}

pub(super) struct WinningBids {
    books: Table<u64, Book>,
    ends: BTreeSet<(u64, u64)>,
    then: Then,
}

impl WinningBids {
    pub(super) fn q4() -> Self {
        Self::new(Then::Q4(Table::new()))
    }

    pub(super) fn q6() -> Self {
        Self::new(Then::Q6(Table::new()))
    }

    fn new(then: Then) -> Self {
        Self {
            books: Table::new(),
            ends: BTreeSet::new(),
            then,
        }
    }

    fn won(&mut self, auction: &Auction, price: u64, results: &mut Results) -> Result<()> {
        match &mut self.then {
            Then::Q4(totals) => {
                let category = auction.category;
                let (auctions, sum) = totals.edit(category);
                *auctions += 1;
                *sum += price;
                let average = *sum as f64 / *auctions as f64;
                let average =
                    json!({ "category": category, "average": average, "auctions": auctions });
                results.add(category, &average)
            }
            Then::Q6(sellers) => {
                let (seller, id) = (auction.seller, auction.id);
                let last = sellers.edit(seller);
                last.push((auction.expires, id, price));
                last.sort_unstable();
                if last.len() > LAST {
                    last.remove(0);
                }
                let sum: u64 = last.iter().map(|(_, _, price)| price).sum();
                let average = sum as f64 / last.len() as f64;
                let average = json!({ "seller": seller, "average": average, "auction": id });
                results.add(seller, &average)
            }
        }
    }
}

impl Query for WinningBids {
    fn read(&mut self, subject: &[u8], payload: &[u8], _: &mut Results) -> Result<u64> {
        let (id, Time(time), auction, bid) = match subject.ends_with(b".bid") {
            true => {
                let bid: Bid = read(payload)?;
                (bid.auction, bid.date_time, None, Some(bid))
            }
            false => {
                let auction: Auction = read(payload)?;
                (auction.id, auction.date_time, Some(auction), None)
            }
        };
        let book = self.books.edit(id);
        let before = book.end;
        book.bids.extend(bid);
        book.auction = book.auction.or(auction);
        book.end = match book.auction {
            Some(auction) => {
                book.settle(auction);
                auction.expires.0 + 1
            }
            // A later auction begins after its bids.
            None => before.max(time + 1),
        };
        if book.end != before {
            self.ends.remove(&(before, id));
            self.ends.insert((book.end, id));
        }
        Ok(time)
    }

    fn fire(&mut self, watermark: u64, results: &mut Results) -> Result<bool> {
        let first = self.ends.first().copied();
        let Some((_, id)) = first.filter(|(end, _)| *end <= watermark) else {
            return Ok(false);
        };
        self.ends.pop_first();
        if let Some(Book {
            auction: Some(auction),
            bids,
            ..
        }) = self.books.remove(id)
            && let Some(bid) = bids.first()
        {
            self.won(&auction, bid.price, results)?;
        }
        Ok(true)
    }

    fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.books.log(to)?;
        match &mut self.then {
            Then::Q4(totals) => totals.log(to),
            Then::Q6(sellers) => sellers.log(to),
        }
    }
}
