use super::matcher::{Matcher, OnlySide, Room};
use super::report::{Kinds, Report, Why};
use super::*;

mod unnamed;

const ROOM: Room = Room {
    outputs: 100,
    bytes: 1 << 20,
};

fn result(sequence: u64, text: &str) -> Line {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    let subject = ByteString::from_static("out.a");
    line(
        sequence,
        Slot::Result(0),
        &subject,
        &Headers::default(),
        &payload,
    )
}

fn dead(sequence: u64, reason: &str) -> Line {
    let headers = [("Weir-Kind", "reject"), ("Weir-Reason", reason)];
    let headers = headers.map(|(name, value)| (ByteString::from(name), ByteString::from(value)));
    let headers: Headers = headers.into_iter().collect();
    line(
        sequence,
        Slot::DeadLetter,
        &"dead.p".into(),
        &headers,
        &Bytes::new(),
    )
}

fn answered(matcher: &mut Matcher, sequence: u64, texts: &[&str]) {
    let lines = texts.iter().map(|text| result(sequence, text));
    let outputs = (0..).map(Slot::Result).zip(lines).collect();
    matcher.answered(sequence, outputs);
}

fn published(matcher: &mut Matcher, sequence: u64, index: u64, text: &str) {
    matcher.published(sequence, Slot::Result(index), result(sequence, text));
}

fn found(report: &Report) -> (u64, u64, Kinds) {
    (report.same, report.different, report.differences)
}

#[test]
fn an_id_is_read_only_if_it_is_of_the_pipeline_and_its_source() {
    let identity = Identity {
        pipeline_id: "p".into(),
        source_id: "IN@k3x".into(),
    };
    assert_eq!(
        identity.read("p/op/IN@k3x/42/1"),
        Some((42, Slot::Result(1)))
    );
    assert_eq!(
        identity.read("p/dead/IN@k3x/42"),
        Some((42, Slot::DeadLetter))
    );
    let part = identity.read("p/dead/IN@k3x/42/1000/0");
    assert_eq!(part, Some((42, Slot::DeadLetter)));
    for foreign in [
        "",
        "p",
        "p/op",
        "pp/op/IN@k3x/42/1",
        "p/op/IN@k3y/42/1",
        "p/op/IN@k3x/42",
        "p/op/IN@k3xy/42/1",
        "p/op/IN@k3x/42/x",
    ] {
        assert_eq!(identity.read(foreign), None, "{foreign}");
    }
}

#[test]
fn the_version_and_the_id_are_no_part_of_what_is_compared_and_other_headers_are() {
    let headers = |lines: &[(&str, &str)]| -> Headers {
        let lines = lines.iter();
        lines
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    };
    let subject = ByteString::from_static("out.a");
    let of = |headers: &Headers| line(1, Slot::Result(0), &subject, headers, &Bytes::new());
    let live = of(&headers(&[
        ("Nats-Msg-Id", "p/op"),
        ("Weir-Digest", "aa"),
        ("B", "2"),
        ("A", "1"),
    ]));
    assert_eq!(live, of(&headers(&[("A", "1"), ("B", "2")])));
    assert_ne!(live, of(&headers(&[("A", "1"), ("B", "3")])));
}

#[test]
fn equal_outputs_are_the_same_whichever_side_comes_first() {
    let mut matcher = Matcher::new(ROOM, 5);
    answered(&mut matcher, 1, &["a", "b"]);
    published(&mut matcher, 1, 1, "b");
    published(&mut matcher, 1, 0, "a");
    published(&mut matcher, 3, 0, "c");
    published(&mut matcher, 2, 0, "x");
    answered(&mut matcher, 2, &["x"]);
    answered(&mut matcher, 3, &["c"]);
    // The live pipeline repeats itself after a crash.
    published(&mut matcher, 2, 0, "x");
    matcher.settle(3, |_, _| None);
    assert_eq!(found(matcher.report()), (4, 0, Kinds::default()));
    assert!(!matcher.waits());
}

#[test]
fn every_kind_of_difference_is_counted_and_sampled_with_both_sides() {
    let mut matcher = Matcher::new(ROOM, 2);
    answered(&mut matcher, 1, &["same", "additional"]);
    published(&mut matcher, 1, 0, "same");
    answered(&mut matcher, 2, &[]);
    published(&mut matcher, 2, 0, "missing");
    published(&mut matcher, 3, 0, "old");
    published(&mut matcher, 3, 1, "missing");
    answered(&mut matcher, 3, &["new"]);
    matcher.answered(4, vec![(Slot::DeadLetter, dead(4, "no"))]);
    matcher.published(4, Slot::DeadLetter, dead(4, "not at all"));
    matcher.answered(5, vec![(Slot::DeadLetter, dead(5, "no"))]);
    published(&mut matcher, 5, 0, "went through");
    matcher.settle(5, |_, _| None);
    let report = matcher.report();
    let kinds = Kinds {
        missing: 3,
        additional: 2,
        payload: 1,
        reason: 1,
        ..Kinds::default()
    };
    assert_eq!(found(report), (1, 7, kinds));
    let sample = report
        .samples
        .iter()
        .find(|sample| sample.differs == [super::report::Kind::Payload]);
    let sample = sample.unwrap();
    assert_eq!((sample.sequence, &*sample.output), (3, "result 0"));
    assert!(sample.live.as_ref().unwrap().get().contains("old"));
    assert!(sample.candidate.as_ref().unwrap().get().contains("new"));
    assert_eq!(
        report.samples.len(),
        6,
        "two of each kind: {:?}",
        report.samples
    );
}

#[test]
fn what_the_live_pipeline_has_not_settled_is_no_difference_yet() {
    let mut matcher = Matcher::new(ROOM, 5);
    answered(&mut matcher, 1, &["a"]);
    answered(&mut matcher, 2, &["b"]);
    matcher.settle(1, |_, _| None);
    assert_eq!(matcher.report().differences.additional, 1);
    published(&mut matcher, 2, 0, "b");
    matcher.settle(2, |_, _| None);
    assert_eq!(found(matcher.report()).0, 1);
    assert_eq!(matcher.report().different, 1);
}

#[test]
fn the_lack_of_an_output_means_nothing_where_it_was_forgotten() {
    let mut matcher = Matcher::new(ROOM, 5);
    answered(&mut matcher, 1, &["a"]);
    answered(&mut matcher, 2, &["b"]);
    matcher.settle(u64::MAX, |sequence, _| {
        (sequence == 1).then_some(Why::Forgotten)
    });
    assert_eq!(matcher.report().not_compared.forgotten, 1);
    assert_eq!(matcher.report().differences.additional, 1);
}

#[test]
fn live_outputs_of_inputs_that_are_not_there_are_counted_apart() {
    let mut matcher = Matcher::new(ROOM, 5);
    published(&mut matcher, 1, 0, "a");
    answered(&mut matcher, 3, &[]);
    matcher.pass(3);
    published(&mut matcher, 2, 0, "b");
    assert_eq!(matcher.report().without_input, 2);
    assert_eq!(matcher.report().different, 0);
}

#[test]
fn an_input_that_is_answered_twice_counts_once() {
    let mut matcher = Matcher::new(ROOM, 5);
    for _ in 0..2 {
        answered(&mut matcher, 1, &["a"]);
        published(&mut matcher, 1, 0, "a");
    }
    assert_eq!(matcher.report().inputs, 1);
    assert_eq!(found(matcher.report()), (1, 0, Kinds::default()));
}

#[test]
fn memory_is_bounded_and_what_does_not_fit_is_counted_and_never_a_difference() {
    let room = Room {
        outputs: 10,
        bytes: 1 << 20,
    };
    let mut matcher = Matcher::new(room, 5);
    for sequence in 1..=100 {
        answered(&mut matcher, sequence, &["a"]);
    }
    assert_eq!(matcher.report().not_compared.beyond, 90);
    for sequence in 1..=100 {
        published(&mut matcher, sequence, 0, "a");
    }
    assert_eq!(found(matcher.report()), (10, 0, Kinds::default()));

    let mut matcher = Matcher::new(room, 5);
    for sequence in 1..=100 {
        published(&mut matcher, sequence, 0, "a");
    }
    assert!(matcher.is_full());
    for sequence in 1..=100 {
        answered(&mut matcher, sequence, &["a"]);
    }
    matcher.settle(100, |_, _| None);
    assert_eq!(matcher.report().not_compared.beyond, 90);
    assert_eq!(found(matcher.report()), (10, 0, Kinds::default()));
}

#[test]
fn when_other_inputs_come_what_waits_is_not_compared_and_the_findings_stay() {
    let mut matcher = Matcher::new(ROOM, 5);
    answered(&mut matcher, 1, &["a"]);
    published(&mut matcher, 2, 0, "b");
    answered(&mut matcher, 3, &["new"]);
    published(&mut matcher, 3, 0, "old");
    matcher.pass(3);
    matcher.restart();
    assert_eq!(matcher.report().not_compared.unsettled, 1);
    assert_eq!(matcher.report().differences.payload, 1);
    // The same inputs once more.
    answered(&mut matcher, 3, &["old"]);
    published(&mut matcher, 3, 0, "old");
    published(&mut matcher, 2, 0, "b");
    answered(&mut matcher, 2, &["b"]);
    assert_eq!((matcher.report().same, matcher.report().different), (2, 1));
    assert!(!matcher.is_ahead());
    (4..54).for_each(|sequence| answered(&mut matcher, sequence, &["a"]));
    assert!(matcher.is_ahead());
}

#[test]
fn beyond_the_room_for_samples_the_kind_of_a_difference_is_still_known() {
    let room = Room {
        outputs: 1000,
        bytes: 0,
    };
    let mut matcher = Matcher::new(room, 5);
    for sequence in 1..=100 {
        answered(&mut matcher, sequence, &["new"]);
    }
    for sequence in 1..=100 {
        published(
            &mut matcher,
            sequence,
            0,
            if sequence == 7 { "old" } else { "new" },
        );
    }
    let report = matcher.report();
    assert_eq!((report.same, report.differences.payload), (99, 1));
    assert!(report.samples[0].live.is_some());
    assert!(report.samples[0].candidate.is_none());
}

#[test]
fn the_number_of_outputs_is_remembered_however_many_there_are() {
    let mut counts = super::output_counts::OutputCounts::default();
    for (sequence, results) in [
        (1, 0),
        (4095, 1),
        (4096, 252),
        (4097, 253),
        (9_000_000, 70_000),
    ] {
        counts.put(sequence, false, results);
        assert_eq!(counts.has(sequence, Slot::Result(results)), Some(false));
        assert_eq!(counts.has(sequence, Slot::DeadLetter), Some(false));
        if results > 0 {
            assert_eq!(counts.has(sequence, Slot::Result(results - 1)), Some(true));
        }
    }
    counts.put(2, true, 1);
    assert_eq!(counts.has(2, Slot::DeadLetter), Some(true));
    assert_eq!(counts.has(2, Slot::Result(0)), Some(false));
    assert_eq!(counts.has(3, Slot::Result(0)), None);
    counts.forget(4095);
    assert_eq!(counts.has(1, Slot::Result(0)), None);
    assert_eq!(counts.has(4097, Slot::Result(252)), Some(true));
}

#[test]
fn the_reports_of_several_hosts_add_up() {
    let mut one = Matcher::new(ROOM, 5);
    answered(&mut one, 1, &["a"]);
    published(&mut one, 1, 0, "b");
    let mut total = one.report().clone();
    total.add(one.report().clone(), 1);
    assert_eq!(
        (total.inputs, total.different, total.samples.len()),
        (2, 2, 1)
    );
    assert_eq!(total.differences.payload, 2);
    let text = serde_json::to_string(&total).unwrap();
    let back: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(found(&back), found(&total));
}
