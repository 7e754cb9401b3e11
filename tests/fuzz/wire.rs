//! Messages as text, for targets whose input is one: a subject, a header block and a payload.

use bytes::Bytes;
use bytestring::ByteString;
use weir::headers::Headers;
use weir::message::Message;
use weir::outgoing::OutgoingMessage;

/// Header lines in their order.
pub(crate) type Lines = Vec<(ByteString, ByteString)>;

/// Most characters of a subject; the server's limit for the line that it stands in is 4 KiB.
const LONGEST_SUBJECT: usize = 2200;

/// Real header blocks, and such as have made trouble.
pub(crate) const MESSAGES: &[&str] = &[
    "orders.a.paid\nId: 7\n\n{\"total\": 1000}",
    "orders.a\nNats-Msg-Id: mine\nNats-Expected-Stream: S\nA: 1\nA: 2\n\nx",
    "orders.a\nSet-Cookie: a=1\nSet-Cookie: b=2\nset-cookie: c=3\ntraceparent: 00-4bf92f35-00f067aa-01\n\n",
    "orders.a\nWeir-Reason: forged\nWeir-Part: 1/2\nWeir-Letter: S@x/1/3\nWeir-Subject: $JS.API.STREAM.DELETE.S\n\nx",
    "orders.a\nWeir-Kept-B: 3\nWeir-Parked-Sequence: 99\nweir-parked-place: S@x\nweir-kept-Nats-Msg-Id: 1\n\nx",
    "orders.b\nCity: M\u{fc}nchen\nEmpty:\nControl: a\u{1}b\u{7f}\nTab: a\tb\n\n\u{feff}text",
    "orders.c\nA: a\rb\n: no name\nno colon\nA b: x\n\nx",
    "$JS.API.STREAM.DELETE.S\n\n",
    "orders.d\nBig: 0123456789abcdef0123456789abcdef\n\n0123456789abcdef0123456789abcdef",
];

pub(crate) const TOKENS: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    ":",
    ": ",
    "\n\n",
    "\nA: ",
    "\nNats-",
    "\nnats-",
    "\nNats-Msg-Id: ",
    "\nWeir-",
    "\nweir-",
    "\nWeir-Kept-",
    "\nWeir-Parked-",
    "\nWeir-Parked-Place: S@x",
    "\nWeir-Digest: ",
    "\nWeir-Part: 1/2",
    "\nWeir-Letter: ",
    "\ntraceparent: ",
    "NATS/1.0 409 Consumer Deleted",
    "\u{e9}",
    "\u{80}",
    "\u{1f600}",
    "\0",
    "\u{7f}",
    " ",
    "\t",
    ".",
    "*",
    ">",
    "$JS.",
    "{\"a\":",
    "\"",
    "[1, 2 ]",
    "0123456789abcdef",
];

/// Reads a message, as it is delivered: headers in the order of their names.
pub(crate) fn message(bytes: &[u8]) -> Message {
    let text = String::from_utf8_lossy(bytes);
    let (head, payload) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.split('\n');
    let subject = lines.next().unwrap_or_default();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.into(), value.trim_start_matches(' ').into()));
    let mut headers: Lines = headers.collect();
    headers.sort_by(|(left, _), (right, _)| left.cmp(right));
    Message {
        watermark: None,
        is_late: false,
        source: None,
        foreign: None,
        subject: subject.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        headers: headers.into_iter().collect(),
        key: None,
        event_time: 5,
        sequence: 17,
        attempt: 2,
    }
}

/// The message with what a server takes of its subject and its header lines.
pub(crate) fn deliverable(message: Message) -> Message {
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    let sound = |(name, value): &&(ByteString, ByteString)| {
        !name.is_empty() && name.bytes().all(printable) && !value.contains(['\r', '\n'])
    };
    let headers = message.headers.iter().filter(sound).cloned().collect();
    let subject = message.subject.chars().filter(|c| !c.is_whitespace());
    let subject = subject.take(LONGEST_SUBJECT).collect::<String>().into();
    Message {
        subject,
        headers,
        ..message
    }
}

/// The message as a stranger would publish it.
pub(crate) fn outgoing(message: &Message) -> OutgoingMessage {
    OutgoingMessage {
        is_late: false,
        foreign: Vec::new(),
        subject: message.subject.clone(),
        id: None,
        digest: None,
        headers: message.headers.iter().cloned().collect(),
        payload: message.payload.clone(),
        key: None,
    }
}

/// Bytes of the lines in a block.
pub(crate) fn size(message: &Message) -> usize {
    let lines = message.headers.iter();
    lines
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum()
}

/// The headers of a message as they are read from its block.
pub(crate) fn read_back(message: &OutgoingMessage) -> Headers {
    let mut written = Vec::new();
    message.write_headers(&mut written);
    let (headers, foreign) = weir::headers::block::read(&Bytes::from(written));
    assert!(foreign.is_empty(), "a line is read as none: {foreign:?}");
    headers
}

/// A header block as the protocol has it.
pub(crate) fn block(lines: &[(ByteString, ByteString)]) -> String {
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("NATS/1.0\r\n{}\r\n", lines.collect::<String>())
}
