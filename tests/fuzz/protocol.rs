//! What a server sends: whatever bytes come, and however they are cut, they are read as the same frames or
//! refused, and a frame has no byte that was not in them.

use crate::engine::Target;
use bytes::BufMut;
use weir::nats::wire::{Frame, Parser};

const SEEDS: &[&[u8]] = &[
    b"INFO {\"server_id\":\"a\",\"max_payload\":1048576}\r\n+OK\r\nPING\r\nPONG\r\n",
    b"MSG orders.a 1 $JS.ACK.IN.p.1.1.1.1700000000000000000.0 5\r\nhello\r\n",
    b"HMSG orders.a 12 _INBOX.a.1 20 22\r\nNATS/1.0\r\nA: bcd\r\n\r\nhi\r\nPING\r\n",
    b"HMSG a 1 28 28\r\nNATS/1.0 100 Idle Heartbeat\r\n\r\n\r\n",
    b"-ERR 'Permissions Violation for Publish to \"out.a\"'\r\nMSG \xff\xfe 1 0\r\n\r\n",
];

const TOKENS: &[&str] = &[
    "MSG ",
    "HMSG ",
    "INFO ",
    "PING",
    "PONG",
    "+OK",
    "-ERR '",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    " 1 ",
    " 0\r\n\r\n",
    " 2\r\nhi\r\n",
    " 12 12\r\nNATS/1.0\r\n\r\n\r\n",
    "67108864",
    "67108865",
    "18446744073709551616",
    "-1",
    "\0",
];

#[test]
fn whatever_a_server_sends_is_read_alike_however_it_is_cut() {
    let seeds = SEEDS.iter().map(|bytes| bytes.to_vec()).collect();
    Target {
        name: "protocol",
        seeds,
        tokens: TOKENS,
        runs: 20_000,
        check,
    }
    .run();
}

fn check(bytes: &[u8]) -> String {
    let whole = frames(bytes, bytes.len().max(1));
    let size = usize::from(bytes.first().copied().unwrap_or_default() % 7) + 1;
    assert_eq!(frames(bytes, size), whole, "in pieces of {size} bytes");
    let (frames, refused) = whole;
    let sizes = frames.iter().map(|frame| match frame {
        Frame::Message(_, message) => {
            // Neither may be read in a way that panics.
            let _ = (message.status(), message.header("Nats-Pin-Id"));
            let _ = weir::headers::block::read(&message.headers);
            message.length()
        }
        Frame::Info(json) => json.len(),
        _ => 0,
    });
    assert!(sizes.sum::<usize>() <= bytes.len());
    format!("{} frames, refused: {refused}", frames.len().min(9))
}

/// The frames of a transcript in pieces of this size, and whether it was refused.
fn frames(bytes: &[u8], size: usize) -> (Vec<Frame>, bool) {
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    for piece in bytes.chunks(size) {
        parser.room().put_slice(piece);
        loop {
            match parser.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}
