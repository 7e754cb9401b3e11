//! Dead letters: what is read back of the dead letters' stream is the message that was given up, in
//! however many parts it went out, and whatever else lies in that stream.

use crate::engine::Target;
use crate::wire;
use bytestring::ByteString;
use weir::headers::LARGEST_BLOCK;
use weir::message::Message;
use weir::nats::dead_letters::{DeadLetter, Partials, read};
use weir::nats::stored::StoredMessage;
use weir::outgoing::OutgoingMessage;
use weir::process::Judged;
use weir::process::chain::{Kind, Rejection};
use weir::process::dead_letter::DeadLetterBuilder;

/// The source of every message here.
static SOURCE_ID: ByteString = ByteString::from_static("S@x");

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
        redact: std::sync::Arc::default(),
    };
    let judged = Judged {
        message: &source,
        source_id: &SOURCE_ID,
        retries: 0,
        timer: b"",
    };
    let messages = builder.build(judged, &rejection(&source));
    assert!(!messages.is_empty(), "it is given up and nothing is stored");
    let mut stored: Vec<StoredMessage> = Vec::new();
    for (message, sequence) in messages.iter().zip(1..) {
        let (size, payload) = (message.size(), message.payload.len());
        assert!(size <= max_payload, "{size} bytes of {max_payload}");
        assert!(size - payload <= LARGEST_BLOCK, "the headers are too large");
        stored.push(as_stored(sequence, message));
    }
    let parts = stored.len();
    if last % 2 == 1 {
        stored.reverse();
    }
    let foreign = as_stored(FOREIGN, &wire::outgoing(&source));
    stored.insert(last % (parts + 1), foreign);
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
    assert_eq!(letter.subject, source.subject.as_bytes());
    let lines: wire::Lines = source.headers.iter().cloned().collect();
    let block = match lines.is_empty() {
        true => String::new(),
        false => wire::block(&lines),
    };
    assert!(letter.headers == block.as_bytes(), "another header block");
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
        emitted: None,
    }
}

fn as_stored(sequence: u64, message: &OutgoingMessage) -> StoredMessage {
    let mut headers = Vec::new();
    message.write_headers(&mut headers);
    StoredMessage {
        subject: "dead.p".into(),
        sequence,
        headers: headers.into(),
        payload: message.payload.clone(),
        time: 1_700_000_000_000_000_000,
    }
}
