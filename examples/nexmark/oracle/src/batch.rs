//! The oracle: the rows of each query, over all events at once, by sorting and grouping arrays.

use crate::events::{Auction, Bid, Event, Person};
use crate::rows::{Row, decimals};
use std::cmp::Reverse;
use std::collections::BTreeMap;

mod windows;

pub(crate) use windows::{q5, q7, q8, q11, q12};

macro_rules! row {
    ($($column:expr),* $(,)?) => { vec![$($column.to_string()),*] };
}
use row;

fn bids(events: &[Event]) -> impl Iterator<Item = &Bid> {
    events.iter().filter_map(|event| match event {
        Event::Bid(bid) => Some(bid),
        _ => None,
    })
}

fn auctions(events: &[Event]) -> impl Iterator<Item = &Auction> {
    events.iter().filter_map(|event| match event {
        Event::Auction(auction) => Some(auction),
        _ => None,
    })
}

fn persons(events: &[Event]) -> BTreeMap<u64, &Person> {
    let persons = events.iter().filter_map(|event| match event {
        Event::Person(person) => Some((person.id, person)),
        _ => None,
    });
    persons.collect()
}

fn average(prices: &[u64]) -> String {
    decimals(prices.iter().sum::<u64>() as f64 / prices.len() as f64, 2)
}

/// All bids.
pub(crate) fn q0(events: &[Event]) -> Vec<Row> {
    let row = |bid: &Bid| row![bid.auction, bid.bidder, bid.price, bid.date_time];
    bids(events).map(row).collect()
}

/// All bids in another currency, in whole thousandths.
pub(crate) fn q1(events: &[Event]) -> Vec<Row> {
    let row = |bid: &Bid| {
        let thousandths = bid.price * 908;
        let price = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        row![bid.auction, bid.bidder, price, bid.date_time]
    };
    bids(events).map(row).collect()
}

/// The bids on five auctions.
pub(crate) fn q2(events: &[Event]) -> Vec<Row> {
    let on_five = |bid: &&Bid| matches!(bid.auction, 1007 | 1020 | 2001 | 2019 | 2087);
    let row = |bid: &Bid| row![bid.auction, bid.price];
    bids(events).filter(on_five).map(row).collect()
}

/// The auctions of category 10 with their sellers in three states.
pub(crate) fn q3(events: &[Event]) -> Vec<Row> {
    let persons = persons(events);
    let row = |auction: &Auction| {
        let seller = persons.get(&auction.seller)?;
        let found = auction.category == 10 && matches!(&*seller.state, "or" | "id" | "ca");
        found.then(|| row![seller.name, seller.city, seller.state, auction.id])
    };
    auctions(events).filter_map(row).collect()
}

/// Each auction with its highest bid between its begin and its end. Of equal ones the first, and of these that of
/// the first person.
fn won(events: &[Event]) -> Vec<(&Auction, &Bid)> {
    let mut of_auction: BTreeMap<u64, Vec<&Bid>> = BTreeMap::new();
    for bid in bids(events) {
        of_auction.entry(bid.auction).or_default().push(bid);
    }
    let winner = |auction: &'_ Auction| {
        let bids = of_auction.get(&auction.id)?.iter().copied();
        let open = auction.date_time..=auction.expires;
        let valid = bids.filter(|bid| open.contains(&bid.date_time));
        valid.max_by_key(|bid| (bid.price, Reverse(bid.date_time), Reverse(bid.bidder)))
    };
    auctions(events)
        .filter_map(|auction| Some((auction, winner(auction)?)))
        .collect()
}

/// What `winning-bids.yaml` must find.
pub(crate) fn winning_bids(events: &[Event]) -> Vec<Row> {
    let row = |(auction, bid): (&Auction, &Bid)| {
        let (seller, expires) = (auction.seller, auction.expires);
        row![
            auction.id,
            auction.category,
            seller,
            bid.bidder,
            bid.price,
            bid.date_time,
            expires
        ]
    };
    won(events).into_iter().map(row).collect()
}

/// The average of the winning bids of each category.
pub(crate) fn q4(events: &[Event]) -> Vec<Row> {
    let mut of_category: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (auction, bid) in won(events) {
        of_category
            .entry(auction.category)
            .or_default()
            .push(bid.price);
    }
    let row = |(category, prices): (u64, Vec<u64>)| row![category, average(&prices)];
    of_category.into_iter().map(row).collect()
}

/// The average of the winning bids of the ten auctions of each seller that ended last.
pub(crate) fn q6(events: &[Event]) -> Vec<Row> {
    let mut won = won(events);
    won.sort_by_key(|(auction, _)| (auction.seller, Reverse((auction.expires, auction.id))));
    let of_sellers = won.chunk_by(|(one, _), (next, _)| one.seller == next.seller);
    let row = |of_seller: &[(&Auction, &Bid)]| {
        let prices: Vec<u64> = of_seller
            .iter()
            .take(10)
            .map(|(_, bid)| bid.price)
            .collect();
        let (auction, _) = of_seller.first()?;
        Some(row![auction.seller, average(&prices)])
    };
    of_sellers.filter_map(row).collect()
}

/// The bids on each auction on each day, in numbers.
pub(crate) fn q17(events: &[Event]) -> Vec<Row> {
    let mut bids: Vec<&Bid> = bids(events).collect();
    bids.sort_by_cached_key(|bid| (bid.auction, bid.date_time.day(), bid.price));
    let of_days = bids.chunk_by(|one, next| {
        (one.auction, one.date_time.day()) == (next.auction, next.date_time.day())
    });
    let row = |of_day: &[&Bid]| {
        let (first, last) = (of_day.first()?, of_day.last()?);
        let prices: Vec<u64> = of_day.iter().map(|bid| bid.price).collect();
        let low = prices.partition_point(|price| *price < 10_000);
        let middle = prices.partition_point(|price| *price < 1_000_000) - low;
        Some(row![
            first.auction,
            first.date_time.day(),
            prices.len(),
            low,
            middle,
            prices.len() - low - middle,
            first.price,
            last.price,
            average(&prices),
            prices.iter().sum::<u64>()
        ])
    };
    of_days.filter_map(row).collect()
}

/// All columns of a bid.
fn whole(bid: &Bid) -> Row {
    let (price, channel, url) = (bid.price, &bid.channel, &bid.url);
    row![
        bid.auction,
        bid.bidder,
        price,
        channel,
        url,
        bid.date_time,
        bid.extra
    ]
}

/// What the bids of an auction, or of a bidder on it, are looked at by: those of one group are in the order of the
/// events.
fn grouped<K: Ord>(events: &[Event], key: impl Fn(&Bid) -> K) -> Vec<Vec<&Bid>> {
    let mut groups: BTreeMap<K, Vec<&Bid>> = BTreeMap::new();
    for bid in bids(events) {
        groups.entry(key(bid)).or_default().push(bid);
    }
    groups.into_values().collect()
}

/// The later bid comes first; of the same time, the one with the lesser `extra`.
fn by_time(bid: &Bid) -> (Reverse<crate::Time>, &str) {
    (Reverse(bid.date_time), &bid.extra)
}

/// The latest bid of each bidder on each auction.
pub(crate) fn q18(events: &[Event]) -> Vec<Row> {
    let groups = grouped(events, |bid| (bid.auction, bid.bidder));
    let latest = |group: Vec<&Bid>| group.into_iter().min_by_key(|bid| by_time(bid)).map(whole);
    groups.into_iter().filter_map(latest).collect()
}

/// How often a bid was the latest of those before it.
pub(crate) fn q18_results(events: &[Event]) -> usize {
    let groups = grouped(events, |bid| (bid.auction, bid.bidder));
    let results = groups.iter().map(|group| ranks(group, by_time));
    results.flatten().filter(|(_, rank)| *rank == 1).count()
}

/// The higher bid comes first; of the same price the earlier one, and then the one with the lesser `extra`.
fn by_price(bid: &Bid) -> (Reverse<u64>, crate::Time, &str) {
    (Reverse(bid.price), bid.date_time, &bid.extra)
}

/// The ten highest bids of each auction, with their rank.
pub(crate) fn q19(events: &[Event]) -> Vec<Row> {
    let mut rows = Vec::new();
    for mut group in grouped(events, |bid| bid.auction) {
        group.sort_by_key(|bid| by_price(bid));
        for (rank, bid) in (1..=10).zip(group) {
            rows.push([whole(bid), row![rank]].concat());
        }
    }
    rows
}

/// A bid among the ten highest of those before it is a result, and so is each of the ten whose rank it changes.
pub(crate) fn q19_results(events: &[Event]) -> usize {
    let groups = grouped(events, |bid| bid.auction);
    let results = groups.iter().map(|group| ranks(group, by_price));
    let changed = results.flatten().map(|(before, rank)| {
        let ranked = (before + 1).min(10);
        (ranked + 1).saturating_sub(rank)
    });
    changed.sum()
}

/// For each bid of a group how many there are before it, and which rank it has among these, from 1.
fn ranks<'b, K: Ord>(group: &[&'b Bid], order: impl Fn(&'b Bid) -> K) -> Vec<(usize, usize)> {
    let mut sorted: Vec<K> = Vec::new();
    let mut ranks = Vec::new();
    for bid in group {
        let (before, key) = (sorted.len(), order(bid));
        let place = sorted.partition_point(|one| *one < key);
        sorted.insert(place, key);
        ranks.push((before, place + 1));
    }
    ranks
}

/// Each bid with a number for its channel, where there is one.
pub(crate) fn q21(events: &[Event]) -> Vec<Row> {
    let row = |bid: &Bid| {
        let id = match &*bid.channel.to_lowercase() {
            "apple" => "0",
            "google" => "1",
            "facebook" => "2",
            "baidu" => "3",
            _ => {
                let (_, parameters) = bid.url.split_once('?')?;
                let mut parameters = parameters.split('&');
                parameters.find_map(|one| one.strip_prefix("channel_id="))?
            }
        };
        Some(row![bid.auction, bid.bidder, bid.price, bid.channel, id])
    };
    bids(events).filter_map(row).collect()
}

/// Each bid with three parts of its URL.
pub(crate) fn q22(events: &[Event]) -> Vec<Row> {
    let row = |bid: &Bid| {
        let mut parts = bid.url.split('/').skip(3);
        let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
        Some(row![
            bid.auction,
            bid.bidder,
            bid.price,
            bid.channel,
            a,
            b,
            c
        ])
    };
    bids(events).filter_map(row).collect()
}

#[cfg(test)]
mod tests;
