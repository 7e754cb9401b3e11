use super::*;
use bytes::BufMut;
use proptest::prelude::*;

/// All frames of a transcript that comes in pieces of these sizes, in turn.
fn frames(transcript: &[u8], sizes: &[usize]) -> Result<Vec<Frame>, Malformed> {
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    let (mut rest, mut sizes) = (transcript, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (piece, later) = rest.split_at(size);
        parser.room().put_slice(piece);
        rest = later;
        while let Some(frame) = parser.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn whole(transcript: &[u8]) -> Result<Vec<Frame>, Malformed> {
    frames(transcript, &[transcript.len()])
}

fn message(subject: &[u8], reply: &[u8], headers: &[u8], payload: &[u8]) -> Message {
    Message {
        subject: Bytes::copy_from_slice(subject),
        reply: Bytes::copy_from_slice(reply),
        headers: Bytes::copy_from_slice(headers),
        payload: Bytes::copy_from_slice(payload),
    }
}

#[test]
fn a_transcript_of_every_word_is_read() {
    let transcript = b"INFO {\"server_name\":\"a\"}\r\n+OK\r\nPING\r\nPONG\r\n\
        MSG a.b 7 2\r\nhi\r\nMSG a.b 7 _INBOX.x 0\r\n\r\n\
        HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nHMSG a 1 r 16 16\r\nNATS/1.0\r\nA: b\r\n\r\n\
        -ERR 'Stale Connection'\r\n";
    let expected = [
        Frame::Info(Bytes::from_static(b" {\"server_name\":\"a\"}\r\n")),
        Frame::Ok,
        Frame::Ping,
        Frame::Pong,
        Frame::Message(7, message(b"a.b", b"", b"", b"hi")),
        Frame::Message(7, message(b"a.b", b"_INBOX.x", b"", b"")),
        Frame::Message(1, message(b"a", b"", b"NATS/1.0\r\n\r\n", b"hi")),
        Frame::Message(1, message(b"a", b"r", b"NATS/1.0\r\nA: b\r\n", b"")),
        Frame::Error("Stale Connection".to_owned()),
    ];
    for size in 1..transcript.len() {
        assert_eq!(frames(transcript, &[size]).as_deref(), Ok(&expected[..]));
    }
}

#[test]
fn subjects_headers_and_payloads_are_bytes() {
    let transcript = b"MSG a.\xff 1 2\r\n\r\n\r\nHMSG \xc3( 2 4 6\r\nA\xfc\r\nhi\r\n";
    let expected = [
        Frame::Message(1, message(b"a.\xff", b"", b"", b"\r\n")),
        Frame::Message(2, message(b"\xc3(", b"", b"A\xfc\r\n", b"hi")),
    ];
    assert_eq!(whole(transcript).as_deref(), Ok(&expected[..]));
}

#[test]
fn what_breaks_the_framing_is_refused() {
    for transcript in [
        &b"HELLO\r\n"[..],
        b"\r\n",
        b"MSG a 1\r\n",
        b"MSG a 1 b c 2\r\nhi\r\n",
        b"MSG a x 2\r\nhi\r\n",
        b"MSG a 1 -2\r\nhi\r\n",
        b"MSG a 1 2\r\nhello\r\n",
        b"MSG a 1 99999999999999999999\r\n",
        b"MSG a 1 67108865\r\n",
        b"HMSG a 1 3 2\r\nhi\r\n",
        b"HMSG a 1 2\r\nhi\r\n",
    ] {
        assert!(whole(transcript).is_err(), "{}", transcript.escape_ascii());
    }
    let endless = vec![b'a'; LONGEST_LINE + 1];
    assert!(whole(&endless).is_err());
}

#[test]
fn a_status_and_a_header_are_found_in_a_block() {
    let of = |headers: &[u8]| message(b"a", b"", headers, b"");
    let block = b"NATS/1.0 409 Consumer Deleted\r\nNats-Pin-Id: x1\r\nb:\xff\r\n\r\n";
    assert_eq!(of(block).status(), Some((409, "Consumer Deleted")));
    assert_eq!(of(block).header("nats-pin-id"), Some("x1"));
    assert_eq!(of(block).header("Nats-Pin"), None);
    assert_eq!(of(block).header("b"), None);
    assert_eq!(of(b"NATS/1.0 503\r\n\r\n").status(), Some((503, "")));
    assert_eq!(of(b"NATS/1.0\r\nA: b\r\n\r\n").status(), None);
    assert_eq!(of(b"").status(), None);
    assert_eq!(of(b"NATS/1.0 \xff\r\n\r\n").status(), None);
}

/// A message as a server writes it.
fn written(message: &Message, number: u64) -> Vec<u8> {
    let Message {
        subject,
        reply,
        headers,
        payload,
    } = message;
    let mut line = if headers.is_empty() {
        b"MSG ".to_vec()
    } else {
        b"HMSG ".to_vec()
    };
    line.extend_from_slice(subject);
    line.extend_from_slice(format!(" {number} ").as_bytes());
    if !reply.is_empty() {
        line.extend_from_slice(reply);
        line.push(b' ');
    }
    if !headers.is_empty() {
        line.extend_from_slice(format!("{} ", headers.len()).as_bytes());
    }
    line.extend_from_slice(format!("{}\r\n", headers.len() + payload.len()).as_bytes());
    [&line[..], headers, payload, b"\r\n"].concat()
}

/// Any bytes of a subject: the server separates words by blanks, and lines by their ends.
fn word(least: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no blank", |byte| !b" \t\r\n".contains(byte));
    prop::collection::vec(byte, least..20)
}

proptest! {
    #[test]
    fn messages_of_any_bytes_are_read_however_they_are_cut(
        parts in prop::collection::vec((word(1), word(0), prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(any::<u8>(), 0..200)), 1..8),
        sizes in prop::collection::vec(1_usize..60, 1..10),
    ) {
        let messages = parts.iter().map(|(subject, reply, headers, payload)| {
            message(subject, reply, headers, payload)
        });
        let messages: Vec<_> = messages.collect();
        let transcript = messages.iter().zip(0..).flat_map(|(one, number)| written(one, number));
        let transcript: Vec<u8> = transcript.collect();
        let expected = messages.into_iter().zip(0..).map(|(one, number)| Frame::Message(number, one));
        prop_assert_eq!(frames(&transcript, &sizes), Ok(expected.collect()));
    }

    #[test]
    fn whatever_bytes_come_they_are_read_alike_however_they_are_cut(
        transcript in prop::collection::vec(prop_oneof![
            Just(b"MSG a 1 ".to_vec()), Just(b"HMSG a 1 ".to_vec()), Just(b"PING".to_vec()),
            Just(b"\r\n".to_vec()), Just(b"2".to_vec()), Just(b" ".to_vec()), Just(b"-ERR '".to_vec()),
            prop::collection::vec(any::<u8>(), 0..4)
        ], 0..30),
        sizes in prop::collection::vec(1_usize..9, 1..10),
    ) {
        let transcript = transcript.concat();
        prop_assert_eq!(frames(&transcript, &sizes), whole(&transcript));
    }
}
