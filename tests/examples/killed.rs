//! Examples that keep state are right to the last cent and alert if their host is killed in the middle.

use super::{install, install_second, install_totals, published};
use crate::harness::{Site, Weir, replaced, wait_for, wait_until};
use crate::views::pages::{get, pages};
use fraud_oracle::{Payment, batch, compare, payments};
use rebates_oracle::{Ledger, generate, totals};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Publishes the messages in as many parts, and kills the host after some results of each, which are in
/// `results`.
fn feed_and_kill(
    site: &Site,
    parts: usize,
    messages: &[(String, Vec<u8>)],
    results: &str,
    run: &dyn Fn() -> Weir,
) -> Weir {
    let client = site.nats.client();
    let mut weir = run();
    for part in messages.chunks(messages.len().div_ceil(parts)) {
        let some = client.count(results) + 5;
        client.publish_all(part.iter().cloned());
        wait_until("some results are there", || client.count(results) >= some);
        weir.kill9();
        weir = run();
    }
    weir
}

/// Waits until the host has processed all that these pipelines read.
pub(crate) fn wait_until_read(weir: &Weir, pipelines: &[&str]) {
    wait_until("nothing is left", || {
        let left = |name: &str, pipeline: &str| {
            weir.metric(&format!("weir_{name}{{pipeline=\"{pipeline}\"}}"))
        };
        let done = |pipeline: &&str| left("lag", pipeline) + left("in_flight", pipeline) == 0.0;
        pipelines.iter().all(done)
    });
}

#[test]
fn the_totals_of_rebates_are_the_oracles_to_the_cent_whenever_the_host_is_killed() {
    const SEED: u64 = 7;
    const COUNT: u64 = 12_000;
    let site = Site::bare();
    install("rebates", site.folder.path());
    let file = install_totals(site.folder.path());
    let run = || site.run(Path::new(&file));
    let expected = Ledger::of(generate(SEED, COUNT));
    let events = generate(SEED, COUNT).map(|event| (event.subject, event.payload));
    let events: Vec<_> = events.collect();
    let weir = feed_and_kill(&site, 4, &events, "TOTALS", &run);
    let (ids, dead) = (expected.ids.len() as u64, expected.dead.len() as u64);
    let client = site.nats.client();
    wait_until("all totals are there", || {
        client.count("TOTALS") >= ids && client.count("DEAD_TOTALS") >= dead
    });
    wait_until_read(&weir, &["rebate-totals"]);
    let differences = totals::differences(SEED, COUNT, &published(&site, "TOTALS"));
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(client.count("DEAD_TOTALS"), dead);
    let totals = published(&site, "TOTALS").into_iter();
    let last: BTreeMap<String, Value> = totals
        .map(|(subject, total)| {
            let user = subject.strip_prefix("totals.").unwrap().to_owned();
            (user, serde_json::from_slice(&total).unwrap())
        })
        .collect();
    wait_for("the view has the last total of each customer", || {
        let (found, _) = pages(&weir, "current", "&limit=1000");
        match found == last {
            true => Ok(()),
            false => Err(format!("it has {} of {}", found.len(), last.len())),
        }
    });
    let (user, total) = last.first_key_value().unwrap();
    let answer = get(&weir, &format!("/views/current/{user}"));
    assert_eq!((answer.status, &answer.json()), (200, total));
}

/// Cards are forgotten after minutes, so that some of the few payments come after it.
#[test]
fn the_alerts_of_fraud_are_the_oracles_each_once_though_the_host_is_killed_twice() {
    const SEED: u64 = 11;
    const COUNT: u64 = 5_000;
    const FORGET: u64 = 10;
    let site = Site::bare();
    install("fraud", site.folder.path());
    let merchants = install_second("fraud", "pipeline-merchants.yaml", site.folder.path());
    let cards = "fraud/pipeline.yaml";
    let text = std::fs::read_to_string(site.path(cards)).unwrap();
    let sooner = ("forget-after-minutes: 1440", "forget-after-minutes: 10");
    site.file(cards, replaced(&text, &[sooner]));
    let run = || {
        let weir = site.start_with(&[cards, &merchants], &[]);
        wait_until("both pipelines run", || {
            weir.stderr().matches("running").count() >= 2
        });
        weir
    };
    let all: Vec<Payment> = payments(SEED, COUNT).collect();
    let messages = all
        .iter()
        .map(|payment| (payment.subject(), payment.payload()));
    let messages: Vec<_> = messages.collect();
    let weir = feed_and_kill(&site, 2, &messages, "FRAUD_CARDS", &run);
    let client = site.nats.client();
    for (stream, prefix, expected) in [
        ("FRAUD_CARDS", "fraud.cards.", batch::of_cards(&all, FORGET)),
        (
            "FRAUD_MERCHANTS",
            "fraud.merchants.",
            batch::of_merchants(&all, 60),
        ),
    ] {
        let count = compare::count(&expected);
        assert!(count > 5, "{expected:?}");
        wait_until("all alerts are there", || client.count(stream) >= count);
        wait_until_read(&weir, &["fraud-cards", "fraud-merchants"]);
        let differences = compare::differences(&expected, prefix, &published(&site, stream));
        assert_eq!(differences, Vec::<String>::new());
    }
    assert_eq!(
        client.count("DEAD_FRAUD_CARDS") + client.count("DEAD_FRAUD_MERCHANTS"),
        0
    );
}
