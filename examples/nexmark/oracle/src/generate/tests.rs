//! What the benchmark says of its events.

use super::*;
use std::collections::BTreeSet;

const COUNT: u64 = 50_000;

fn all() -> Vec<Event> {
    events(7, COUNT).collect()
}

fn bids(events: &[Event]) -> Vec<(u64, &Bid)> {
    let bids = (0..).zip(events).filter_map(|(number, event)| match event {
        Event::Bid(bid) => Some((number, bid)),
        _ => None,
    });
    bids.collect()
}

/// Whether a share is this one, to a hundredth.
fn is_about(found: usize, of: usize, share: f64) -> bool {
    (found as f64 / of as f64 - share).abs() < 0.01
}

#[test]
fn any_part_made_alone_is_that_part_of_the_whole() {
    let all = all();
    for number in (0..COUNT).step_by(997).chain(12_340..12_400) {
        assert_eq!(all.get(number as usize), Some(&event(7, number)));
    }
    assert_ne!(event(7, 40), event(8, 40));
}

#[test]
fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_others_bids() {
    for turn in all().chunks(50) {
        let count = |kind: &str| turn.iter().filter(|event| event.kind() == kind).count();
        assert_eq!(["person", "auction", "bid"].map(count), [1, 3, 46]);
    }
}

#[test]
fn ids_rise_by_one_from_a_thousand_and_none_is_added_twice() {
    let (mut persons, mut auctions) = (1000.., 1000..);
    for event in all() {
        match event {
            Event::Person(person) => assert_eq!(Some(person.id), persons.next()),
            Event::Auction(auction) => assert_eq!(Some(auction.id), auctions.next()),
            Event::Bid(_) => {}
        }
    }
}

/// A generator that adds the first id twice makes bidders and sellers that nobody is.
#[test]
fn bidders_sellers_and_auctions_with_bids_are_those_that_there_are_and_ten_to_come() {
    let all = all();
    let persons = |number: u64| 1000 + number / 50 + 1;
    for (number, event) in (0..).zip(&all) {
        let (person, auction) = match event {
            Event::Person(_) => continue,
            Event::Auction(auction) => (auction.seller, None),
            Event::Bid(bid) => (bid.bidder, Some(bid.auction)),
        };
        let named = 1000..persons(number) + 10;
        assert!(named.contains(&person), "{number}: {person} {named:?}");
        let there = number / 50 * 3 + (number % 50).min(3);
        let active = 1000 + there.saturating_sub(100)..1000 + there + 10;
        if let Some(auction) = auction {
            let is_hot = auction % 100 == 0 && auction < 1000 + there;
            assert!(active.contains(&auction) || is_hot, "{number}: {auction}");
        }
    }
    let ids: BTreeSet<u64> = all
        .iter()
        .filter_map(|event| match event {
            Event::Person(person) => Some(person.id),
            _ => None,
        })
        .collect();
    let bids = bids(&all);
    let known = bids.iter().filter(|(_, bid)| ids.contains(&bid.bidder));
    assert!(known.count() * 100 > bids.len() * 99);
}

#[test]
fn half_of_the_bids_are_on_the_hot_auction_and_three_quarters_of_the_persons_are_hot() {
    let all = all();
    let bids = bids(&all);
    // Of the cold ones, some are hot by chance.
    let on_hot = bids.iter().filter(|(number, bid)| {
        let there = number / 50 * 3 + (number % 50).min(3);
        bid.auction == 1000 + (there - 1) / 100 * 100
    });
    assert!(is_about(on_hot.count(), bids.len(), 0.5 + 0.5 / 110.0));
    let by_hot = bids
        .iter()
        .filter(|(number, bid)| bid.bidder == 1000 + number / 50 / 100 * 100);
    assert!(is_about(by_hot.count(), bids.len(), 0.75));
}

#[test]
fn no_event_is_farther_out_of_order_than_its_group() {
    let all = all();
    let times: Vec<u64> = all.iter().map(|event| event.time().0).collect();
    let mut latest = 0;
    let mut worst = 0;
    for time in &times {
        latest = latest.max(*time);
        worst = worst.max(latest - time);
    }
    assert!((1..GROUP * INTERVAL).contains(&worst), "{worst}");
    let mut sorted = times;
    sorted.sort_unstable();
    let each = (0..COUNT).map(|number| START + number * INTERVAL);
    assert!(sorted.into_iter().eq(each));
}

#[test]
fn sizes_prices_categories_and_the_time_that_an_auction_lasts_are_those_of_the_benchmark() {
    let all = all();
    let (mut person, mut auction, mut bid) = (Vec::new(), Vec::new(), Vec::new());
    let mut prices = Vec::new();
    for event in &all {
        match event {
            Event::Person(one) => {
                let texts = [&one.name, &one.email_address, &one.credit_card];
                let more = [&one.city, &one.state, &one.extra];
                let letters = [texts, more].concat();
                person.push(16 + letters.into_iter().map(String::len).sum::<usize>());
            }
            Event::Auction(one) => {
                let letters = one.item_name.len() + one.description.len() + one.extra.len();
                auction.push(56 + letters);
                assert!((10..=14).contains(&one.category));
                let lasts = one.expires.0 - one.date_time.0;
                assert!((1..=2 * AUCTIONS_LAST).contains(&lasts), "{lasts}");
                assert!(one.reserve > one.initial_bid);
            }
            Event::Bid(one) => {
                bid.push(32 + one.extra.len());
                prices.push(one.price);
            }
        }
    }
    for (sizes, average) in [(person, 200.0), (auction, 500.0), (bid, 100.0)] {
        let mean = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
        assert!((mean / average - 1.0).abs() < 0.02, "{mean} {average}");
    }
    assert!(
        prices
            .iter()
            .all(|price| (100..=100_000_000).contains(price))
    );
    // Uniform in the exponent: half of them are below 1,000.00.
    let low = prices.iter().filter(|price| **price < 100_000);
    assert!(is_about(low.count(), prices.len(), 0.5));
}
