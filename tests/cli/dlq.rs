//! `weir dlq` shows what failed and why, and loses nothing when it sends it again.

use super::json;
use crate::harness::{Finished, Site};

/// A pipeline that has run over these payloads until so many messages were in the dead letters' stream.
fn with_dead_letters(payloads: &[&str], dead: u64) -> Site {
    let site = Site::new();
    let client = site.nats.client();
    for payload in payloads {
        client.publish_with_headers("in.a", &[("Shop", "7")], (*payload).to_owned());
    }
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("DEAD", dead);
    site.wait_until_settled();
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    assert_eq!(client.count("DEAD"), dead);
    site
}

#[track_caller]
fn dlq(site: &Site, code: i32, verb: &str, more: &[&str]) -> Finished {
    let finished = site.weir(&[&["dlq", verb, "p.yaml"], more].concat());
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    finished
}

#[test]
fn dead_letters_are_listed_shown_and_purged() {
    let site = &with_dead_letters(&["reject", "good", "trap", "reject"], 3);
    let list = dlq(site, 0, "list", &[]).stdout;
    let lines: Vec<&str> = list.lines().map(str::trim).collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(
        lines[0].starts_with('1') && lines[0].ends_with("in.a  the payload said so"),
        "{list}"
    );
    assert!(lines[1].contains("  p/op  trap  "), "{list}");
    let time = lines[0].split_whitespace().nth(1).unwrap();
    assert_eq!((time.len(), time.ends_with('Z')), (20, true), "{list}");
    dlq(site, 2, "ls", &["--kind", "tarp"]);
    let traps = dlq(site, 0, "ls", &["--kind", "trap", "--json"]).stdout;
    assert_eq!(json(&traps)["dead_letter"], 2);
    assert_eq!(json(&traps)["sequence"], "3");

    // Whoever looks at dead letters need not have the plugins.
    std::fs::remove_file(site.path("plugin.wasm")).unwrap();
    let shown = dlq(site, 0, "show", &["2"]).stdout;
    assert!(shown.starts_with("dead letter 2\n"), "{shown}");
    assert!(
        shown.contains("  header Shop: 7\n  payload, 4 bytes:\ntrap\n"),
        "{shown}"
    );
    let shown = json(&dlq(site, 0, "show", &["2", "--json"]).stdout);
    let message = r#"{"sequence":3,"subject":"in.a","headers":{"Shop":"7"},"text":"trap"}"#;
    assert_eq!(shown["message"], json(message));
    let nothing = dlq(site, 1, "show", &["9"]);
    assert_eq!(
        nothing.stderr,
        "error: cannot find 1 of 1 dead letter\n\n\
         hint: list them with `weir dlq ls p.yaml`\n"
    );
    dlq(site, 2, "purge", &[]);

    assert_eq!(dlq(site, 0, "purge", &["2"]).stdout, "purged 1\n");
    assert_eq!(dlq(site, 0, "purge", &["--all"]).stdout, "purged 2\n");
    assert_eq!(dlq(site, 0, "ls", &[]).stdout, "no dead letters\n");
}

#[test]
fn a_payload_is_shown_as_it_can_be_read_and_gives_a_terminal_no_orders() {
    let payloads = ["reject: {\"name\":\"Zoë\"}", "reject: \u{1b}[31mred"];
    let site = &with_dead_letters(&payloads, 2);
    let shown = dlq(site, 0, "show", &[]).stdout;
    assert!(shown.contains("\nreject: {\"name\":\"Zoë\"}\n"), "{shown}");
    assert!(shown.contains("\nreject: \\u{1b}[31mred\n"), "{shown}");
}

#[test]
fn marks_in_a_backtrace_stand_below_what_they_mark() {
    let site = &with_dead_letters(&["raise"], 1);
    let shown = dlq(site, 0, "show", &[]).stdout;
    let raised = "  Reason: the payload said so\n";
    let below = "  Backtrace:\n      raise | error\n            ^^^^^\n";
    assert!(shown.contains(raised) && shown.contains(below), "{shown}");
}

#[test]
fn what_is_redacted_is_in_no_dead_letter_and_the_letter_cannot_be_resent() {
    let site = &Site::new();
    let headers = [("Authorization", "secret"), ("Shop", "7")];
    let client = site.nats.client();
    client.publish_with_headers("in.a", &headers, "reject: card 4111".to_owned());
    let redact = "dead.p, redact: { fields: [/card], headers: [authorization] } }";
    let file = site.pipeline_but(&[("dead.p }", redact)], "");
    let weir = site.run(&file);
    let dead = site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    assert_eq!(dead[0].text(), "[redacted]");
    assert_eq!(dead[0].header("Authorization"), Some("[redacted]"));
    assert_eq!(dead[0].header("Shop"), Some("7"));
    let refused = dlq(site, 1, "resend", &["1"]).stderr;
    assert!(
        refused.contains("it does not hold the whole message")
            && refused.contains("hint: publish the original again: message 1 of stream `IN`"),
        "{refused}"
    );
    assert_eq!(client.count("DEAD"), 1);
}

#[test]
fn a_resent_message_is_as_it_was_and_its_dead_letter_is_gone() {
    // So large that its dead letter had to be stored in two parts.
    let large = format!("reject:{}", "x".repeat((1 << 20) - 200));
    let site = &with_dead_letters(&["reject", &large], 3);
    let resent = dlq(site, 0, "resend", &["--all", "--json"]).stdout;
    assert_eq!(json(&resent)["resent"], 2);
    assert_eq!(site.nats.client().count("DEAD"), 0);
    let messages = site.nats.client().messages("IN");
    let again = &messages[2..];
    assert_eq!(again.len(), 2);
    for (resent, original) in again.iter().zip(&messages) {
        assert_eq!(resent.subject, original.subject);
        assert!(resent.payload == original.payload, "the payload differs");
        assert_eq!(resent.header("Shop"), Some("7"));
        assert_eq!(resent.header("Weir-Reason"), None);
    }
}

#[test]
fn what_is_shown_of_a_message_that_failed_again_can_be_published_as_a_new_one() {
    let site = &with_dead_letters(&["reject"], 1);
    dlq(site, 0, "resend", &["--all"]);
    let _weir = site.run(&site.pipeline(""));
    site.wait_for_messages("DEAD", 1);
    let dead = &site.nats.client().messages("DEAD")[0];
    let id = dead.header("Weir-Kept-Nats-Msg-Id");
    assert!(
        id.is_some_and(|id| id.starts_with("resend/DEAD/1/")),
        "{dead:#?}"
    );
    let shown = json(&dlq(site, 0, "show", &["--json"]).stdout);
    assert_eq!(shown["message"]["headers"], json(r#"{"Shop":"7"}"#));
}

#[test]
fn a_message_that_nobody_takes_back_keeps_its_dead_letter() {
    let site = &with_dead_letters(&["reject"], 1);
    let client = site.nats.client();
    client.run(client.jetstream.delete_stream("IN")).unwrap();
    let refused = dlq(site, 1, "resend", &["1"]);
    assert!(
        refused
            .stderr
            .contains("cannot resend dead letter 1 to `in.a`\n"),
        "{refused:#?}"
    );
    assert!(
        refused
            .stderr
            .ends_with("\nhint: make sure that a stream captures `in.a`\n"),
        "{refused:#?}"
    );
    assert_eq!(client.count("DEAD"), 1);
}

/// Pipelines may share a subject for their dead letters, and anybody may publish there.
#[test]
fn what_is_no_dead_letter_is_listed_as_what_it_is_and_nothing_of_others_is_purged() {
    let site = &with_dead_letters(&["reject", "reject"], 2);
    let client = site.nats.client();
    client.publish("dead.p", "not a dead letter");
    client.publish_with_headers("dead.p", &[("Weir-Pipeline", "other")], "of another");
    let list = dlq(site, 0, "ls", &[]).stdout;
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(
        list.contains("  -  unknown   dead.p  not a dead letter\n"),
        "{list}"
    );
    let refused = dlq(site, 1, "resend", &["3"]).stderr;
    assert!(refused.contains("it is not a dead letter"), "{refused}");
    assert_eq!(dlq(site, 0, "purge", &["--all"]).stdout.trim(), "purged 2");
    let left = client.messages("DEAD");
    let payloads: Vec<_> = left.iter().map(|message| message.text()).collect();
    assert_eq!(payloads, ["not a dead letter", "of another"]);
}
