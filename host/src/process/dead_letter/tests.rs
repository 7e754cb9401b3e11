//! Every dead letter returns its input byte for byte, wherever its parts are stored, and always fits.

use super::*;
use crate::message::{Foreign, Message};
use crate::nats::dead_letters::DeadLetter;
use crate::nats::dead_letters::tests::read_back;
use crate::process::chain::Kind;
use proptest::prelude::*;
use proptest::sample::Index;

/// The source of every message here.
static SOURCE_ID: ByteString = ByteString::from_static("IN@1");

/// A header of an input: of its own, of the server, or of a dead letter that it was once.
fn line() -> impl Strategy<Value = (String, String)> {
    let name = "(Trace|Shop|a-b|Nats-Msg-Id|nats-ttl|Weir-Part|weir-letter|Weir-Kept-A|Weir-Packed|Weir-Hops)";
    (name, "[!-~]{0,20}")
}

/// The input of this sequence, with a payload of this size that no other has.
fn input(sequence: u64, size: usize, lines: &[(String, String)]) -> Message {
    let bytes = (0..size as u64).map(|place| (place * 31 + sequence * 7 + place / 251) as u8);
    let lines = lines.iter();
    Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "orders.a".into(),
        payload: bytes.collect(),
        headers: lines
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        key: None,
        source: None,
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
        redact: std::sync::Arc::default(),
    };
    let rejection = Rejection {
        operator: Some("op".into()),
        kind: Kind::Reject,
        reason: "it\nis so".into(),
        traceback: Vec::new(),
        digest: "d1g".into(),
        config_hash: "c0f".into(),
        fault: None,
        emitted: None,
    };
    let source = Judged {
        message: input,
        source_id: &SOURCE_ID,
        retries: 0,
        timer: b"",
    };
    builder.build(source, &rejection).into_vec()
}

/// Its header block, as the stream of the source holds it.
fn block(input: &Message) -> Bytes {
    let foreign = input.foreign.as_ref();
    let block = foreign.and_then(|foreign| foreign.block.clone());
    block.unwrap_or_else(|| {
        let lines = input.headers.iter();
        let lines = lines.map(|(name, value)| format!("{name}: {value}").into());
        let foreign = foreign.iter().flat_map(|foreign| foreign.lines.clone());
        let lines: Vec<Bytes> = lines.chain(foreign).collect();
        block::join(lines.iter().map(|line| &**line))
    })
}

/// Everything that is published can be stored, and makes one letter that holds the message.
fn comes_back(input: &Message, max_payload: usize) -> DeadLetter {
    let published = published(input, max_payload);
    assert!(!published.is_empty());
    for message in &published {
        let (size, payload) = (message.size(), message.payload.len());
        assert!(size <= max_payload, "{size} bytes of {max_payload}");
        assert!(
            size - payload <= LARGEST_BLOCK,
            "{} bytes of headers",
            size - payload
        );
    }
    let mut letters = read_back(&published);
    assert_eq!(letters.len(), 1);
    let letter = letters.remove(0);
    let subject = input
        .foreign
        .as_ref()
        .and_then(|foreign| foreign.subject.clone());
    assert!(letter.whole);
    assert_eq!(
        letter.subject,
        subject.unwrap_or_else(|| input.subject.as_bytes().clone())
    );
    assert!(letter.headers == block(input), "another header block");
    assert!(letter.payload == input.payload, "another payload");
    assert_eq!(letter.fact("Kind"), "reject");
    letter
}

/// As if a client had stored it.
fn stored(subject: &'static [u8], block: &'static [u8]) -> Message {
    let text = String::from_utf8_lossy(subject).into_owned();
    let is_text = std::str::from_utf8(subject).is_ok();
    let subject = (!is_text).then_some(Bytes::from_static(subject));
    let (headers, foreign) = Foreign::read(subject, &Bytes::from_static(block));
    let plain = input(1, 10, &[]);
    Message {
        subject: text.into(),
        headers,
        foreign,
        ..plain
    }
}

#[test]
fn whatever_bytes_a_message_has_its_letter_holds_them() {
    for (subject, block) in [
        (&b"orders.\xff"[..], &b""[..]),
        (b"orders.a", b"NATS/1.0\r\nCity: M\xfcnchen\r\n\r\n"),
        (
            b"orders.a",
            b"NATS/1.0\r\nA: b\r\nWeir-City: M\xfcnchen\r\n\r\n",
        ),
        (b"orders.a", b"NATS/1.0\r\nCity: M\xfcnchen\r\nA: b\r\n\r\n"),
        (b"orders.a", b"NATS/1.0\r\nA: a\rb\r\n\r\n"),
        (b"orders.a", b"NATS/1.0\r\nA:1\r\nB:  2\r\n\r\n"),
        (b"orders.a", b"NATS/1.0\r\nA: 1\r\n folded\r\n\r\n"),
        (b"orders.a", b"NATS/1.0\r\n blank\r\n\r\n"),
        (b"orders.a", b"NATS/1.0\r\nB: 1\nA: 1\r\n\r\n"),
        (b"orders.a", b"NATS/1.0 409 Consumer Deleted\r\n\r\n"),
        (b"orders.a", b"NATS/1.0\r\n\r\n"),
        (b"orders.\xfe", b"not a block"),
        (b"orders.\xfe", b"NATS/1.0\r\nA:1\r\n\r\n"),
    ] {
        let message = stored(subject, block);
        assert!(message.foreign.is_some(), "{}", block.escape_ascii());
        let letter = comes_back(&message, 4000);
        assert_eq!(letter.headers, block, "{}", block.escape_ascii());
    }
    let plain = stored(b"orders.\x01", b"NATS/1.0\r\nA: 1\r\n\r\n");
    assert!(plain.foreign.is_none());
    comes_back(&plain, 4000);
}

#[test]
fn a_dead_letter_of_a_dead_letter_is_the_first_one_unchanged() {
    let lines = [("Trace", "1"), ("trace", "2"), ("Nats-Msg-Id", "7")];
    let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let first = published(&input(1, 10, &lines), 4000).remove(0);
    let mut second = input(9, 0, &[]);
    second.headers = first.headers.iter().cloned().collect();
    second.payload.clone_from(&first.payload);
    let letter = comes_back(&second, 8000);
    assert_eq!(
        (letter.fact("Sequence"), letter.fact("Pipeline")),
        ("9", "p")
    );
    assert_eq!(letter.headers, block(&second));
}

#[test]
fn no_header_of_an_input_is_taken_for_what_the_host_says() {
    let forged = [
        "Weir-Subject",
        "WEIR-SUBJECT",
        "Weir-Pipeline",
        "Weir-Part",
        "Weir-Packed",
    ];
    let lines = forged.map(|name| (name.to_owned(), "$JS.API.STREAM.DELETE.S".to_owned()));
    let letter = comes_back(&input(1, 10, &lines), 4000);
    assert_eq!(letter.fact("Subject"), "orders.a");
    assert_eq!(letter.fact("Pipeline"), "p");
}

proptest! {
    /// All sizes around the largest header block that a stream takes and the largest message of a server.
    #[test]
    fn a_dead_letter_always_fits(
        headers in prop_oneof![0_usize..2000, 14_000_usize..17_000, 60_000_usize..LARGEST_BLOCK],
        lines in 1_usize..4,
        payload in prop_oneof![0_usize..9, 0_usize..140_000],
        subject in prop_oneof![Just(8_usize), 1000_usize..4000],
        max_payload in prop_oneof![1500_usize..2000, Just(16_384), Just(65_536), 60_000_usize..70_000, Just(1 << 20)],
    ) {
        let line = |number: usize| (format!("A{number}"), "v".repeat((headers / lines).saturating_sub(12)));
        let lines: Vec<_> = (0..lines).map(line).collect();
        let mut input = input(1, payload, &lines);
        input.subject = format!("orders.{}", "s".repeat(subject)).into();
        comes_back(&input, max_payload);
    }

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
                prop_assert_eq!(&letter.headers, &block(input));
                prop_assert_eq!(letter.fact("Subject"), "orders.a");
                prop_assert_eq!(letter.fact("Reason"), "it | is so");
            }
            prop_assert!(whole.len() == 1 || whole.iter().all(|letter| letter.sequences.len() == 1));
        }
    }
}
