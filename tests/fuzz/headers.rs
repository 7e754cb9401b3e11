//! Header blocks: whatever headers a message came with and a plugin returns, what leaves is a block
//! that reads back as what was meant, and what waits for a retry comes back as it was.

use crate::engine::{self, kind};
use crate::wire;
use bytestring::ByteString;
use std::time::Duration;
use weir::config::template::{Template, check_free, check_subject};
use weir::headers::{Headers, MESSAGE_ID, is_server_header, is_weir_header};
use weir::jsonl::{Record, parse_message};
use weir::message::Message;
use weir::outgoing::OutgoingMessage;
use weir::parked::{Origin, Parking, Subjects, original};
use weir::process::Judged;
use weir::process::outputs::{OutputBuilder, Target};

/// The source of every message here.
static SOURCE_ID: ByteString = ByteString::from_static("S@x");

/// The server's largest payload.
const MOST: usize = 16 * 1024;

#[test]
fn whatever_headers_come_and_are_returned_those_that_leave_read_back_as_they_were_meant() {
    let seeds = wire::MESSAGES.iter().map(|text| text.as_bytes().to_vec());
    engine::Target {
        name: "headers",
        seeds: seeds.collect(),
        tokens: wire::TOKENS,
        runs: 10_000,
        check,
    }
    .run();
}

fn check(bytes: &[u8]) -> String {
    // What a plugin returns may be anything; what it was called with has come through the server.
    let result = wire::message(bytes);
    let source = wire::deliverable(result.clone());
    lines_of_json(&result);
    parked_and_back(&source);
    let template = Template::parse("{subject}").unwrap();
    let target = Target {
        max_payload: MOST,
        ..Target::nowhere()
    };
    let mut builder = OutputBuilder::new(Some("p/o/".to_owned()), template, &target);
    let judged = Judged {
        message: &source,
        source_id: &SOURCE_ID,
        retries: 0,
        timer: b"",
    };
    let built = builder.build(judged, [result.clone()].into_iter().collect());
    let messages = match built {
        Ok(messages) => messages,
        Err(reason) => return kind(&reason),
    };
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    check_subject(&message.subject).unwrap();
    check_free(&message.subject, "_INBOX").unwrap();
    assert!(message.size() <= MOST);
    let ours = |name: &str| is_server_header(name) || is_weir_header(name);
    let lines = result.headers.iter();
    let taken: Vec<_> = lines.filter(|(name, _)| !ours(name)).collect();
    assert!(message.headers.iter().take(taken.len()).eq(taken));
    as_it_was_meant(message);
    format!("{} lines", message.headers.len().min(9))
}

/// The block on the wire, and what is read from it, are the lines of the message.
fn as_it_was_meant(message: &OutgoingMessage) {
    let mut lines = message.headers.clone();
    let id = message.id.iter().map(|id| {
        let mut text = Vec::new();
        id.write(&mut text);
        let text = String::from_utf8(text).unwrap();
        (MESSAGE_ID.into(), text.into())
    });
    lines.extend(id);
    let block = wire::block(&lines);
    assert_eq!(message.size(), block.len() + message.payload.len());
    let mut written = Vec::new();
    message.write_headers(&mut written);
    assert_eq!(written, block.as_bytes(), "the block has other lines");
    assert_eq!(wire::read_back(message), trimmed(lines.iter()));
}

/// The lines as they are read: the blanks around a value are no part of it.
fn trimmed<'a>(lines: impl Iterator<Item = &'a (ByteString, ByteString)>) -> Headers {
    let trim = |(name, value): &(ByteString, ByteString)| {
        let value = value.trim_matches(|c: char| c.is_ascii_whitespace());
        (name.clone(), ByteString::from(value))
    };
    lines.map(trim).collect()
}

/// A message as a line of JSON is the same message.
fn lines_of_json(message: &Message) {
    let record = Record::from(message);
    let line = record.to_string();
    assert!(
        line.bytes().all(|byte| byte >= b' '),
        "it is no line: {line:?}"
    );
    let read = parse_message(&line, 1).unwrap_or_else(|problem| panic!("{problem}: {line}"));
    assert_eq!(read.to_string(), line);
    assert_eq!(
        (read.subject, read.headers),
        (record.subject, record.headers)
    );
}

/// A message that waited for a retry is the one that was parked.
fn parked_and_back(source: &Message) {
    let origin = Origin {
        source_id: ByteString::from_static("S@x"),
        stored: 5,
        retries: 1,
    };
    let parking = Parking::new(Subjects::of("p", "S", "c"), "WEIR_PARKED_P");
    let wait = Duration::from_secs(60);
    let Some(scheduled) = parking.schedule(source, &origin, wait, MOST) else {
        let size = wire::size(source) + source.subject.len() + source.payload.len();
        assert!(size > MOST / 4, "{size} bytes are too many to be parked");
        return;
    };
    assert!(scheduled.size() <= MOST);
    let due = Message {
        watermark: None,
        is_late: false,
        source: None,
        foreign: None,
        subject: "weir.parked.p.S.c.due".into(),
        headers: wire::read_back(&scheduled),
        payload: scheduled.payload,
        attempt: 1,
        event_time: 9,
        sequence: 3,
        key: None,
    };
    let expected = Message {
        attempt: 3,
        headers: trimmed(source.headers.iter()),
        ..source.clone()
    };
    assert_eq!(original(due, "WEIR_PARKED_P"), (expected, origin));
}
