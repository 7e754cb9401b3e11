//! `weir dlq` shows what failed and why, and loses nothing when it sends it again.

use super::json;
use crate::harness::{Finished, NatsServer, Weir, pipeline_folder, wait_until};
use std::path::Path;
use tempfile::TempDir;

/// Runs a pipeline over these payloads until `dead` messages are in the dead letters' stream.
fn scene(payloads: &[&str], dead: u64) -> (NatsServer, TempDir) {
    let server = NatsServer::start();
    let client = server.client();
    client.create_stream("ORDERS", &["orders.>"]);
    client.create_stream("OUT", &["out.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    for payload in payloads {
        client.publish_with_headers("orders.a", &[("Shop", "7")], (*payload).to_owned());
    }
    let pipeline = format!(
        "name: demo
nats: {{ url: \"{}\" }}
source: {{ stream: ORDERS }}
operators:
  - {{ name: work, plugin: plugin.wasm }}
sink: {{ subject: \"out.{{subject[1]}}\" }}
dead-letter: {{ subject: dead.demo }}
",
        server.url()
    );
    let folder = pipeline_folder("misbehave", &pipeline);
    let off = ["--metrics-listen", "off", "--admin-listen", "off"];
    let weir = Weir::start(
        folder.path(),
        &[&["run", "pipeline.yaml"], &off[..]].concat(),
    );
    wait_until("the dead letters are there", || {
        client.count("DEAD") == dead
    });
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    (server, folder)
}

#[track_caller]
fn dlq(folder: &Path, code: i32, verb: &str, more: &[&str]) -> Finished {
    let finished = Weir::run_in(folder, &[&["dlq", verb, "pipeline.yaml"], more].concat());
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    finished
}

#[test]
fn dead_letters_are_listed_shown_and_purged() {
    let (_server, folder) = scene(&["reject", "good", "trap", "reject"], 3);
    let folder = folder.path();
    let list = dlq(folder, 0, "list", &[]).stdout;
    let lines: Vec<&str> = list.lines().map(str::trim).collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(
        lines[0].starts_with('1') && lines[0].ends_with("orders.a  the payload said so"),
        "{list}"
    );
    assert!(lines[1].contains("  demo  trap  "), "{list}");
    dlq(folder, 2, "ls", &["--kind", "tarp"]);
    let traps = dlq(folder, 0, "ls", &["--kind", "trap", "--json"]).stdout;
    assert_eq!(json(&traps)["dead_letter"], 2);
    assert_eq!(json(&traps)["sequence"], "3");

    // Whoever looks at dead letters need not have the plugins.
    std::fs::remove_file(folder.join("plugin.wasm")).unwrap();
    let shown = dlq(folder, 0, "show", &["2"]).stdout;
    assert!(shown.starts_with("dead letter 2\n"), "{shown}");
    assert!(
        shown.contains("  header Shop: 7\n  payload, 4 bytes:\ntrap\n"),
        "{shown}"
    );
    let shown = json(&dlq(folder, 0, "show", &["2", "--json"]).stdout);
    let message = r#"{"sequence":3,"subject":"orders.a","headers":{"Shop":"7"},"text":"trap"}"#;
    assert_eq!(shown["message"], json(message));
    let nothing = dlq(folder, 1, "show", &["9"]);
    assert_eq!(
        nothing.stderr,
        "error: 1 of 1 dead letters are not there\n\n\
         hint: list them with `weir dlq ls pipeline.yaml`\n"
    );
    dlq(folder, 2, "purge", &[]);

    assert_eq!(dlq(folder, 0, "purge", &["2"]).stdout, "purged 1\n");
    assert_eq!(dlq(folder, 0, "purge", &["--all"]).stdout, "purged 2\n");
    assert_eq!(dlq(folder, 0, "ls", &[]).stdout, "no dead letters\n");
}

#[test]
fn a_payload_is_shown_as_it_can_be_read_and_gives_a_terminal_no_orders() {
    let payloads = ["reject: {\"name\":\"Zoë\"}", "reject: \u{1b}[31mred"];
    let (_server, folder) = scene(&payloads, 2);
    let shown = dlq(folder.path(), 0, "show", &[]).stdout;
    assert!(shown.contains("\nreject: {\"name\":\"Zoë\"}\n"), "{shown}");
    assert!(shown.contains("\nreject: \\u{1b}[31mred\n"), "{shown}");
}

#[test]
fn a_replayed_message_is_as_it_was_and_its_dead_letter_is_gone() {
    // So large that its dead letter had to be stored in two parts.
    let large = format!("reject:{}", "x".repeat((1 << 20) - 200));
    let (server, folder) = scene(&["reject", &large], 3);
    let replayed = dlq(folder.path(), 0, "replay", &["--all", "--json"]).stdout;
    assert_eq!(json(&replayed)["replayed"], 2);
    assert_eq!(server.client().count("DEAD"), 0);
    let messages = server.client().messages("ORDERS");
    let replays = &messages[2..];
    assert_eq!(replays.len(), 2);
    for (replay, original) in replays.iter().zip(&messages) {
        assert_eq!(replay.subject, original.subject);
        assert!(replay.payload == original.payload, "the payload differs");
        assert_eq!(replay.header("Shop"), Some("7"));
        assert_eq!(replay.header("Weir-Reason"), None);
    }
}

#[test]
fn a_message_that_nobody_takes_back_keeps_its_dead_letter() {
    let (server, folder) = scene(&["reject"], 1);
    let client = server.client();
    client
        .run(client.jetstream.delete_stream("ORDERS"))
        .unwrap();
    let refused = dlq(folder.path(), 1, "replay", &["1"]);
    assert!(
        refused
            .stderr
            .contains("cannot replay dead letter 1 to `orders.a`\n"),
        "{refused:#?}"
    );
    assert!(
        refused
            .stderr
            .ends_with("\nhint: see that a stream captures `orders.a`\n"),
        "{refused:#?}"
    );
    assert_eq!(client.count("DEAD"), 1);
}

/// Pipelines may share a subject for their dead letters, and anybody may publish there.
#[test]
fn what_is_no_dead_letter_of_the_pipeline_is_neither_listed_nor_purged() {
    let (server, folder) = scene(&["reject", "reject"], 2);
    let client = server.client();
    client.publish("dead.demo", "not a dead letter");
    client.publish_with_headers("dead.demo", &[("Weir-Pipeline", "other")], "of another");
    wait_until("four messages are there", || client.count("DEAD") == 4);
    let folder = folder.path();
    assert_eq!(dlq(folder, 0, "ls", &[]).stdout.lines().count(), 2);
    assert_eq!(
        dlq(folder, 0, "purge", &["--all"]).stdout.trim(),
        "purged 2"
    );
    let left = client.messages("DEAD");
    let payloads: Vec<_> = left.iter().map(|message| message.text()).collect();
    assert_eq!(payloads, ["not a dead letter", "of another"]);
}
