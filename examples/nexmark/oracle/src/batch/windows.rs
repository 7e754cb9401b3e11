//! The queries over windows of time: which windows there are is counted from the times of all events.

use super::{auctions, bids, grouped, persons, row};
use crate::events::{Bid, Event};
use crate::rows::Row;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds of a window, of a session's gap, and from a window to the next that overlaps it.
const SIZE: u64 = 10_000;
const EVERY: u64 = 2_000;

/// When the window begins that has this time and overlaps none.
fn start(time: Time) -> Time {
    Time(time.0 / SIZE * SIZE)
}

fn end(start: Time) -> Time {
    Time(start.0 + SIZE)
}

/// In windows of 10 s every 2 s the auctions with most bids.
pub(crate) fn q5(events: &[Event]) -> Vec<Row> {
    let mut times: Vec<(Time, u64)> = bids(events)
        .map(|bid| (bid.date_time, bid.auction))
        .collect();
    times.sort_unstable();
    let last_start = |(time, _): &(Time, u64)| time.0 / EVERY * EVERY;
    let (Some(first), Some(last)) = (times.first().map(last_start), times.last().map(last_start))
    else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    // The first window that has the first bid begins almost its size before it.
    let starts = (first + EVERY - SIZE..=last).step_by(EVERY as usize);
    for start in starts.map(Time) {
        let from = times.partition_point(|(time, _)| *time < start);
        let to = times.partition_point(|(time, _)| *time < end(start));
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, auction) in times.iter().take(to).skip(from) {
            *counts.entry(*auction).or_default() += 1;
        }
        let most = counts.values().max().copied();
        let hot = counts.into_iter().filter(|(_, count)| Some(*count) == most);
        rows.extend(hot.map(|(auction, count)| row![auction, count, start]));
    }
    rows
}

/// The highest bids of each 10 s.
pub(crate) fn q7(events: &[Event]) -> Vec<Row> {
    let mut rows = Vec::new();
    for of_window in grouped(events, |bid| start(bid.date_time)) {
        let highest = of_window.iter().map(|bid| bid.price).max();
        let highest = of_window.iter().filter(|bid| Some(bid.price) == highest);
        rows.extend(highest.map(|bid| row![bid.auction, bid.price, bid.bidder, bid.date_time]));
    }
    rows
}

/// The persons who opened an auction in the same 10 s in which they registered.
pub(crate) fn q8(events: &[Event]) -> Vec<Row> {
    let persons = persons(events);
    let opened = auctions(events).filter_map(|auction| {
        let seller = persons.get(&auction.seller)?;
        let [registered, opened] = [seller.date_time, auction.date_time].map(start);
        (registered == opened).then_some((seller.id, opened))
    });
    let opened: BTreeSet<(u64, Time)> = opened.collect();
    let row = |(id, start): (u64, Time)| Some(row![id, persons.get(&id)?.name, start]);
    opened.into_iter().filter_map(row).collect()
}

/// The bids of each bidder in sessions.
pub(crate) fn q11(events: &[Event]) -> Vec<Row> {
    let mut rows = Vec::new();
    for mut of_bidder in grouped(events, |bid| bid.bidder) {
        of_bidder.sort_by_key(|bid| bid.date_time);
        let is_same = |one: &&Bid, next: &&Bid| next.date_time < end(one.date_time);
        for session in of_bidder.chunk_by(is_same) {
            if let (Some(first), Some(last)) = (session.first(), session.last()) {
                let (from, to) = (first.date_time, end(last.date_time));
                rows.push(row![first.bidder, session.len(), from, to]);
            }
        }
    }
    rows
}

/// The bids of each bidder in windows of 10 s. The times of these events are those at which they were stored.
pub(crate) fn q12(events: &[Event]) -> Vec<Row> {
    let groups = grouped(events, |bid| (bid.bidder, start(bid.date_time)));
    let row = |group: Vec<&Bid>| {
        let first = group.first()?;
        let from = start(first.date_time);
        Some(row![first.bidder, group.len(), from, end(from)])
    };
    groups.into_iter().filter_map(row).collect()
}
