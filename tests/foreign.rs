//! Whatever a server stores is a message: no bytes of a subject or a header end a connection, hold up a
//! neighbour, or are lost.

use crate::harness::{Site, Weir, series, wait_for, wait_until};
use std::collections::BTreeSet;

/// A pipeline without a plugin, whose results are on one subject.
const PASSED_ON: (&str, &str) = ("\"out.{subject}\"", "out.all");

/// Header lines that are no text, or that clients read in different ways; some in blocks of their own.
const FOREIGN_LINES: [&[u8]; 8] = [
    b"City: M\xfcnchen",
    b"C\xfcty: a",
    b"A: a\rb",
    b"no colon",
    b": no name",
    b"A name: a",
    b"Name : a",
    b"\x00: \x00\xff",
];

/// Blocks that careless or very careful clients write.
const BLOCKS: [&[u8]; 8] = [
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0\nA: b\n\n",
    b"NATS/1.0\r\nA: b\r\n c\r\n\r\n",
    b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n",
    b"NATS/1.0\r\nA:b",
    b"no version",
];

/// Nothing was lost on the way: neither the connection nor the pipeline began anew.
#[track_caller]
fn nothing_began_anew(weir: &Weir) {
    for name in ["reconnects_total", "restarts_total", "redelivered_total"] {
        assert_eq!(weir.metric(&series(name)), 0.0, "{name}");
    }
}

fn without_plugin(site: &Site) -> std::path::PathBuf {
    let text = std::fs::read_to_string(site.pipeline_but(&[PASSED_ON], "")).unwrap();
    let (start, rest) = text.split_once("operators:\n").unwrap();
    let (_, end) = rest.split_once("sink:").unwrap();
    site.file("p.yaml", format!("{start}sink:{end}"))
}

#[test]
fn every_kind_of_header_block_and_subject_goes_through_and_so_do_its_neighbours() {
    let site = Site::new();
    let blocks = FOREIGN_LINES.map(|line| [b"NATS/1.0\r\nB: c\r\n", line, b"\r\n\r\n"].concat());
    let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).chain(BLOCKS).collect();
    let subjects: [&[u8]; 4] = [b"in.\xff", b"in.\xc3(", b"in.a\x7fb", b"in.\x01"];
    let mut messages: Vec<(&[u8], &[u8], &[u8])> = Vec::new();
    for block in &blocks {
        messages.push((b"in.good", b"", b"a neighbour"));
        messages.push((b"in.block", block, b"with a block"));
    }
    for subject in subjects {
        messages.push((subject, b"", b"on a subject"));
        messages.push((b"in.good", b"", b"a neighbour"));
    }
    site.nats.publish_raw(&messages);
    let weir = site.run(&without_plugin(&site));
    let client = site.nats.client();
    wait_until("all of them are passed on", || {
        client.count("OUT") == messages.len() as u64
    });
    site.wait_until_settled();
    nothing_began_anew(&weir);
    assert_eq!(client.count("DEAD"), 0);
    let stored: Vec<_> = (1..=messages.len())
        .map(|n| client.raw("OUT", n as u64))
        .collect();
    let payloads = |text: &str| {
        stored
            .iter()
            .filter(|one| one.payload == text.as_bytes())
            .count()
    };
    assert_eq!(payloads("with a block"), blocks.len());
    assert_eq!(payloads("on a subject"), subjects.len());
    for line in FOREIGN_LINES {
        let kept = stored
            .iter()
            .filter(|one| one.has_line(line) && one.has_line(b"B: c"));
        assert_eq!(kept.count(), 1, "{}", line.escape_ascii());
    }
}

#[test]
fn what_commands_the_server_is_not_passed_on_in_a_line_that_is_no_text_either() {
    let site = Site::new();
    let block =
        b"NATS/1.0\r\nnats-rollup: all\xff\r\nnats-ttl : 1s\r\nA: a\nNats-Rollup: all\r\n\r\n";
    site.nats
        .publish_raw(&[(b"in.a", b"", b"first"), (b"in.a", block, b"second")]);
    let _weir = site.run(&without_plugin(&site));
    let client = site.nats.client();
    wait_until("both are passed on", || client.count("OUT") == 2);
    let passed_on = client.raw("OUT", 2).headers.to_ascii_lowercase();
    for name in [&b"nats-rollup"[..], b"nats-ttl"] {
        assert!(!passed_on.windows(name.len()).any(|found| found == name));
    }
}

#[test]
fn a_plugin_is_never_shown_what_is_no_text_and_the_dead_letter_keeps_it() {
    let site = Site::new();
    let client = site.nats.client();
    let of = |line: &[u8]| [b"NATS/1.0\r\n", line, b"\r\n\r\n"].concat();
    let (all, named) = (of(b"City: M\xfcnchen"), of(b"Town: M\xfcnchen"));
    // One operator sees all headers of what is on `in.all`, one names those that it sees, one sees none.
    let operator = |name: &str, headers: &str| {
        format!(
            "  - {{ name: {name}, plugin: plugin.wasm, subjects: [in.{name}], \
             headers: {headers}, limits: {{ deadline: 1m }} }}\n"
        )
    };
    let operators =
        operator("all", "all") + &operator("named", "[city]") + &operator("none", "none");
    let text = std::fs::read_to_string(site.pipeline("")).unwrap();
    let (start, rest) = text.split_once("operators:\n").unwrap();
    let (_, end) = rest.split_once("sink:").unwrap();
    let file = site.file(
        "p.yaml",
        format!("{start}operators:\n{operators}sink:{end}"),
    );
    site.nats.publish_raw(&[
        (b"in.all", &all, b"seen"),
        (b"in.named", &all, b"seen by its name"),
        (b"in.named", &named, b"not seen"),
        (b"in.none", &all, b"not seen either"),
        (b"in.all", b"", b"a neighbour"),
    ]);
    let weir = site.run(&file);
    wait_until("three results", || client.count("OUT") == 3);
    wait_until("two dead letters", || client.count("DEAD") == 2);
    site.wait_until_settled();
    nothing_began_anew(&weir);
    let results = (1..=3).map(|number| client.raw("OUT", number));
    let results: BTreeSet<_> = results
        .map(|one| String::from_utf8(one.payload).unwrap())
        .collect();
    let expected = ["a neighbour", "not seen", "not seen either"].map(str::to_owned);
    assert_eq!(results, BTreeSet::from(expected));
    for number in 1..=2 {
        let letter = client.raw("DEAD", number);
        assert!(letter.has_line(b"City: M\xfcnchen"));
        assert!(letter.has_line(b"Weir-Kind: foreign"));
        let reason = b"Weir-Reason: `City: M\\xfcnchen` is not a header line in UTF-8";
        assert!(letter.has_line(reason), "{}", letter.headers.escape_ascii());
    }
}

#[test]
fn a_subject_that_is_no_text_is_a_dead_letter_where_a_plugin_or_the_sink_needs_it() {
    let site = Site::new();
    let client = site.nats.client();
    site.nats
        .publish_raw(&[(b"in.\xff", b"", b"odd"), (b"in.a", b"", b"a neighbour")]);
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("OUT", 1);
    wait_until("a dead letter", || client.count("DEAD") == 1);
    site.wait_until_settled();
    nothing_began_anew(&weir);
    let letter = client.raw("DEAD", 1);
    assert_eq!(letter.payload, b"odd");
    assert!(
        letter.has_line(b"Weir-Subject: in.\xff"),
        "{}",
        letter.headers.escape_ascii()
    );
}

#[test]
fn a_message_among_thousands_that_no_client_can_read_holds_up_none() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..500).map(|number| ("in.a", number.to_string())));
    site.nats
        .publish_raw(&[(b"in.a", b"NATS/1.0\r\nA: \xfc\rb\r\n\r\n", b"odd")]);
    client.publish_all((500..3000).map(|number| ("in.a", number.to_string())));
    let weir = site.run(&site.pipeline_but(&[PASSED_ON], ""));
    wait_for("all of them have arrived", || {
        let count = client.count("OUT");
        if count == 3001 {
            Ok(())
        } else {
            Err(count.to_string())
        }
    });
    nothing_began_anew(&weir);
}

#[test]
fn a_client_for_management_that_a_foreign_entry_ends_is_replaced_while_messages_flow() {
    let site = Site::of_versions("");
    let client = site.nats.client();
    let host = site.host();
    assert_eq!(site.deploy("v1", &[]).code, Some(0));
    wait_until("the host follows", || site.versions() == ["v1"]);
    // Its task ends by a panic over this.
    let block: &[u8] = b"NATS/1.0\r\nA: a\rb\r\n\r\n";
    let key: &[u8] = b"$KV.weir-deployments.q.op";
    site.nats.publish_raw(&[(key, block, b"{}")]);
    let replaced = || host.metric("weir_clients_replaced_total{}");
    wait_until("the client is replaced", || replaced() >= 1.0);
    let before = client.count("OUT");
    client.publish("in.a", "1");
    site.wait_for_messages("OUT", before + 1);
    // Without the entry the host follows again.
    let purged = client.run(async {
        let stream = client.jetstream.get_stream("KV_weir-deployments").await?;
        let purge = stream.purge().filter("$KV.weir-deployments.q.op");
        Ok::<_, async_nats::Error>(purge.await?)
    });
    assert_eq!(purged.unwrap().purged, 1);
    wait_until("the host follows again", || {
        site.deploy("v2", &[]).code == Some(0) && site.versions() == ["v2"]
    });
    assert_eq!(host.metric(&series("reconnects_total")), 0.0);
    assert_eq!(host.metric(&series("restarts_total")), 0.0);
}

#[test]
fn questions_of_any_bytes_end_nothing_of_a_host_and_are_answered_to_no_subject_of_the_server() {
    let site = Site::of_versions("max-errors: 50%");
    let client = site.nats.client();
    let host = site.host();
    site.round();
    let block: &[u8] = b"NATS/1.0\r\nA: a\rb\xff\r\n\r\n";
    for subject in [
        &b"$SRV.PING"[..],
        b"$SRV.STATS.weir",
        b"weir.status",
        b"$SRV.INFO.weir",
    ] {
        site.nats.publish_raw(&[(subject, block, b"?")]);
    }
    // The host may do that, and whoever asks may not.
    let stored = client.count("IN");
    assert!(stored > 0);
    let purge = b"$SRV.STATS.weir $JS.API.STREAM.PURGE.IN";
    site.nats.publish_raw(&[(purge, b"", b"?")]);
    assert_eq!(site.status(1).len(), 1);
    assert_eq!(client.count("IN"), stored);
    assert_eq!(host.metric("weir_clients_replaced_total{}"), 0.0);
    // What hosts learn over their other connections they go on learning.
    assert_eq!(site.deploy("v1", &[]).code, Some(0));
    wait_until("the host follows", || site.versions() == ["v1"]);
    assert_eq!(host.metric(&series("reconnects_total")), 0.0);
}
