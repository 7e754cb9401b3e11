//! The queries by hand: those that look at one event, and those that join or count within windows.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use nexmark_oracle::Time;
use serde::Serialize;
use serde_json::json;

use super::events::{Auction, Bid, Columns, Either, Person, read};
use super::lane::{Query, Results};
use super::table::Table;

/// Milliseconds of a window, of a session's gap, and from a window to the next that overlaps it.
const SIZE: u64 = 10_000;
const EVERY: u64 = 2_000;

/// A query that keeps nothing: this is all that it does.
pub(super) struct Each(pub(super) fn(&[u8], &mut Results) -> Result<()>);

impl Query for Each {
    fn read(&mut self, _: &[u8], payload: &[u8], results: &mut Results) -> Result<u64> {
        (self.0)(payload, results)?;
        Ok(0)
    }
}

pub(super) fn q0(payload: &[u8], results: &mut Results) -> Result<()> {
    let bid: Columns<'_> = read(payload)?;
    results.add(bid.auction, &bid)
}

pub(super) fn q1(payload: &[u8], results: &mut Results) -> Result<()> {
    #[derive(Serialize)]
    struct Euros<'a> {
        auction: u64,
        bidder: u64,
        price: f64,
        date_time: &'a str,
    }
    let bid: Columns<'_> = read(payload)?;
    let euros = Euros {
        auction: bid.auction,
        bidder: bid.bidder,
        price: (bid.price * 908) as f64 / 1000.0,
        date_time: bid.date_time,
    };
    results.add(bid.auction, &euros)
}

pub(super) fn q2(payload: &[u8], results: &mut Results) -> Result<()> {
    #[derive(Serialize)]
    struct Price {
        auction: u64,
        price: u64,
    }
    let Columns { auction, price, .. } = read(payload)?;
    match auction {
        1007 | 1020 | 2001 | 2019 | 2087 => results.add(auction, &Price { auction, price }),
        _ => Ok(()),
    }
}

/// What is known of a person: nothing yet, so that these auctions wait; or that it sells here or elsewhere.
#[derive(Serialize)]
enum Seller {
    Awaited(Vec<u64>),
    Here(Person),
    Elsewhere,
}

impl Default for Seller {
    fn default() -> Self {
        Self::Awaited(Vec::new())
    }
}

pub(super) struct Q3(Table<u64, Seller>);

impl Q3 {
    pub(super) fn new() -> Self {
        Self(Table::new())
    }
}

#[derive(Serialize)]
struct Sells<'a> {
    #[serde(flatten)]
    person: &'a Person,
    auction: u64,
}

impl Query for Q3 {
    fn read(&mut self, subject: &[u8], payload: &[u8], results: &mut Results) -> Result<u64> {
        match Either::read(subject, payload)? {
            Either::Person(person) => {
                let id = person.id;
                let is_here = matches!(&*person.state, "or" | "id" | "ca");
                let seller = self.0.edit(id);
                if let (Seller::Awaited(auctions), true) = (&*seller, is_here) {
                    for &auction in auctions {
                        let person = &person;
                        results.add(id, &Sells { person, auction })?;
                    }
                }
                *seller = match is_here {
                    true => Seller::Here(person),
                    false => Seller::Elsewhere,
                };
            }
            Either::Auction(auction) if auction.category == 10 => {
                let (id, auction) = (auction.seller, auction.id);
                match self.0.get(id) {
                    Some(Seller::Here(person)) => results.add(id, &Sells { person, auction })?,
                    Some(Seller::Elsewhere) => {}
                    Some(Seller::Awaited(_)) | None => {
                        if let Seller::Awaited(auctions) = self.0.edit(id) {
                            auctions.push(auction);
                        }
                    }
                }
            }
            Either::Auction(_) => {}
        }
        Ok(0)
    }

    fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.0.log(to)
    }
}

/// How many bids there are in each part of a window, by its begin and auction; and the end of the last window that
/// has ended.
pub(super) struct Q5(Table<(u64, u64), u64>, u64);

impl Q5 {
    pub(super) fn new() -> Self {
        Self(Table::new(), 0)
    }
}

impl Query for Q5 {
    fn read(&mut self, _: &[u8], payload: &[u8], _: &mut Results) -> Result<u64> {
        let bid: Bid = read(payload)?;
        let Time(time) = bid.date_time;
        *self.0.edit((time / EVERY * EVERY, bid.auction)) += 1;
        Ok(time)
    }

    fn fire(&mut self, watermark: u64, results: &mut Results) -> Result<bool> {
        let Some((first, _)) = self.0.first() else {
            return Ok(false);
        };
        let end = first.max(self.1) + EVERY;
        if end > watermark {
            return Ok(false);
        }
        self.1 = end;
        let start = end - SIZE;
        let mut counts: HashMap<u64, u64> = HashMap::new();
        for ((_, auction), bids) in self.0.range((start, 0)..(end, 0)) {
            *counts.entry(*auction).or_default() += bids;
        }
        let most = counts.values().max().copied();
        for (auction, bids) in counts.into_iter().filter(|(_, bids)| Some(*bids) == most) {
            let hot = json!({ "auction": auction, "bids": bids, "start": Time(start) });
            results.add("hot", &hot)?;
        }
        // The next window begins behind them.
        let past: Vec<_> = self
            .0
            .range(..(start + EVERY, 0))
            .map(|(key, _)| *key)
            .collect();
        for key in past {
            self.0.remove(key);
        }
        Ok(true)
    }

    fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.0.log(to)
    }
}

/// The highest bids of each window, by its begin.
pub(super) struct Q7(Table<u64, Vec<Bid>>);

impl Q7 {
    pub(super) fn new() -> Self {
        Self(Table::new())
    }
}

impl Query for Q7 {
    fn read(&mut self, _: &[u8], payload: &[u8], _: &mut Results) -> Result<u64> {
        let bid: Bid = read(payload)?;
        let Time(time) = bid.date_time;
        let start = time / SIZE * SIZE;
        let highest = self.0.get(start).and_then(|bids| bids.first());
        let highest = highest.map_or(0, |bid| bid.price);
        if bid.price >= highest {
            let bids = self.0.edit(start);
            if bid.price > highest {
                bids.clear();
            }
            bids.push(bid);
        }
        Ok(time)
    }

    fn fire(&mut self, watermark: u64, results: &mut Results) -> Result<bool> {
        let Some(start) = self.0.first().filter(|start| start + SIZE <= watermark) else {
            return Ok(false);
        };
        for bid in self.0.remove(start).unwrap_or_default() {
            results.add("highest", &bid)?;
        }
        Ok(true)
    }

    fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.0.log(to)
    }
}

/// The name of each person who registered in a window, and whether it opened an auction in it.
pub(super) struct Q8(Table<(u64, u64), (Option<String>, bool)>);

impl Q8 {
    pub(super) fn new() -> Self {
        Self(Table::new())
    }
}

impl Query for Q8 {
    fn read(&mut self, subject: &[u8], payload: &[u8], _: &mut Results) -> Result<u64> {
        let start = |Time(time): Time| time / SIZE * SIZE;
        match Either::read(subject, payload)? {
            Either::Person(person) => {
                let key = (start(person.date_time), person.id);
                self.0.edit(key).0 = Some(person.name);
                Ok(person.date_time.0)
            }
            Either::Auction(Auction {
                seller, date_time, ..
            }) => {
                let key = (start(date_time), seller);
                if !self.0.get(key).is_some_and(|(_, opened)| *opened) {
                    self.0.edit(key).1 = true;
                }
                Ok(date_time.0)
            }
        }
    }

    fn fire(&mut self, watermark: u64, results: &mut Results) -> Result<bool> {
        let ended = |(start, _): &(u64, u64)| start + SIZE <= watermark;
        let Some((start, id)) = self.0.first().filter(ended) else {
            return Ok(false);
        };
        if let Some((Some(name), true)) = self.0.remove((start, id)) {
            results.add(id, &json!({ "id": id, "name": name, "start": Time(start) }))?;
        }
        Ok(true)
    }

    fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.0.log(to)
    }
}

/// The open sessions of each bidder: begin, end and bids; and when they end.
pub(super) struct Q11(Table<u64, Vec<(u64, u64, u64)>>, BTreeSet<(u64, u64)>);

impl Q11 {
    pub(super) fn new() -> Self {
        Self(Table::new(), BTreeSet::new())
    }
}

impl Query for Q11 {
    fn read(&mut self, _: &[u8], payload: &[u8], _: &mut Results) -> Result<u64> {
        let Bid {
            bidder, date_time, ..
        } = read(payload)?;
        let Time(time) = date_time;
        let (mut begin, mut end, mut bids) = (time, time + SIZE, 1);
        let sessions = self.0.edit(bidder);
        // A bid that comes out of order can join two.
        sessions.retain(|session| {
            let is_apart = session.1 <= time || session.0 >= time + SIZE;
            if !is_apart {
                self.1.remove(&(session.1, bidder));
                begin = begin.min(session.0);
                end = end.max(session.1);
                bids += session.2;
            }
            is_apart
        });
        sessions.push((begin, end, bids));
        self.1.insert((end, bidder));
        Ok(time)
    }

    fn fire(&mut self, watermark: u64, results: &mut Results) -> Result<bool> {
        let first = self.1.first().copied();
        let Some((end, bidder)) = first.filter(|(end, _)| *end <= watermark) else {
            return Ok(false);
        };
        self.1.pop_first();
        let sessions = self.0.edit(bidder);
        for (begin, _, bids) in sessions.extract_if(.., |session| session.1 == end) {
            let (start, end) = (Time(begin), Time(end));
            let session = json!({ "bidder": bidder, "bids": bids, "start": start, "end": end });
            results.add(bidder, &session)?;
        }
        if sessions.is_empty() {
            self.0.remove(bidder);
        }
        Ok(true)
    }

    fn log(&mut self, to: &mut Vec<u8>) -> Result<()> {
        self.0.log(to)
    }
}
