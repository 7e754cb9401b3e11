//! The generator: event after event, each from the seed and its number alone.
//!
//! It follows the benchmark: of 50 events in a row one is a person, three are auctions and 46 are bids; half of the
//! bids are on one auction, and three quarters of the bidders and sellers are one person. The times of 100 events in a
//! row are shuffled, so an event lies up to 990 ms behind one that comes before it.

use crate::random::Random;
use crate::{Auction, Bid, Event, Person, Time};

/// Of 50 events in a row the first is a person, the next are auctions, the others bids.
const TURN: u64 = 50;
const AUCTIONS: u64 = 3;
/// The first person and the first auction.
const FIRST_ID: u64 = 1000;
/// Half a minute before midnight in UTC, so that 3000 events are in one day and the others in the next.
const START: u64 = 1_436_918_370_000;
/// Milliseconds from an event to the next.
const INTERVAL: u64 = 10;
/// Events whose times are shuffled among them.
pub const GROUP: u64 = 100;
/// The hot auction and the hot person are the last ones whose numbers are hundreds.
const HOT: u64 = 100;
/// Auctions that still get bids, and persons that still bid and sell.
const ACTIVE_AUCTIONS: u64 = 100;
const ACTIVE_PERSONS: u64 = 1000;
/// Persons and auctions that are still to come and are named already.
const TO_COME: u64 = 10;
/// Milliseconds of 100 auctions.
const AUCTIONS_LAST: u64 = 100 * TURN * INTERVAL / AUCTIONS;
/// Bytes: 8 for each number or time and the letters of each text, but for a bid's channel and URL.
const PERSON_SIZE: u64 = 200;
const AUCTION_SIZE: u64 = 500;
const BID_SIZE: u64 = 100;

/// The event of this number, from 0.
#[must_use]
pub fn event(seed: u64, number: u64) -> Event {
    let random = Random::of(seed, number);
    match number % TURN {
        0 => Event::Person(person(number, random)),
        1..=AUCTIONS => Event::Auction(auction(number, random)),
        _ => Event::Bid(bid(number, random)),
    }
}

/// The first events of a seed.
pub fn events(seed: u64, count: u64) -> impl Iterator<Item = Event> {
    (0..count).map(move |number| event(seed, number))
}

fn time(number: u64) -> Time {
    let shuffled = number / GROUP * GROUP + number * 953 % GROUP;
    Time(START + shuffled * INTERVAL)
}

/// How many persons there are up to this event.
fn persons(number: u64) -> u64 {
    number / TURN + 1
}

/// How many auctions there are up to this event.
fn auctions(number: u64) -> u64 {
    number / TURN * AUCTIONS + (number % TURN).min(AUCTIONS)
}

/// The number of the hot one, if there are so many.
fn hot(count: u64) -> u64 {
    count.saturating_sub(1) / HOT * HOT
}

/// One of the last, or of those that are to come.
fn cold(random: &mut Random, count: u64, active: u64) -> u64 {
    let first = count.saturating_sub(active);
    first + random.below(count - first + TO_COME)
}

/// Three quarters are the hot one.
fn some_person(random: &mut Random, number: u64) -> u64 {
    let count = persons(number);
    let number = match random.below(4) {
        0 => cold(random, count, ACTIVE_PERSONS),
        _ => hot(count),
    };
    FIRST_ID + number
}

/// From 1.00 to 1,000,000.00, in cents.
fn price(random: &mut Random) -> u64 {
    (10_f64.powf(random.unit() * 6.0) * 100.0).round() as u64
}

fn person(number: u64, mut random: Random) -> Person {
    let random = &mut random;
    let first = random.pick([
        "peter", "paul", "luke", "john", "saul", "vicky", "kate", "julie", "sarah", "deiter",
        "walter",
    ]);
    let last = random.pick([
        "shultz", "abrams", "spencer", "white", "bartels", "walton", "smith", "jones", "noris",
    ]);
    let mut digits = || format!("{:04}", random.below(10_000));
    let credit_card = [digits(), digits(), digits(), digits()].join(" ");
    let (user, host) = (3 + random.below(5), 3 + random.below(3));
    let mut person = Person {
        id: FIRST_ID + persons(number) - 1,
        name: format!("{first} {last}"),
        email_address: format!("{}@{}.com", random.text(user, '_'), random.text(host, '_')),
        credit_card,
        city: random
            .pick([
                "phoenix",
                "los angeles",
                "san francisco",
                "boise",
                "portland",
                "bend",
                "redmond",
                "seattle",
                "kent",
                "cheyenne",
            ])
            .to_owned(),
        state: random.pick(["az", "ca", "id", "or", "wa", "wy"]).to_owned(),
        date_time: time(number),
        extra: String::new(),
    };
    let texts = [
        &person.name,
        &person.email_address,
        &person.credit_card,
        &person.city,
        &person.state,
    ];
    let letters: usize = texts.map(String::len).iter().sum();
    person.extra = random.filling(16 + letters as u64, PERSON_SIZE);
    person
}

fn auction(number: u64, mut random: Random) -> Auction {
    let random = &mut random;
    let (name, description) = (3 + random.below(17), 3 + random.below(97));
    let (initial_bid, date_time) = (price(random), time(number));
    let lasts = 1 + random.below(2 * AUCTIONS_LAST);
    Auction {
        id: FIRST_ID + auctions(number) - 1,
        item_name: random.text(name, ' '),
        description: random.text(description, ' '),
        initial_bid,
        reserve: initial_bid + price(random),
        date_time,
        expires: Time(date_time.0 + lasts),
        seller: some_person(random, number),
        category: 10 + random.below(5),
        extra: random.filling(56 + name + description, AUCTION_SIZE),
    }
}

fn bid(number: u64, mut random: Random) -> Bid {
    let random = &mut random;
    let count = auctions(number);
    let auction = match random.below(2) {
        0 => cold(random, count, ACTIVE_AUCTIONS),
        _ => hot(count),
    };
    let (channel, url) = match random.below(2) {
        0 => {
            let channel = random.below(10_000);
            // Each channel has a number that never changes, and one in ten does not tell it.
            let mut of_channel = Random::of(channel, 0);
            let id = match of_channel.below(10) {
                0 => String::new(),
                _ => format!("&channel_id={}", of_channel.below(1 << 31)),
            };
            let url = url(
                random.text(4, '_'),
                random.text(4, '_'),
                random.text(3, '_'),
            );
            (format!("channel-{channel}"), url + &id)
        }
        _ => {
            let (channel, [a, b, c]) = random.pick([
                ("Apple", ["rxa", "bnn", "fl_"]),
                ("Google", ["vzbh", "gkz_", "yha"]),
                ("Facebook", ["_mks", "ppeq", "sic"]),
                ("Baidu", ["pd_", "a_y", "p_f_"]),
            ]);
            (channel.to_owned(), url(a.into(), b.into(), c.into()))
        }
    };
    Bid {
        auction: FIRST_ID + auction,
        bidder: some_person(random, number),
        price: price(random),
        channel,
        url,
        date_time: time(number),
        extra: random.filling(32, BID_SIZE),
    }
}

fn url(a: String, b: String, c: String) -> String {
    format!("https://www.nexmark.com/{a}/{b}/{c}/item.htm?query=1")
}

#[cfg(test)]
mod tests;
