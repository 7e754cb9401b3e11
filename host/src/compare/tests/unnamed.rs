//! Outputs that no input names are compared as a set.

use super::*;
use crate::headers::{PANE_INDEX, WINDOW_END, WINDOW_START};
use serde_json::value::RawValue;

/// Takes outputs of both sides in turns, each as far as there are.
fn compared(live: &[&str], candidate: &[&str], room: Room) -> Matcher {
    let mut matcher = Matcher::new(room, 5);
    for place in 0..live.len().max(candidate.len()) {
        if let Some(text) = live.get(place) {
            matcher.published_unnamed(result(0, text), None, true);
        }
        if let Some(text) = candidate.get(place) {
            matcher.answered_unnamed(result(0, text));
        }
    }
    matcher
}

#[test]
fn the_same_outputs_in_any_order_are_the_same_each_as_often_as_it_is_there() {
    let mut matcher = compared(&["a", "b", "a", "c"], &["c", "a", "b", "a"], ROOM);
    matcher.settle_unnamed(1, |_| None);
    assert_eq!(found(matcher.report()), (4, 0, Kinds::default()));
    let mut matcher = compared(&["a", "a"], &["a"], ROOM);
    matcher.settle_unnamed(1, |_| None);
    let missing = Kinds {
        missing: 1,
        ..Kinds::default()
    };
    assert_eq!(found(matcher.report()), (1, 1, missing));
}

#[test]
fn what_is_left_differs_in_pairs_and_the_rest_is_on_one_side_alone() {
    let mut matcher = compared(&["a", "b"], &["a", "c", "d"], ROOM);
    matcher.published_unnamed(dead(0, "x").without_sequence(), None, true);
    matcher.settle_unnamed(1, |_| None);
    let kinds = Kinds {
        missing: 1,
        additional: 1,
        payload: 1,
        ..Kinds::default()
    };
    assert_eq!(found(matcher.report()), (1, 3, kinds));
    let samples = matcher.report().samples.iter();
    let samples: Vec<_> = samples
        .map(|sample| (sample.sequence, &*sample.output))
        .collect();
    assert_eq!(samples, [(0, "dead letter"), (0, "out.a"), (0, "out.a")]);
}

#[test]
fn a_difference_is_told_of_the_same_message_of_the_same_window_or_of_timers() {
    let windowed = |text: &str, end: &str| {
        let names = [WINDOW_START, WINDOW_END, PANE_INDEX].map(ByteString::from);
        let lines = names.into_iter().zip(["s", end, "0"].map(ByteString::from));
        let Line::Message(record) = result(0, text) else {
            unreachable!()
        };
        let headers = lines.collect();
        Line::Message(Record { headers, ..record })
    };
    let mut matcher = Matcher::new(ROOM, 9);
    // In another order on each side.
    matcher.published_unnamed(result(0, "timer"), None, true);
    matcher.published_unnamed(result(0, "first"), Some((0, 1)), true);
    matcher.published_unnamed(result(0, "second"), Some((1, 1)), true);
    matcher.published_unnamed(windowed("window", "e"), None, true);
    matcher.published_unnamed(windowed("of the last window", "z"), None, true);
    matcher.answered_unnamed(windowed("another window", "y"));
    matcher.answered_any(
        (0, 1),
        vec![(Slot::Result(0), windowed("other window", "e"))],
    );
    matcher.answered_any((1, 1), vec![(Slot::Result(0), result(1, "other second"))]);
    matcher.answered_any((0, 1), vec![(Slot::Result(0), result(1, "other first"))]);
    matcher.answered_any((0, 2), vec![(Slot::Result(0), result(2, "third"))]);
    matcher.answered_unnamed(result(0, "other timer"));
    matcher.settle_unnamed(1, |_| None);
    let samples = matcher.report().samples.iter();
    let text = |side: &Option<Box<RawValue>>| {
        let side = side.as_ref()?;
        let line: serde_json::Value = serde_json::from_str(side.get()).unwrap();
        line["text"].as_str().map(str::to_owned)
    };
    let found: Vec<_> = samples
        .map(|sample| (text(&sample.live), text(&sample.candidate)))
        .collect();
    let of = |live: &str, candidate: &str| {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (side(live), side(candidate))
    };
    let expected = [
        of("timer", "other timer"),
        of("first", "other first"),
        of("second", "other second"),
        of("window", "other window"),
        of("of the last window", ""),
        of("", "another window"),
        of("", "third"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_has_not_waited_for_long_enough_or_may_be_of_other_inputs_is_no_difference() {
    let mut matcher = compared(&["a"], &["b"], ROOM);
    matcher.settle_unnamed(2, |_| None);
    assert_eq!(matcher.report().compared(), 0);
    // Its counterpart comes.
    matcher.answered_unnamed(result(0, "a"));
    matcher.published_unnamed(result(0, "c"), None, false);
    matcher.settle_unnamed(2, |side| {
        (side == OnlySide::Candidate).then_some(Why::Unsettled)
    });
    matcher.settle_unnamed(2, |_| None);
    let report = matcher.report();
    assert_eq!(found(report), (1, 0, Kinds::default()));
    assert_eq!(
        (report.not_compared.unsettled, report.without_input),
        (1, 1)
    );
}

#[test]
fn beyond_the_room_nothing_is_said_to_differ() {
    let room = Room { outputs: 3, ..ROOM };
    let mut matcher = compared(&["a", "b", "c", "d"], &["e", "f", "g", "a"], room);
    assert!(matcher.waits_unnamed());
    matcher.settle_unnamed(1, |_| None);
    let report = matcher.report();
    assert_eq!(report.different, 0);
    assert!(report.not_compared.beyond > 3, "{report:?}");
    assert!(!matcher.waits_unnamed());
}

#[test]
fn an_output_of_a_job_is_known_by_the_stream_that_it_comes_from() {
    let identities = ["A@1", "B@2"].map(|source_id| Identity {
        pipeline_id: "p".into(),
        source_id: source_id.into(),
    });
    let read_of = |stream: &str, headers: &[(&str, &str)]| {
        let headers = headers.iter();
        let message = Message {
            headers: headers
                .map(|(name, value)| (ByteString::from(*name), ByteString::from(*value)))
                .collect(),
            sequence: 19,
            ..Message::of_timer(b"a", 1)
        };
        stored_of_job("WEIR_JOB_P", &identities, (stream, &message))
            .map(|found| (found.input, found.partition, found.place))
    };
    let of = |headers: &[(&str, &str)]| read_of("OUT", headers);
    let sourced = (
        "Nats-Stream-Source",
        "WEIR_JOB_P 17 weir.job.p.out.*.> > weir.job.p.out.3.out.a xSApbkHM",
    );
    assert_eq!(of(&[sourced]), Some((None, Some(3), 17)));
    let named = of(&[sourced, ("Weir-Origin", "p/op/B@2/42/0")]);
    assert_eq!(named, Some((Some((1, 42)), Some(3), 17)));
    assert_eq!(of(&[sourced, ("Weir-Origin", "p/op/C@3/42/0")]), None);
    let forwarded = of(&[("Nats-Msg-Id", "WEIR_JOB_P@abc/18")]);
    assert_eq!(forwarded, Some((None, None, 18)));
    assert_eq!(of(&[("Nats-Stream-Source", "OTHER 17 > > x")]), None);
    assert_eq!(of(&[]), None);
    assert_eq!(read_of("WEIR_JOB_P", &[]), Some((None, None, 19)));
    let parts = [("Weir-Kind", "reject"), ("Weir-Part", "2/3")];
    assert_eq!(of(&[&[sourced][..], &parts].concat()), None);
}
