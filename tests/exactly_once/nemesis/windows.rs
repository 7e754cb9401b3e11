//! The same for what event time decides: the queries of NEXMark with windows, timers and joins, and a left join, come to the rows of
//! the oracle, each once.
//!
//! Event time follows the events alone here. In the end, events that are far behind all of them let every partition pass
//! the ends of all windows and auctions.

use super::{Load, World};
use crate::examples::nexmark::install_queries;
use crate::harness::{Client, Site, Stored, replaced, wait_for};
use async_nats::jetstream::stream;
use example_streams::Message;
use nexmark_oracle::{Auction, Bid, Event, Person, QUERIES, Query, Time, event, rows};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rounds, unless the environment gives minutes.
const ROUNDS: usize = 3;
/// Events in a round: 10 s of event time.
const EVENTS: u64 = 1000;
/// Events that are published together: what is published again of them comes behind those that were stored, which is
/// less than the bound of the watermarks.
const TOGETHER: usize = 50;
const NAMES: [&str; 7] = ["q3", "winning-bids", "q4", "q5", "q7", "q8", "q11"];
/// How much later than its auction a bid may be in the join, in milliseconds.
const AFTER: u64 = 5_000;
/// More keys than it takes for every partition to have one.
const LAST_KEYS: u64 = 100;

/// The left join of auctions with the bids of their first seconds.
const JOIN: &str = "name: nexmark-join
nats: { url: \"${NATS_URL}\" }
source: { stream: NEXMARK, subjects: [nexmark.auction, nexmark.bid] }
delivery: exactly-once
key: \"{header:Auction}\"
event-time: { payload: /date_time }
watermark: { max-ahead: off, bound: 1s }
operators:
  - name: join
    plugin: join.wasm
    config:
      left: { name: auction, subject: nexmark.auction }
      right: { name: bid, subject: nexmark.bid }
      kind: left
      after: 5s
sink: { subject: \"nexmark.join.{key}\", stream: NEXMARK_JOIN, create: true }
";

fn queries() -> Vec<&'static Query> {
    let named = |query: &&Query| NAMES.contains(&query.name);
    QUERIES.iter().filter(named).collect()
}

fn install(site: &Site) -> Vec<String> {
    site.nats.client().create_stream_with(stream::Config {
        name: "NEXMARK".to_owned(),
        subjects: vec!["nexmark.*".to_owned()],
        duplicate_window: Duration::from_secs(3600),
        num_replicas: 3,
        ..stream::Config::default()
    });
    let mut files = install_queries(&queries(), site.folder.path());
    site.file("nexmark/join.yaml", JOIN);
    files.push("nexmark/join.yaml".to_owned());
    for file in &files {
        let text = std::fs::read_to_string(site.path(file)).unwrap();
        let changes = [
            // What is published again is later than the events are mixed.
            (", bound: 1s", ", bound: 3s"),
            (", idle-timeout: 1s", ""),
            (".wasm\n", ".wasm\n    limits: { deadline: 1m }\n"),
            ("\nkey:", "\npartitions: 4\nkey:"),
        ];
        let changes = changes.into_iter().filter(|(old, _)| text.contains(old));
        let changes: Vec<_> = changes.collect();
        site.file(file, replaced(&text, &changes));
    }
    files
}

/// The events of a seed so far.
struct Events {
    seed: u64,
    events: Vec<Event>,
}

impl Load for Events {
    fn feed(&mut self, client: &Client, _: &mut StdRng) {
        let first = self.events.len() as u64;
        let new = (first..first + EVENTS).map(|number| event(self.seed, number));
        let new: Vec<Event> = new.collect();
        publish(client, "", &new);
        self.events.extend(new);
    }

    /// A window of query 5 ends every 2 s.
    fn is_half_done(&self, client: &Client) -> bool {
        client.count("NEXMARK_Q5") >= self.events.len() as u64 / EVENTS * 5 / 2
    }
}

fn publish(client: &Client, prefix: &str, events: &[Event]) {
    let messages = events.iter().enumerate().map(|(number, event)| {
        let mut message = event.message().unwrap();
        let id = format!("{prefix}{:?} {number}", event.time());
        message.headers.push(("Nats-Msg-Id", id));
        message
    });
    let messages: Vec<Message> = messages.collect();
    for some in messages.chunks(TOGETHER) {
        client.publish_all_once(some);
    }
}

/// Of persons and auctions that there are not, a day behind the last event.
fn ends(events: &[Event]) -> Vec<Event> {
    let last = events.iter().map(Event::time).max().unwrap();
    let date_time = Time(last.0 + 24 * 3600 * 1000);
    let of = |key: u64| {
        let id = 1_000_000_000 + key;
        let person = Person {
            id,
            date_time,
            name: String::new(),
            email_address: String::new(),
            credit_card: String::new(),
            city: String::new(),
            state: String::new(),
            extra: String::new(),
        };
        let bid = Bid {
            auction: id,
            bidder: id,
            price: 1,
            date_time,
            channel: String::new(),
            url: String::new(),
            extra: String::new(),
        };
        [Event::Person(person), Event::Bid(bid)]
    };
    (0..LAST_KEYS).flat_map(of).collect()
}

/// The auction and the bid of each result of the join.
type Pairs = BTreeMap<(u64, Option<String>), usize>;

/// Each auction with its bids of the first seconds, or with none.
fn joined(events: &[Event]) -> Pairs {
    let mut bids: BTreeMap<u64, Vec<&Bid>> = BTreeMap::new();
    for event in events {
        if let Event::Bid(bid) = event {
            bids.entry(bid.auction).or_default().push(bid);
        }
    }
    let mut pairs = Pairs::new();
    for event in events {
        let Event::Auction(Auction { id, date_time, .. }) = event else {
            continue;
        };
        let close = date_time.0..=date_time.0 + AFTER;
        let bids = bids.get(id).into_iter().flatten();
        let bids = bids.filter(|bid| close.contains(&bid.date_time.0));
        let mut bids: Vec<Option<String>> = bids.map(|bid| Some(bid.extra.clone())).collect();
        if bids.is_empty() {
            bids.push(None);
        }
        for bid in bids {
            *pairs.entry((*id, bid)).or_default() += 1;
        }
    }
    pairs
}

fn joined_by(results: &[Stored]) -> Pairs {
    let mut pairs = Pairs::new();
    for result in results.iter().map(Stored::json) {
        let bid = result["bid"]["extra"].as_str().map(str::to_owned);
        let id = result["auction"]["id"].as_u64().unwrap();
        *pairs.entry((id, bid)).or_default() += 1;
    }
    pairs
}

#[test]
fn windows_timers_and_joins_come_to_the_rows_of_the_oracle_whatever_a_seed_does() {
    let mut world = World::begin(install);
    let mut load = Events {
        seed: world.random.random(),
        events: Vec::new(),
    };
    world.play(ROUNDS, &mut load);
    let events = load.events;
    let client = world.site.nats.client();
    publish(client, "end ", &ends(&events));
    for query in queries() {
        let (expected, results) = ((query.rows)(&events), (query.results)(&events));
        wait_for(&format!("the results of {} are right", query.name), || {
            let published = client.messages(&query.stream()).into_iter();
            let published = published.map(|it| (it.subject, it.payload.to_vec()));
            let published: Vec<_> = published.collect();
            let differences = rows::differences(query, &expected, &published);
            match differences.is_empty() && published.len() == results {
                true => Ok(()),
                false => Err(format!("{} of {results}: {differences:?}", published.len())),
            }
        });
    }
    let expected = joined(&events);
    let count = expected.values().sum::<usize>() as u64;
    let pairs = joined_by(&world.site.wait_for_messages("NEXMARK_JOIN", count));
    assert_eq!(pairs, expected);
    println!("{} events", events.len());
    world.end();
}
