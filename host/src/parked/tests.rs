//! What comes back from the parking stream is what went there.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn message(headers: &[(&str, &str)]) -> Message {
    let line = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "orders.a".into(),
        payload: Bytes::from_static(b"x"),
        headers: headers.iter().map(line).collect(),
        key: None,
        source: None,
        event_time: 7,
        sequence: 17,
        attempt: 2,
    }
}

fn origin() -> Origin {
    Origin {
        source_id: "ORDERS@abc".into(),
        stored: 5,
        retries: 2,
    }
}

#[test]
fn what_comes_back_is_the_original_with_its_headers_identity_and_attempts() {
    let headers = [
        ("A", "1"),
        ("A", "2"),
        ("Nats-Msg-Id", "mine"),
        ("Weir-Kept-B", "3"),
        ("Weir-Parked-Sequence", "99"),
        ("Weir-Reason", "was a dead letter once"),
    ];
    let parked = message(&headers);
    let parking = Parking::new(Subjects::of("p", "ORDERS", "c"), "WEIR_PARKED_P");
    let delay = Duration::from_secs(60);
    let scheduled = parking.schedule(&parked, &origin(), delay, 10_000).unwrap();
    assert_eq!(
        scheduled.subject,
        "weir.parked.p.ORDERS.c.wait.ORDERS@abc.17"
    );
    let due = Message {
        subject: "weir.parked.p.ORDERS.c.due".into(),
        headers: scheduled.headers.into_iter().collect(),
        event_time: 1000,
        sequence: 3,
        attempt: 1,
        ..parked.clone()
    };
    let (original, from) = original(due, "WEIR_PARKED_P");
    let expected = Message {
        attempt: 3,
        event_time: 5,
        ..parked
    };
    assert_eq!((original, from), (expected, origin()));
}

#[test]
fn what_was_not_parked_is_its_own_original() {
    let stranger = message(&[("A", "1")]);
    let (same, from) = original(stranger.clone(), "WEIR_PARKED_P");
    assert_eq!((same, &*from.source_id), (stranger, "WEIR_PARKED_P"));
}

#[test]
fn what_does_not_fit_or_is_beyond_the_calendar_is_not_parked() {
    let mut parking = Parking::new(Subjects::of("p", "ORDERS", "c"), "S");
    let scheduled = |parking: &Parking, seconds, most| {
        let delay = Duration::from_secs(seconds);
        parking.schedule(&message(&[]), &origin(), delay, most)
    };
    assert!(scheduled(&parking, 60, 10).is_none());
    assert!(scheduled(&parking, u64::MAX, 10_000).is_none());
    assert!(scheduled(&parking, 60, 10_000).is_some());
    assert!(parking.rest());
    assert!(!parking.rest());
    assert!(scheduled(&parking, 60, 10_000).is_none());
}

/// A header that means something to nobody, to the server, to dead letters or to parking.
fn line() -> impl Strategy<Value = (ByteString, ByteString)> {
    let name = "(a|A|Trace|Nats-Msg-Id|nats-schedule|Weir-Reason|weir-kept-a|Weir-Kept-Nats-B|\
                WEIR-PARKED-PLACE|Weir-Parked-Sequence|Weir-Parked-Attempt)";
    let text = |text: String| ByteString::from(text);
    (name.prop_map(text), "[ -~]{0,12}".prop_map(text))
}

proptest! {
    /// In their order, also when the server adds some of its own.
    #[test]
    fn what_is_parked_again_and_again_comes_back_as_what_it_was(
        lines in prop::collection::vec(line(), 0..8),
        sequence in 1..u64::MAX,
        stored in any::<u64>(),
        deliveries in prop::collection::vec(1..5_u32, 1..6),
    ) {
        let parking = Parking::new(Subjects::of("p", "ORDERS", "c"), "WEIR_PARKED_P");
        let start = Message {
            headers: lines.into_iter().collect(),
            event_time: stored,
            sequence,
            ..message(&[])
        };
        let (mut now, mut from) = (start.clone(), Origin { stored, ..origin() });
        for (round, attempt) in (1..).zip(deliveries) {
            from.retries += 1;
            let (delay, origin) = (Duration::from_secs(60), from.clone());
            let scheduled = parking.schedule(&now, &from, delay, usize::MAX).unwrap();
            let mut headers = scheduled.headers;
            headers.push(("Nats-Scheduler".into(), scheduled.subject));
            headers.insert(0, ("Nats-Schedule-Next".into(), "purge".into()));
            let due = Message { watermark: None, is_late: false, foreign: None,
                subject: "weir.parked.p.ORDERS.c.due".into(),
                payload: scheduled.payload,
                headers: headers.into_iter().collect(),
                key: None,
                source: None,
                event_time: 1000 + round,
                sequence: round,
                attempt,
            };
            prop_assert_eq!(parked(&due.headers), Some(("ORDERS@abc", sequence)));
            let expected = Message { attempt: now.attempt + attempt, ..start.clone() };
            (now, from) = original(due, "WEIR_PARKED_P");
            prop_assert_eq!((&now, &from), (&expected, &origin));
        }
    }
}
