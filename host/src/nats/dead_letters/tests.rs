//! What is read of a stream of dead letters; `process/dead_letter/tests.rs` has what goes into it.

use super::*;
use crate::outgoing::OutgoingMessage;

/// The letters of a stream that holds these, with sequences from 1; last those that are not whole.
pub(crate) fn read_back(stored: &[OutgoingMessage]) -> Vec<DeadLetter> {
    let (mut partials, mut letters) = (Partials::default(), Vec::new());
    for (message, sequence) in stored.iter().zip(1..) {
        letters.extend(partials.add(read(as_stored(message, sequence))));
    }
    letters.extend(std::iter::from_fn(|| partials.oldest()));
    letters
}

fn as_stored(message: &OutgoingMessage, sequence: u64) -> StoredMessage {
    let mut headers = Vec::new();
    message.write_headers(&mut headers);
    stored(sequence, headers.into(), message.payload.clone())
}

fn stored(sequence: u64, headers: Bytes, payload: Bytes) -> StoredMessage {
    StoredMessage {
        subject: "dead.p".into(),
        sequence,
        headers,
        payload,
        time: 0,
    }
}

fn letter(sequence: u64, lines: &str, payload: &'static [u8]) -> DeadLetter {
    let usual = "Weir-Pipeline: p\r\nWeir-Sequence: 17\r\nWeir-Subject: orders.a\r\n";
    let block = format!("NATS/1.0\r\n{usual}{lines}\r\n");
    read(stored(sequence, block.into(), payload.into()))
}

#[test]
fn a_message_that_cannot_be_the_part_that_it_says_is_a_letter_by_itself() {
    let part = |(number, sequence): (&str, u64)| {
        let lines = format!("Weir-Part: {number}\r\nWeir-Letter: S@1/17/3\r\n");
        letter(sequence, &lines, b"x")
    };
    let parts = ["2/2", "3/2", "0/2", "1/2"].into_iter().zip(1..);
    let mut partials = Partials::default();
    let letters = parts.filter_map(|each| partials.add(part(each)));
    let sequences: Vec<_> = letters.map(|letter| letter.sequences).collect();
    assert_eq!(sequences, [vec![2], vec![3], vec![1, 4]]);
    assert!(partials.oldest().is_none());
}

#[test]
fn what_no_host_has_stored_is_given_out_as_what_it_is() {
    for block in [
        &b""[..],
        b"NATS/1.0\r\nA: b\r\n\r\n",
        b"NATS/1.0\r\nWeir-Pipeline: p\r\nWeir-Sequence: 1\r\n\r\n",
        b"NATS/1.0\r\nweir-pipeline: p\r\nweir-sequence: 1\r\nweir-subject: a\r\n\r\n",
        b"NATS/1.0\r\nWeir-Kept-Weir-Pipeline: p\r\nWeir-Sequence: 1\r\nWeir-Subject: a\r\n\r\n",
        b"NATS/1.0\r\nA: \xff\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"\xff",
    ] {
        let read = read(stored(
            7,
            Bytes::from_static(block),
            Bytes::from_static(b"x"),
        ));
        assert!(read.is_unknown(), "{}", block.escape_ascii());
        assert_eq!((&*read.headers, &*read.payload), (block, &b"x"[..]));
    }
}

#[test]
fn a_letter_that_says_more_than_it_holds_is_not_whole() {
    for lengths in [
        "9 0",
        "0 9",
        "3 3",
        "18446744073709551615 1",
        "-1 0",
        "1",
        "a b",
    ] {
        let lines = format!("Weir-Packed: {lengths}\r\n");
        let mut partials = Partials::default();
        let read = partials
            .add(letter(1, &lines, b"12345"))
            .unwrap_or_default();
        assert_eq!(read.whole, lengths == "1", "{lengths}");
    }
    let mut partials = Partials::default();
    let read = partials.add(letter(1, "Weir-Packed: 2 3\r\n", b"12345"));
    let read = read.unwrap_or_default();
    assert!(read.whole && read.payload.is_empty());
    assert_eq!((&*read.subject, &*read.headers), (&b"12"[..], &b"345"[..]));
    assert_eq!(read.fact("Subject"), "12");
}
