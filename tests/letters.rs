//! A dead letter holds its message byte for byte in any size, is read as what it is whatever lies beside it,
//! and goes nowhere that a person or the pipeline has not named; nor do results.

use crate::harness::{Finished, NatsServer, Site};

/// A header block of one header with so many bytes.
fn block_of(size: usize) -> Vec<u8> {
    let frame = "NATS/1.0\r\nA: \r\n\r\n".len();
    format!("NATS/1.0\r\nA: {}\r\n\r\n", "v".repeat(size - frame)).into_bytes()
}

fn dlq(site: &Site, code: i32, arguments: &[&str]) -> Finished {
    let finished = site.weir(&[&["dlq", arguments[0], "p.yaml"], &arguments[1..]].concat());
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    finished
}

/// The headers of a letter that says that its message was on this subject.
fn letter(subject: &str) -> [(&str, &str); 5] {
    [
        ("Weir-Pipeline", "p"),
        ("Weir-Sequence", "1"),
        ("Weir-Kind", "reject"),
        ("Weir-Reason", "\u{1b}]0;owned\u{7}\u{9b}2J"),
        ("Weir-Subject", subject),
    ]
}

#[test]
fn a_letter_goes_back_to_what_the_source_takes_and_to_nothing_that_it_says_itself() {
    let site = Site::new();
    let client = site.nats.client();
    client.create_stream("PRECIOUS", &["precious.>"]);
    client.publish("precious.a", "x");
    let refused = [
        "$JS.API.STREAM.DELETE.PRECIOUS",
        "$JS.API.STREAM.PURGE.PRECIOUS",
        "$js.api.x",
        "_INBOX.a.b",
        "weir.status",
        "precious.b",
        "out.a",
        "in",
    ];
    for subject in refused {
        client.publish_with_headers("dead.p", &letter(subject), "");
    }
    client.publish_with_headers("dead.p", &letter("in.a"), "good");
    site.pipeline("");

    let listed = dlq(&site, 0, &["ls"]).stdout;
    assert_eq!(listed.lines().count(), refused.len() + 1, "{listed}");
    assert!(listed.contains(r"\u{1b}]0;owned\u{7}\u{9b}2J"), "{listed}");
    for output in [&*listed, &dlq(&site, 0, &["show", "1", "--json"]).stdout] {
        let unsafe_at = output.find(|c: char| c.is_control() && c != '\n');
        assert_eq!(unsafe_at, None, "{output:?}");
    }
    let resent = dlq(&site, 1, &["resend", "--all"]);
    assert_eq!(resent.stdout, "resent 1\n", "{}", resent.stderr);
    let stays = resent.stderr.matches("  stays: cannot resend").count();
    assert_eq!(stays, refused.len(), "{}", resent.stderr);
    assert_eq!(client.count("DEAD"), refused.len() as u64);
    assert_eq!(client.messages("IN")[0].text(), "good");
    assert_eq!((client.count("PRECIOUS"), client.count("OUT")), (1, 0));

    dlq(
        &site,
        2,
        &["resend", "1", "--to", "$JS.API.STREAM.DELETE.PRECIOUS"],
    );
    dlq(&site, 2, &["resend", "1", "--to", "_INBOX.x"]);
    assert_eq!(client.count("PRECIOUS"), 1);
    dlq(&site, 0, &["resend", "1", "--to", "precious.c"]);
    assert_eq!(client.count("PRECIOUS"), 2);
}

#[test]
fn whatever_lies_among_dead_letters_is_listed_and_the_rest_as_well() {
    let site = Site::new();
    let client = site.nats.client();
    site.pipeline("");
    for odd in [
        &b"City: M\xfcnchen"[..],
        b"A: a\rb",
        b"Weir-Pipeline: p\r\nWeir-Sequence: 1\r\nWeir-Subject: in.a\r\nA: \xff",
        b": no name",
        b"\r\n",
    ] {
        let block = [b"NATS/1.0\r\n", odd, b"\r\n\r\n"].concat();
        site.nats.publish_raw(&[(b"dead.p", &block, b"x")]);
    }
    site.nats
        .publish_raw(&[(b"dead.p", b"NATS/1.0 409 Consumer Deleted\r\n\r\n", b"x")]);
    client.publish_with_headers("dead.p", &letter("in.a"), "good");
    let listed = dlq(&site, 0, &["ls"]).stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 7, "{listed}");
    assert_eq!(
        listed
            .matches("  unknown   dead.p  not a dead letter\n")
            .count(),
        5,
        "{listed}"
    );
    assert!(lines[6].contains("  p  reject  "), "{listed}");
    let shown = dlq(&site, 0, &["show", "1"]).stdout;
    assert!(shown.contains(r"City: M\xfcnchen"), "{shown}");
    assert_eq!(dlq(&site, 0, &["resend", "--all"]).stdout, "resent 2\n");
    assert!(client.raw("IN", 1).has_line(b"A: \xff"));
    assert_eq!(dlq(&site, 0, &["purge", "2"]).stdout, "purged 1\n");
    assert_eq!(client.count("DEAD"), 4);
}

#[test]
fn a_message_comes_back_byte_for_byte() {
    let site = Site::new();
    let client = site.nats.client();
    let blocks: [&[u8]; 7] = [
        b"NATS/1.0\r\nshop: 7\r\nSet-Cookie: c=3\r\nA: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=2 \r\n\r\n",
        b"NATS/1.0\r\nWeir-Reason: mine\r\nWeir-Kept-A: 1\r\nB: 2\r\n\r\n",
        b"NATS/1.0\r\nA:1\r\nB:  2\r\n\r\n",
        b"NATS/1.0\r\nA: 1\r\n folded\r\n\r\n",
        b"NATS/1.0\r\nCity: M\xfcnchen\r\nA: 1\r\n\r\n",
        b"NATS/1.0\r\nA: a\rb\r\n\r\n",
        b"",
    ];
    let subjects: [&[u8]; 7] = [
        b"in.a", b"in.a", b"in.a", b"in.a", b"in.a", b"in.\x01", b"in.\xff",
    ];
    let messages = subjects.iter().zip(blocks);
    let messages: Vec<_> = messages
        .map(|(subject, block)| (*subject, block, &b"reject"[..]))
        .collect();
    site.nats.publish_raw(&messages);
    let weir = site.run(&site.pipeline(""));
    site.wait_until_settled();
    weir.terminate();
    weir.finish();
    assert_eq!(client.count("OUT"), 0);
    assert_eq!(dlq(&site, 0, &["resend", "--all"]).stdout, "resent 7\n");
    for (index, block) in blocks.iter().enumerate() {
        let back = client.raw("IN", 8 + index as u64);
        let start = b"NATS/1.0\r\nNats-Msg-Id: resend/DEAD/";
        let rest = back.headers.strip_prefix(start).expect("no id");
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let whole = [b"NATS/1.0\r\n", &rest[end..]].concat();
        let expected = if block.is_empty() {
            &b"NATS/1.0\r\n\r\n"[..]
        } else {
            block
        };
        assert_eq!(whole, expected, "{}", whole.escape_ascii());
        assert_eq!(back.payload, b"reject");
    }
}

#[test]
fn nothing_is_published_where_its_letter_could_not_be_deleted() {
    let site = Site::bare();
    let client = site.nats.client();
    client.create_stream("IN", &["in.>"]);
    client.create_stream_with(async_nats::jetstream::stream::Config {
        name: "DEAD".into(),
        subjects: vec!["dead.>".into()],
        deny_delete: true,
        ..Default::default()
    });
    client.publish_with_headers("dead.p", &letter("in.a"), "good");
    site.pipeline("");
    let refused = dlq(&site, 1, &["resend", "--all"]).stderr;
    assert!(
        refused.contains("stream `DEAD` has `deny_delete`"),
        "{refused}"
    );
    assert_eq!(client.count("IN"), 0);
}

#[test]
fn a_message_whose_headers_leave_no_room_is_stored_as_a_dead_letter_and_comes_back() {
    for (configuration, sizes) in [
        ("", [65_480, 65_300]),
        ("max_payload: 16384", [16_340, 16_000]),
    ] {
        let site = Site::on(NatsServer::start_with(configuration));
        site.create_streams();
        let client = site.nats.client();
        let inputs = [
            (sizes[0], &b""[..]),
            (sizes[0], b"abc"),
            (sizes[1], b"reject"),
        ];
        for (size, payload) in inputs {
            site.nats
                .publish_raw(&[(b"in.a", &block_of(size), payload)]);
        }
        let weir = site.run(&site.pipeline(""));
        site.wait_until_settled();
        weir.terminate();
        weir.finish();
        assert_eq!((client.count("OUT"), client.count("IN")), (0, 3));
        assert_eq!(dlq(&site, 0, &["resend", "--all"]).stdout, "resent 3\n");
        assert_eq!(client.count("DEAD"), 0);
        let back = (4..=6).map(|sequence| {
            let back = client.raw("IN", sequence);
            let lines = String::from_utf8(back.headers).unwrap();
            let lines = lines.split_inclusive("\r\n");
            let without_id = lines.filter(|line| !line.starts_with("Nats-Msg-Id"));
            (without_id.collect::<String>().into_bytes(), back.payload)
        });
        let mut back: Vec<_> = back.collect();
        let mut expected = inputs.map(|(size, payload)| (block_of(size), payload.to_vec()));
        back.sort();
        expected.sort();
        assert!(
            back == expected,
            "{:?}",
            back.iter()
                .map(|(block, _)| block.len())
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn results_go_to_no_subject_of_the_server_an_inbox_or_weir_whatever_the_sink_says() {
    let site = Site::new();
    let client = site.nats.client();
    let subjects = [
        "$KV.weir-deployments.victim.op",
        "$KV.totals.a",
        "$O.weir-components.C.x",
        "$JS.API.STREAM.DELETE.IN",
        "$js.api.x",
        "$SRV.PING",
        "_INBOX.a.b",
        "weir.parked.p.IN.p.due",
        "weir.dead.q",
        "dead.p",
    ];
    for subject in subjects {
        client.publish("in.a", format!("subject:{subject}"));
    }
    client.publish("in.a", "subject:out.free");
    let anything = ("\"out.{subject}\"", "\"{subject}\", allow-own-source: true");
    let _weir = site.run(&site.pipeline_but(&[anything], ""));
    let dead = site.wait_for_messages("DEAD", subjects.len() as u64);
    site.wait_until_settled();
    for letter in &dead {
        assert_eq!(
            letter.header("Weir-Kind"),
            Some("sink"),
            "{}",
            letter.text()
        );
    }
    assert_eq!(client.count("DEAD"), subjects.len() as u64);
    assert_eq!(client.messages("OUT")[0].subject, "out.free");
    assert_eq!(client.count("IN"), subjects.len() as u64 + 1);
}

#[test]
fn a_bucket_that_the_pipeline_names_holds_its_results() {
    let site = Site::new();
    let client = site.nats.client();
    let config = async_nats::jetstream::kv::Config {
        bucket: "totals".into(),
        ..Default::default()
    };
    let bucket = client
        .run(client.jetstream.create_key_value(config))
        .unwrap();
    client.publish("in.a", "7");
    let named = ("\"out.{subject}\"", "\"$KV.totals.{subject[1]}\"");
    let _weir = site.run(&site.pipeline_but(&[named], ""));
    site.wait_for_messages("KV_totals", 1);
    let value = client.run(bucket.get("a")).unwrap().unwrap();
    assert_eq!(value, "7");
    let ours = ("\"out.{subject}\"", "\"$KV.weir-deployments.{subject[1]}\"");
    site.pipeline_but(&[ours], "");
    let refused = site.weir(&["check", "p.yaml"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
}

#[test]
fn a_replay_accounts_for_every_message_whatever_its_bytes() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "good");
    site.nats
        .publish_raw(&[(b"in.\xff", b"NATS/1.0\r\nA: 1\r\n\r\n", b"x")]);
    site.nats
        .publish_raw(&[(b"in.a", b"NATS/1.0\r\nCity: M\xfcnchen\r\n\r\n", b"x")]);
    site.nats
        .publish_raw(&[(b"in.a", b"NATS/1.0\r\nA: a\rb\r\n\r\n", b"x")]);
    site.nats
        .publish_raw(&[(b"in.a", b"no block at all", b"x")]);
    site.nats
        .publish_raw(&[(b"in.a", b"NATS/1.0\r\nA:1\r\n\r\n", b"good")]);
    client.publish("in.b", "good");
    site.pipeline("");
    let replayed = site.weir(&["replay", "p.yaml"]);
    assert_eq!(replayed.code, Some(0), "{replayed:#?}");
    assert!(
        replayed
            .stderr
            .contains("replayed 7 messages of IN, 1 to 7"),
        "{replayed:#?}"
    );
    assert_eq!(replayed.stdout.matches("\"kind\":\"foreign\"").count(), 1);
    assert_eq!(replayed.stdout.lines().count(), 7);
    let traced = site.weir(&["trace", "in.a", "3"]);
    assert_eq!(traced.code, Some(0), "{traced:#?}");
}
