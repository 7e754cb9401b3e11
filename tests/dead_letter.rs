//! A message that is never going to work is published as a dead letter with all that is known of its
//! end, and only then termed; the rest of its batch goes through.

use crate::harness::{Site, Stored, series};
use bytes::Bytes;

fn kinds(dead: &[Stored]) -> Vec<(String, String)> {
    let pair = |letter: &Stored| {
        (
            letter.text(),
            letter.header("Weir-Kind").unwrap().to_owned(),
        )
    };
    let mut pairs: Vec<_> = dead.iter().map(pair).collect();
    pairs.sort();
    pairs
}

#[test]
fn whatever_is_wrong_with_one_message_the_others_of_its_batch_go_through() {
    let site = Site::new();
    let client = site.nats.client();
    let bad = [
        ("alloc", "memory"),
        ("bad-subject", "sink"),
        ("flood", "output"),
        ("header-newline", "sink"),
        ("nats-header", "sink"),
        ("panic", "trap"),
        ("reject:no", "reject"),
        ("short", "length"),
        ("trap", "trap"),
    ];
    for (number, (payload, _)) in bad.iter().enumerate() {
        for good in 0..10 {
            client.publish("in.a", format!("good {number}/{good}"));
        }
        client.publish("in.a", *payload);
    }
    let weir = site.run(&site.pipeline(""));
    let dead = site.wait_for_messages("DEAD", bad.len() as u64);
    site.wait_until_settled();
    let expected: Vec<_> = bad
        .iter()
        .map(|(text, kind)| ((*text).into(), (*kind).into()))
        .collect();
    assert_eq!(kinds(&dead), expected);
    assert_eq!(client.count("OUT"), 10 * bad.len() as u64);
    assert_eq!(weir.metric(&series("dead_total")), bad.len() as f64);
    assert_eq!(weir.metric(&series("termed_total")), bad.len() as f64);
}

#[test]
fn a_message_that_never_ends_is_a_dead_letter_and_the_others_of_its_batch_go_through() {
    let site = Site::new();
    let client = site.nats.client();
    let payload = |number| if number == 7 { "spin" } else { "good" };
    client.publish_all((0..20).map(|number| ("in.a", payload(number))));
    let _weir = site.run(&site.pipeline_but(&[("deadline: 1m", "deadline: 3s")], ""));
    let dead = site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    assert_eq!(kinds(&dead), [("spin".to_owned(), "deadline".to_owned())]);
    assert_eq!((client.count("DEAD"), client.count("OUT")), (1, 19));
}

#[test]
fn a_dead_letter_carries_the_bytes_the_origin_and_the_backtrace() {
    let site = Site::new();
    let headers = [
        ("Trace", "t-1"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let sequence = site
        .nats
        .client()
        .publish_with_headers("in.shop.paid", &headers, "panic");
    let _weir = site.run(&site.pipeline(""));
    let dead = &site.wait_for_messages("DEAD", 1)[0];
    assert_eq!(dead.subject, "dead.p");
    assert_eq!(dead.text(), "panic");
    for (name, value) in headers {
        assert_eq!(dead.header(name), Some(value));
    }
    assert_eq!(dead.header("Weir-Pipeline"), Some("p"));
    assert_eq!(dead.header("Weir-Operator"), Some("op"));
    assert_eq!(dead.header("Weir-Stream"), Some("IN"));
    assert_eq!(
        dead.header("Weir-Sequence"),
        Some(sequence.to_string().as_str())
    );
    assert_eq!(dead.header("Weir-Subject"), Some("in.shop.paid"));
    assert_eq!(dead.header("Weir-Attempt"), Some("1"));
    assert_eq!(dead.header("Weir-Digest").unwrap().len(), 64);
    assert_eq!(dead.header("Weir-Config-Hash").unwrap().len(), 64);
    assert!(!dead.header("Weir-Backtrace").unwrap().is_empty());
    assert!(
        dead.header("Weir-Memory-Bytes")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
    assert!(dead.header("Weir-Elapsed-Us").is_some());
}

#[test]
fn a_payload_as_large_as_the_server_takes_becomes_a_dead_letter_whole_and_can_be_resent() {
    let site = Site::new();
    let client = site.nats.client();
    // `retry` forever would do as well; the plugin rejects what begins so.
    let mut payload = b"reject:".to_vec();
    payload.resize((1 << 20) - 64, b'x');
    client.publish("in.a", Bytes::from(payload.clone()));
    let weir = site.run(&site.pipeline(""));
    let parts = site.wait_for_messages("DEAD", 2);
    site.wait_until_settled();
    let joined: Vec<u8> = parts
        .iter()
        .flat_map(|part| part.payload.to_vec())
        .collect();
    assert!(joined == payload, "the parts are not the payload");
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));

    let listed = site.weir(&["dlq", "ls", "p.yaml", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 1, "{}", listed.stdout);
    let resent = site.weir(&["dlq", "resend", "p.yaml", "--all"]);
    assert_eq!(
        (resent.code, resent.stdout.trim()),
        (Some(0), "resent 1"),
        "{}",
        resent.stderr
    );
    assert_eq!(client.count("DEAD"), 0);
    assert_eq!(client.messages("IN").last().unwrap().payload, payload);
}

#[test]
fn an_input_of_the_largest_payload_whose_result_has_no_room_for_an_id_is_a_dead_letter_that_says_so()
 {
    const LARGEST: usize = 1 << 20;
    let site = Site::new();
    let client = site.nats.client();
    let payload = Bytes::from(vec![b'x'; LARGEST]);
    client.publish("in.a", payload.clone());
    client.publish("in.a", "small");
    let weir = site.run(&site.pipeline(""));
    let parts = site.wait_for_messages("DEAD", 2);
    site.wait_until_settled();
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{}/2", index + 1);
        assert_eq!(part.header("Weir-Part"), Some(place.as_str()));
        assert_eq!(part.header("Weir-Kind"), Some("sink"));
        let reason = part.header("Weir-Reason").unwrap();
        let said = format!("is over the server's limit of {LARGEST}");
        assert!(reason.contains(&said), "{reason}");
    }
    let joined: Vec<u8> = parts
        .iter()
        .flat_map(|part| part.payload.to_vec())
        .collect();
    assert!(joined == payload, "the parts are not the payload");
    let out = client.messages("OUT");
    assert_eq!(out.iter().map(Stored::text).collect::<Vec<_>>(), ["small"]);
    assert_eq!(weir.metric(&series("dead_total")), 1.0);
    assert_eq!(weir.metric(&series("acked_total")), 1.0);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));

    let resent = site.weir(&["dlq", "resend", "p.yaml", "--all"]);
    assert_eq!(resent.stdout.trim(), "resent 1", "{}", resent.stderr);
    assert_eq!(client.count("DEAD"), 0);
    assert_eq!(client.messages("IN").last().unwrap().payload, payload);
}

#[test]
fn parts_of_dead_letters_that_lie_between_each_other_are_told_apart() {
    let site = Site::new();
    let client = site.nats.client();
    let payloads = [b'x', b'y'].map(|filler| {
        let mut payload = b"reject:".to_vec();
        payload.resize((1 << 20) - 64, filler);
        Bytes::from(payload)
    });
    for payload in &payloads {
        client.publish("in.a", payload.clone());
    }
    let weir = site.run(&site.pipeline(""));
    let parts = site.wait_for_messages("DEAD", 4);
    site.wait_until_settled();
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    // As two lanes may store them, and one part twice.
    client.purge("DEAD");
    for index in [0, 2, 0, 3, 1] {
        let part = &parts[index];
        let lines = part.headers.iter().filter_map(|(name, values)| {
            let name = AsRef::<str>::as_ref(name);
            (name != "Nats-Msg-Id").then_some((name, values.first()?.as_str()))
        });
        let lines: Vec<_> = lines.collect();
        client.publish_with_headers(&part.subject, &lines, part.payload.clone());
    }

    let listed = site.weir(&["dlq", "ls", "p.yaml", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 2, "{}", listed.stdout);
    let resent = site.weir(&["dlq", "resend", "p.yaml", "--all"]);
    assert_eq!(resent.stdout.trim(), "resent 2", "{}", resent.stderr);
    assert_eq!(client.count("DEAD"), 0);
    let input = client.messages("IN");
    let [.., second, first] = &*input else {
        panic!("nothing was resent")
    };
    assert!(second.payload == payloads[1] && first.payload == payloads[0]);
}

#[test]
fn of_a_flood_of_dead_letters_a_few_are_shown_and_the_others_are_counted() {
    const FLOOD: usize = 3000;
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..FLOOD).map(|number| ("in.a", format!("reject:{number}"))));
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("DEAD", FLOOD as u64);
    site.wait_until_settled();
    weir.terminate();
    let log = weir.finish().stderr;
    let shown = log.matches("dead letter: ").count();
    let hidden = |line: &str| {
        let (before, _) = line.split_once(" more dead letters were not logged")?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    };
    let hidden: usize = log.lines().filter_map(hidden).sum();
    assert!(shown >= 10, "{log}");
    assert!(hidden > 0, "{log}");
    assert_eq!(shown + hidden, FLOOD);
}

#[test]
fn dead_letters_can_be_listed_shown_resent_and_purged() {
    let site = Site::new();
    let client = site.nats.client();
    for number in 0..3 {
        client.publish("in.a", format!("reject:{number}"));
    }
    client.publish("in.b", "trap");
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("DEAD", 4);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));

    let listed = site.weir(&["dlq", "ls", "p.yaml"]);
    assert_eq!(listed.stdout.lines().count(), 4);
    let shown = site.weir(&["dlq", "show", "p.yaml", "--kind", "trap"]);
    assert!(shown.stdout.contains("Subject: in.b"), "{}", shown.stdout);
    let refused = site.weir(&["dlq", "purge", "p.yaml"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
    let resent = site.weir(&["dlq", "resend", "p.yaml", "--kind", "trap", "--all"]);
    assert_eq!(resent.stdout.trim(), "resent 1", "{}", resent.stderr);
    assert_eq!(client.messages("IN").last().unwrap().subject, "in.b");
    let purged = site.weir(&["dlq", "purge", "p.yaml", "--all", "--json"]);
    assert_eq!(purged.stdout.trim(), r#"{"purged":3}"#);
    assert_eq!(client.count("DEAD"), 0);
}
