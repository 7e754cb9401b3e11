//! Dead letters: what is read back of the dead letters' stream is the message that was given up, in
//! however many parts it went out, and whatever else lies in that stream.

use crate::engine::Target;
use crate::wire;
use async_nats::HeaderMap;
use async_nats::datetime::from_nanos;
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use weir::headers::{Headers, PREFIX, is_server_header};
use weir::message::Message;
use weir::nats::dead_letters::{DeadLetter, Partials, read};
use weir::nats::headers;
use weir::process::Judged;
use weir::process::chain::{Kind, Rejection};
use weir::process::dead_letter::DeadLetterBuilder;

/// Most bytes that a dead letter adds to the headers of a message, besides its subject.
const ADDED: usize = 2 * 1024;
/// Where another message lies among the parts.
const FOREIGN: u64 = 1000;

#[test]
fn a_dead_letter_is_read_back_as_the_message_that_was_given_up_whatever_lies_around_it() {
    let mut seeds: Vec<_> = wire::MESSAGES
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    seeds.push(format!("orders.a\nA: 1\n\n{}", "payload ".repeat(3000)).into_bytes());
    seeds.push(format!("{}\nA: 1\n\nx", "o".repeat(2107)).into_bytes());
    Target {
        name: "dead_letters",
        seeds,
        tokens: wire::TOKENS,
        runs: 10_000,
        check,
    }
    .run();
}

fn check(bytes: &[u8]) -> String {
    let source = wire::deliverable(wire::message(bytes));
    let last = usize::from(bytes.last().copied().unwrap_or_default());
    let max_payload = 8 * 1024 + 128 * last;
    let builder = DeadLetterBuilder {
        pipeline: "p".to_owned(),
        id: "p".to_owned(),
        subject: Some("dead.p".to_owned()),
        max_payload,
    };
    let judged = Judged {
        message: &source,
        source_id: "S@x",
        retries: 0,
    };
    let messages = builder.build(judged, &rejection(&source));
    assert!(!messages.is_empty(), "it is given up and nothing is stored");
    if wire::size(&source) + source.subject.len() + ADDED > max_payload {
        return "headers without room".to_owned();
    }
    let mut stored: Vec<StreamMessage> = Vec::new();
    for (message, sequence) in messages.iter().zip(1..) {
        assert!(
            message.size() <= max_payload,
            "{} bytes of {max_payload}",
            message.size()
        );
        let map = wire::header_map(message);
        stored.push(as_stored(sequence, map, message.payload.clone()));
    }
    let parts = stored.len();
    if last % 2 == 1 {
        stored.reverse();
    }
    let foreign = wire::header_map(&wire::outgoing(&source));
    stored.insert(
        last % (parts + 1),
        as_stored(FOREIGN, foreign, source.payload.clone()),
    );
    let mut partials = Partials::default();
    let mut letters: Vec<_> = stored
        .into_iter()
        .filter_map(|message| partials.add(read(message)))
        .collect();
    letters.extend(std::iter::from_fn(|| partials.oldest()));
    let (others, mut found): (Vec<_>, Vec<_>) = letters
        .into_iter()
        .partition(|letter| letter.sequences.contains(&FOREIGN));
    assert_eq!(
        (others.len(), found.len()),
        (1, 1),
        "letters are lost or made up"
    );
    is_the_source(&found.remove(0), &source, parts);
    format!("{} parts, {}", parts.min(5), others[0].whole)
}

fn is_the_source(letter: &DeadLetter, source: &Message, parts: usize) {
    assert!(letter.whole);
    assert_eq!(letter.sequences.len(), parts);
    assert!(letter.payload == source.payload, "another payload");
    assert_eq!(letter.fact("Subject"), &*source.subject);
    let ours = |name: &str| {
        name.get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    };
    let kept = source
        .headers
        .iter()
        .filter(|(name, _)| !is_server_header(name) && !ours(name));
    let kept: Headers = kept.cloned().collect();
    assert_eq!(headers(&letter.headers), kept);
}

/// As long as the message makes it, in words of its own.
fn rejection(source: &Message) -> Rejection {
    let text = String::from_utf8_lossy(&source.payload).into_owned();
    Rejection {
        operator: Some("o".to_owned()),
        kind: Kind::Reject,
        traceback: text.lines().map(str::to_owned).collect(),
        digest: "d".repeat(64),
        config_hash: "c".repeat(64),
        reason: text,
        fault: None,
    }
}

fn as_stored(sequence: u64, headers: HeaderMap, payload: Bytes) -> StreamMessage {
    StreamMessage {
        subject: "dead.p".into(),
        sequence,
        headers,
        payload,
        time: from_nanos(1_700_000_000_000_000_000).unwrap(),
    }
}
