//! Batches form by themselves: as large as what has come meanwhile, within `batch.max-messages` and
//! `batch.max-bytes`, and no message waits for others to fill one.
//!
//! The payload `batch` becomes the messages and bytes of the batch that it came in.

use crate::harness::{Site, Stored, operator_series, series};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What each message says of its batch: messages and bytes.
fn told(out: &[Stored]) -> Vec<(u64, u64)> {
    let told = out.iter().map(|message| {
        let text = message.text();
        let (messages, bytes) = text.split_once(' ').unwrap();
        (messages.parse().unwrap(), bytes.parse().unwrap())
    });
    told.collect()
}

#[test]
fn under_load_batches_form_by_themselves_up_to_their_bound_by_count() {
    const MESSAGES: u64 = 3000;
    const MOST: u64 = 32;
    let site = Site::new();
    let messages = (0..MESSAGES).map(|_| ("in.a", "batch"));
    site.nats.client().publish_all(messages);
    let bound = format!("batch: {{ max-messages: {MOST} }}\n");
    let weir = site.run(&site.pipeline(&bound));
    let out = site.wait_for_messages("OUT", MESSAGES);
    site.wait_until_settled();
    let mut sizes = BTreeMap::<u64, u64>::new();
    for (messages, bytes) in told(&out) {
        assert_eq!(bytes, messages * 5);
        *sizes.entry(messages).or_default() += 1;
    }
    assert_eq!(sizes.keys().max(), Some(&MOST), "{sizes:?}");
    // A batch of so many is told of so many times.
    let whole = sizes.iter().all(|(size, times)| times % size == 0);
    assert!(whole, "{sizes:?}");
    let batches: u64 = sizes.iter().map(|(size, times)| times / size).sum();
    assert!(batches < MESSAGES / 4, "{sizes:?}");
    assert_eq!(weir.metric(&series("batches_total")), batches as f64);
    let operator = |name| weir.metric(&operator_series(name, "op"));
    assert_eq!(operator("calls_total"), batches as f64);
    assert_eq!(operator("messages_total"), MESSAGES as f64);
}

#[test]
fn a_batch_stays_within_its_bound_by_bytes_headers_included_and_what_is_larger_travels_alone() {
    const BOUND: u64 = 64 << 10;
    const LARGE: usize = 100 << 10;
    let payload = |size: usize| {
        let mut payload = b"batch:".to_vec();
        payload.resize(size, b'x');
        Bytes::from(payload)
    };
    let site = Site::new();
    let client = site.nats.client();
    let filler = "x".repeat(8 << 10);
    for _ in 0..20 {
        for _ in 0..5 {
            client.publish("in.a", payload(8 << 10));
            client.publish_with_headers("in.a", &[("Filler", &filler)], payload(6));
        }
        client.publish("in.a", payload(LARGE));
    }
    let changes = [("    plugin: ", "    headers: all\n    plugin: ")];
    let file = site.pipeline_but(&changes, "batch: { max-bytes: 64KiB }\n");
    let weir = site.run(&file);
    let told = told(&site.wait_for_messages("OUT", 220));
    site.wait_until_settled();
    let (alone, together): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|(_, bytes)| *bytes > BOUND);
    assert_eq!(alone, [(1, LARGE as u64); 20]);
    assert!(together.iter().any(|(messages, _)| *messages > 1));
    assert!(weir.metric(&operator_series("calls_total", "op")) >= 40.0);
}

#[test]
fn a_message_that_comes_alone_is_not_held_back_to_fill_a_batch() {
    let site = Site::new();
    let weir = site.run(&site.pipeline("batch: { max-messages: 1000 }\n"));
    for number in 1..=20 {
        site.nats.client().publish("in.a", "batch");
        let out = site.wait_for_messages("OUT", number);
        assert_eq!(out.last().unwrap().text(), "1 5");
    }
    assert_eq!(weir.metric(&series("batches_total")), 20.0);
}
