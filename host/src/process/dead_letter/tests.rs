//! What is split when it is published comes back whole, wherever its parts lie.

use super::*;
use crate::nats::dead_letters::DeadLetter;
use crate::nats::dead_letters::tests::read_back;
use crate::process::chain::Kind;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

/// A header of an input: of its own, of the server, or of a dead letter that it was once.
fn line() -> impl Strategy<Value = (String, String)> {
    let name = "(Trace|Shop|a-b|Nats-Msg-Id|nats-ttl|Weir-Part|weir-letter|Weir-Kept-A)";
    (name, "[!-~]{0,20}")
}

/// The input of this sequence, with a payload of this size that no other has.
fn input(sequence: u64, size: usize, lines: &[(String, String)]) -> Message {
    let bytes = (0..size as u64).map(|place| (place * 31 + sequence * 7 + place / 251) as u8);
    let lines = lines.iter();
    Message {
        foreign: None,
        subject: "orders.a".into(),
        payload: bytes.collect(),
        headers: lines
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        key: None,
        event_time: 1,
        sequence,
        attempt: 1,
    }
}

/// What is published for it.
fn published(input: &Message, max_payload: usize) -> Vec<OutgoingMessage> {
    let builder = DeadLetterBuilder {
        pipeline: "p".into(),
        id: "p".into(),
        subject: Some("dead.p".into()),
        max_payload,
    };
    let rejection = Rejection {
        operator: Some("op".into()),
        kind: Kind::Reject,
        reason: "it\nis so".into(),
        traceback: Vec::new(),
        digest: "d1g".into(),
        config_hash: "c0f".into(),
        fault: None,
    };
    let source = Judged {
        message: input,
        source_id: "IN@1",
        retries: 0,
    };
    builder.build(source, &rejection).into_vec()
}

/// Those of the input that its dead letter keeps, name by name.
fn kept(lines: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut kept = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in lines {
        if !is_server_header(name) && !name.to_lowercase().starts_with("weir-") {
            kept.entry(name).or_default().push(value);
        }
    }
    kept
}

proptest! {
    /// Parts of several letters lie between each other in any order, one perhaps twice and one perhaps
    /// gone. A letter comes whole and once, and what is left is said not to be whole.
    #[test]
    fn letters_come_back_whole_and_once_wherever_their_parts_lie(
        max_payload in 4000_usize..60_000,
        sizes in prop::collection::vec(0_usize..120_000, 1..6),
        lines in prop::collection::vec(line(), 0..6),
        order in prop::collection::vec(any::<u32>(), 256),
        twice in prop::option::of(any::<Index>()),
        gone in prop::option::of(any::<Index>()),
    ) {
        let inputs = (1..).zip(&sizes);
        let inputs: Vec<Message> = inputs.map(|(place, size)| input(place, *size, &lines)).collect();
        let mut parts: Vec<(u64, OutgoingMessage)> = Vec::new();
        for input in &inputs {
            let published = published(input, max_payload);
            prop_assert!(published.iter().all(|part| part.size() <= max_payload));
            parts.extend(published.into_iter().map(|part| (input.sequence, part)));
        }
        let gone = gone.map(|gone| parts.remove(gone.index(parts.len())));
        let gone = gone.map(|(sequence, _)| sequence);
        if let Some(twice) = twice.filter(|_| !parts.is_empty()) {
            let part = twice.get(&parts).clone();
            parts.push(part);
        }
        let mut places: Vec<usize> = (0..parts.len()).collect();
        places.sort_by_key(|place| order.get(place % order.len()).copied());

        let stored: Vec<OutgoingMessage> =
            places.iter().map(|place| parts[*place].1.clone()).collect();
        let letters = read_back(&stored);
        prop_assert!(letters.iter().is_sorted_by_key(|letter| !letter.whole));
        // Whatever is stored belongs to one letter, so that it is removed with it.
        let mut sequences: Vec<u64> =
            letters.iter().flat_map(|letter| letter.sequences.clone()).collect();
        sequences.sort_unstable();
        prop_assert!(sequences.into_iter().eq(1..=parts.len() as u64));

        for input in &inputs {
            let number = input.sequence.to_string();
            let whole: Vec<&DeadLetter> = letters
                .iter()
                .filter(|letter| letter.whole && letter.fact("Sequence") == number)
                .collect();
            if gone == Some(input.sequence) {
                prop_assert!(whole.is_empty());
                continue;
            }
            // One that is in one part and is stored twice is two letters.
            prop_assert!(!whole.is_empty());
            for letter in &whole {
                prop_assert!(letter.payload == input.payload, "payload of {number}");
                let headers = letter.headers.iter().map(|(name, values)| {
                    (name.as_ref(), values.iter().map(|value| value.as_str()).collect())
                });
                prop_assert_eq!(headers.collect::<BTreeMap<&str, Vec<&str>>>(), kept(&lines));
                prop_assert_eq!(letter.fact("Subject"), "orders.a");
                prop_assert_eq!(letter.fact("Reason"), "it | is so");
            }
            prop_assert!(whole.len() == 1 || whole.iter().all(|letter| letter.sequences.len() == 1));
        }
    }
}
