//! What is read of a stream of dead letters; `process/dead_letter/tests.rs` has what goes into it.

use super::*;
use crate::outgoing::OutgoingMessage;
use async_nats::datetime::DateTime;

/// The letters of a stream that holds these, with sequences from 1; last those that are not whole.
pub(crate) fn read_back(stored: &[OutgoingMessage]) -> Vec<DeadLetter> {
    let (mut partials, mut letters) = (Partials::default(), Vec::new());
    for (message, sequence) in stored.iter().zip(1..) {
        letters.extend(partials.add(read(as_stored(message, sequence))));
    }
    letters.extend(std::iter::from_fn(|| partials.oldest()));
    letters
}

fn as_stored(message: &OutgoingMessage, sequence: u64) -> StreamMessage {
    let mut headers = HeaderMap::new();
    let id = message.id.as_deref().unwrap_or_default();
    headers.append(crate::headers::MESSAGE_ID, id);
    for (name, value) in &message.headers {
        headers.append(&**name, &**value);
    }
    StreamMessage {
        subject: "dead.p".into(),
        sequence,
        headers,
        payload: message.payload.clone(),
        time: DateTime::UNIX_EPOCH,
    }
}

#[test]
fn a_message_that_cannot_be_the_part_that_it_says_is_a_letter_by_itself() {
    let part = |(number, sequence): (&str, u64)| {
        let mut headers = HeaderMap::new();
        headers.insert(PART, number);
        headers.insert(LETTER, "S@1/17/3");
        read(StreamMessage {
            subject: "dead.p".into(),
            sequence,
            headers,
            payload: bytes::Bytes::from_static(b"x"),
            time: DateTime::UNIX_EPOCH,
        })
    };
    let parts = ["2/2", "3/2", "0/2", "1/2"].into_iter().zip(1..);
    let mut partials = Partials::default();
    let letters = parts.filter_map(|each| partials.add(part(each)));
    let sequences: Vec<_> = letters.map(|letter| letter.sequences).collect();
    assert_eq!(sequences, [vec![2], vec![3], vec![1, 4]]);
    assert!(partials.oldest().is_none());
}
