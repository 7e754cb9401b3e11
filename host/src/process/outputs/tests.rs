use super::*;
use crate::headers::{LETTER, PART};
use crate::process::chain::{Kind, Rejection};
use crate::process::dead_letter::DeadLetterBuilder;
use crate::telemetry::allocations::allocations;
use bytes::Bytes;

/// The source of every message here.
static SOURCE_ID: ByteString = ByteString::from_static("S@1");

const LIMIT: usize = 1000;

fn message(payload: &[u8], headers: &[(&str, &str)]) -> Message {
    let line = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "orders.a.paid".into(),
        payload: Bytes::copy_from_slice(payload),
        headers: headers.iter().map(line).collect(),
        key: Some("ann".into()),
        source: None,
        event_time: 1,
        sequence: 17,
        attempt: 2,
    }
}

fn builder(template: &str, source: &[&str]) -> OutputBuilder {
    let source: Vec<_> = source
        .iter()
        .map(|filter| SubjectFilter::parse(filter).unwrap())
        .collect();
    let target = Target {
        own_source: source,
        max_payload: LIMIT,
        dead_letters: Some("dead.p".to_owned()),
        inbox_prefix: "_in.me".to_owned(),
        api_prefix: "js.hub.API".to_owned(),
        may_loop: false,
    };
    OutputBuilder::new(
        Some("p/op/".into()),
        Template::parse(template).unwrap(),
        &target,
    )
}

fn judged(message: &Message) -> Judged<'_> {
    Judged {
        message,
        source_id: &SOURCE_ID,
        retries: 0,
        timer: b"",
    }
}

fn refusal(source: &Message, result: Message) -> String {
    builder("out.{key}", &[])
        .build(judged(source), vec![result].into())
        .unwrap_err()
}

fn id(message: &OutgoingMessage) -> String {
    let mut text = Vec::new();
    message.id.as_ref().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn a_result_asks_for_no_memory_of_its_own() {
    let source = message(b"x", &[]);
    let mut builder = builder("out.{key}", &[]);
    let mut block = Vec::new();
    let mut make = |count: usize| {
        for _ in 0..count {
            let results = std::iter::once(source.clone()).collect();
            for result in builder.build(judged(&source), results).unwrap() {
                block.clear();
                result.write_headers(&mut block);
            }
        }
    };
    make(1);
    // A piece of memory holds the subjects of hundreds.
    let count = allocations(|| make(10_000));
    assert!(count < 100, "{count} allocations");
}

#[test]
fn results_get_subjects_from_the_template_and_ids_from_the_input() {
    let source = message(b"x", &[]);
    let messages = builder("out.{key}", &[])
        .build(judged(&source), vec![source.clone(); 2].into())
        .unwrap();
    let ids: Vec<_> = messages.iter().map(id).collect();
    assert_eq!(ids, ["p/op/S@1/17/0", "p/op/S@1/17/1"]);
    assert_eq!(messages[0].subject, "out.ann");
}

#[test]
fn headers_of_the_server_are_not_taken_over_and_not_accepted() {
    let source = message(b"x", &[("Nats-Rollup", "all"), ("A", "1")]);
    let messages = builder("out", &[])
        .build(judged(&source), vec![source.clone()].into())
        .unwrap();
    let names: Vec<_> = messages[0]
        .headers
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(names, ["A"]);
    let made_up = message(b"x", &[("nats-rollup", "sub")]);
    assert_eq!(
        refusal(&source, made_up),
        "header `nats-rollup` belongs to the server"
    );
}

#[test]
fn a_trace_is_carried_when_the_plugin_replaces_the_headers() {
    let source = message(b"x", &[("traceparent", "00-1-2-01"), ("B", "2")]);
    let result = message(b"x", &[("A", "1")]);
    let messages = builder("out", &[])
        .build(judged(&source), vec![result].into())
        .unwrap();
    let headers = &messages[0].headers;
    assert!(headers.contains(&("traceparent".into(), "00-1-2-01".into())));
    assert!(!headers.iter().any(|(name, _)| name == "B"));
}

#[test]
fn what_cannot_be_a_header_a_subject_or_a_message_is_refused_in_words() {
    let source = message(b"x", &[]);
    let broken = message(b"x", &[("A", "1\r\nB: 2")]);
    assert_eq!(
        refusal(&source, broken),
        "the value of header `A` has a line break"
    );
    let spaced = message(b"x", &[("A B", "1")]);
    assert_eq!(refusal(&source, spaced), "`A B` is not a header name");
    let large = message(&[b'x'; LIMIT], &[]);
    assert!(refusal(&source, large).ends_with("is over the server's limit of 1000"));
}

#[test]
fn data_cannot_choose_a_subject_of_the_server_an_inbox_or_weir() {
    let source = message(b"x", &[]);
    let built = |template: &str, subject: &str| {
        let mut elsewhere = message(b"x", &[]);
        elsewhere.subject = subject.into();
        elsewhere.key = Some(subject.into());
        builder(template, &[]).build(judged(&source), vec![elsewhere].into())
    };
    for (subject, whose) in [
        ("$JS.API.STREAM.DELETE.S", "belong to the server"),
        ("$js.api.stream.delete.s", "belong to the server"),
        ("$SYS.REQ.SERVER.PING", "belong to the server"),
        ("$SRV.PING", "belong to the server"),
        ("$KV.weir-deployments.p.op", "belong to the server"),
        ("$KV.bucket.key", "belong to the server"),
        ("$O.weir-components.C.x", "belong to the server"),
        ("_INBOX.abc.1", "belong to inboxes"),
        ("_inbox.abc", "belong to inboxes"),
        ("_R_.abc", "belong to inboxes"),
        ("_in.me.1", "belong to inboxes"),
        ("_IN.ME.1", "belong to inboxes"),
        ("weir.parked.p.S.c.due", "belong to weir"),
        ("weir.dead.q", "belong to weir"),
        ("Weir.status", "belong to weir"),
        ("js.hub.API.STREAM.PURGE.S", "is one of the jetstream api"),
        ("dead.p", "is that of the pipeline's dead letters"),
    ] {
        for template in ["{subject}", "{key}"] {
            let refused = built(template, subject).unwrap_err();
            assert!(refused.ends_with(whose), "{template} {subject}: {refused}");
        }
        let inside = built("out.{subject}", subject).unwrap();
        assert_eq!(inside[0].subject, format!("out.{subject}"));
    }
    for free in [
        "_in.other",
        "_in",
        "weird.x",
        "_INBOXES.a",
        "dead.q",
        "a.$JS.API",
    ] {
        assert!(built("{subject}", free).is_ok(), "{free}");
    }
}

#[test]
fn a_bucket_that_the_configuration_names_takes_results_and_no_other_does() {
    let source = message(b"x", &[]);
    let built = builder("$KV.totals.{key}", &[]).build(judged(&source), [source.clone()].into());
    assert_eq!(built.unwrap()[0].subject, "$KV.totals.ann");
    for refused in [
        "$KV.{key}.a",
        "$KV.totals",
        "$KV.weir-deployments.{key}",
        "$KV.WEIR-receipts.{key}",
        "$KV.weir{key}.a",
        "$kv.totals.{key}",
        "$O.files.{key}",
        "$JS.{key}",
        "_INBOX.{key}",
        "weir.dead.{key}",
    ] {
        assert!(Template::parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn headers_of_weir_are_not_taken_over_and_not_accepted() {
    let source = message(b"x", &[("Weir-Reason", "old"), ("A", "1")]);
    let built = builder("out", &[]).build(judged(&source), vec![source.clone()].into());
    let lines = &built.unwrap()[0].headers;
    assert_eq!(*lines, [("A".into(), "1".into())]);
    let forged = message(b"x", &[("weir-subject", "$JS.API.STREAM.DELETE.S")]);
    assert_eq!(
        refusal(&source, forged),
        "header `weir-subject` belongs to weir"
    );
}

#[test]
fn a_result_that_would_feed_its_own_source_is_refused() {
    let source = message(b"x", &[]);
    let refused =
        builder("{subject}", &["orders.>"]).build(judged(&source), vec![source.clone()].into());
    assert_eq!(
        refused.unwrap_err(),
        "subject `orders.a.paid` would feed the pipeline's own source"
    );
}

fn dead_letters(max_payload: usize) -> DeadLetterBuilder {
    DeadLetterBuilder {
        pipeline: "p".into(),
        id: "p".into(),
        subject: Some("dead.p".into()),
        max_payload,
        redact: std::sync::Arc::default(),
    }
}

fn rejection(reason: &str) -> Rejection {
    Rejection {
        operator: Some("op".into()),
        kind: Kind::Reject,
        reason: reason.into(),
        traceback: vec!["in total".into(), "  in price".into()],
        digest: "d1g".into(),
        config_hash: "c0n".into(),
        fault: None,
        emitted: None,
    }
}

#[test]
fn a_dead_letter_keeps_payload_and_headers_and_says_what_happened() {
    let source = message(
        b"\xff\x00",
        &[("A", "1"), ("Weir-Kind", "old"), ("Nats-TTL", "1s")],
    );
    let messages = dead_letters(LIMIT).build(judged(&source), &rejection("no\nway"));
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].payload, source.payload);
    let header = |name: &str| {
        let values: Vec<_> = messages[0]
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .collect();
        assert!(values.len() <= 1, "{name} stands twice");
        values
            .first()
            .map(|(_, value)| value.to_string())
            .unwrap_or_default()
    };
    assert_eq!(header("A"), "1");
    assert_eq!(header("Nats-TTL"), "");
    assert_eq!(header("Weir-Kept-Nats-TTL"), "1s");
    assert_eq!(header("Weir-Kept-Weir-Kind"), "old");
    assert_eq!(header("Weir-Kind"), "reject");
    assert_eq!(header("Weir-Reason"), "no | way");
    assert_eq!(header("Weir-Backtrace"), "in total |   in price");
    assert_eq!(header("Weir-Sequence"), "17");
    assert_eq!(header("Weir-Attempt"), "2");
    assert_eq!(header("Weir-Subject"), "orders.a.paid");
    assert_eq!(id(&messages[0]), "p/dead/S@1/17");
}

#[test]
fn a_dead_letter_that_is_too_large_goes_out_in_parts_that_fit() {
    let payload: Vec<u8> = (0..5000_u32).map(|index| (index % 251) as u8).collect();
    let source = message(&payload, &[]);
    let messages = dead_letters(1500).build(judged(&source), &rejection("too much"));
    assert!(messages.len() > 3);
    assert!(messages.iter().all(|message| message.size() <= 1500));
    let joined: Vec<u8> = messages
        .iter()
        .flat_map(|message| message.payload.to_vec())
        .collect();
    assert_eq!(joined, payload);
    let identity = |message: &OutgoingMessage| {
        let mut lines = message.headers.iter();
        lines.find(|(name, _)| name == LETTER).unwrap().1.clone()
    };
    let identities = messages.iter().map(identity);
    assert!(identities.clone().all(|each| each.starts_with("S@1/17/")));
    assert_eq!(
        identities.collect::<std::collections::BTreeSet<_>>().len(),
        1
    );
    let last = format!("{0}/{0}", messages.len());
    assert!(
        messages[messages.len() - 1]
            .headers
            .contains(&(PART.into(), last.into()))
    );
}

#[test]
fn a_dead_letter_says_less_where_the_headers_of_the_message_leave_little_room() {
    let source = message(b"", &[("A", &"x".repeat(900))]);
    let messages = dead_letters(1500).build(judged(&source), &rejection(&"y".repeat(2000)));
    assert_eq!(messages.len(), 1);
    assert!(messages[0].size() <= 1500);
    let (_, reason) = messages[0]
        .headers
        .iter()
        .find(|(name, _)| name == "Weir-Reason")
        .unwrap();
    assert_eq!(reason.len(), 128);
}
