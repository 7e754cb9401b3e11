//! Every change of a key as a message, and what becomes of a table whose bucket or stream is not as usual.

use super::{BUCKET, CUSTOMERS, ORDERS, joined};
use crate::exactly_once::by_subject;
use crate::harness::{AS_HOST, Site, replaced, wait_for, wait_until};
use async_nats::jetstream::kv;
use serde_json::{Value, json};

const SOURCE: (&str, &str) = (
    "source: { stream: IN, consumer: p }",
    "source: { bucket: CUSTOMERS, keys: [\"eu.>\"] }",
);

#[test]
fn each_change_of_a_key_is_a_message_with_the_key_of_the_bucket_at_least_and_exactly_once() {
    for delivery in ["exactly-once", "at-least-once\norder: none"] {
        let (site, _) = Site::with_bucket();
        // A bucket that keeps what was there before.
        let client = site.nats.client();
        client
            .run(client.jetstream.delete_key_value("CUSTOMERS"))
            .unwrap();
        let bucket = site.make_bucket(kv::Config {
            history: 10,
            ..kv::Config::default()
        });
        let changes = [SOURCE, ("out.{subject}", "out.{key}")];
        let file = site.pipeline_but(&changes, &format!("delivery: {delivery}\n"));
        for value in [1, 2] {
            site.put(&bucket, "eu.a.b", &json!(value));
        }
        site.put(&bucket, "us.a", &json!(3));
        let _weir = site.run_job(&file);
        client.run(bucket.delete("eu.a.b")).unwrap();
        site.put(&bucket, "eu.a.b", &json!(1));
        client.run(bucket.purge("eu.c")).unwrap();
        let out = site.wait_for_messages("OUT", 5);
        let found = by_subject(&out);
        assert_eq!(found["out.eu.a.b"], ["1", "2", "", "1"], "{delivery}");
        assert_eq!(found["out.eu.c"], [""], "{delivery}");
        assert_eq!(found.len(), 2, "{delivery}");
        let removals = out.iter().filter_map(|it| it.header("KV-Operation"));
        assert_eq!(removals.collect::<Vec<_>>(), ["DEL", "PURGE"], "{delivery}");
    }
}

#[test]
fn a_table_with_other_keys_than_before_is_refused_because_their_rows_may_be_older_than_what_was_read()
 {
    let (site, bucket) = Site::with_bucket();
    site.put(&bucket, "us.a", &json!(1));
    site.put(&bucket, "eu.a", &json!(2));
    let some = "customers: { bucket: CUSTOMERS, keys: [\"eu.>\"], table: true }";
    let file = site.looks_up(&[ORDERS, some], "table-left", "");
    let weir = site.run_job(&file);
    site.order("eu.a", 0);
    site.wait_for_messages("OUT", 1);
    weir.terminate();
    weir.finish();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let refused = site.start_job(&file).finish();
    for said in [
        "its state depends on another `sources.customers.keys`: `eu.>`, not none",
        "give `sources.customers.keys` the value `eu.>` in the file",
    ] {
        assert!(refused.stderr.contains(said), "{refused:#?}");
    }
    let reset = ["job", "reset", "p", "--to", "orders=1,customers=1", "--yes"];
    let refused = site.weir(&reset);
    let said = "source `customers` is a table";
    assert!(refused.stderr.contains(said), "{refused:#?}");
}

#[test]
fn a_bucket_that_is_not_there_is_said_and_not_made_and_read_once_it_is_there() {
    let site = Site::new();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let refused = site.start_job(&file).finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let said = "there is no bucket `CUSTOMERS`";
    assert!(refused.stderr.contains(said), "{refused:#?}");
    assert!(
        refused.stderr.contains("`nats kv add CUSTOMERS`"),
        "{refused:#?}"
    );
    assert!(site.nats.client().stream_info(BUCKET).is_none());
    site.order("a", 0);
    let bucket = site.make_bucket(kv::Config::default());
    site.put(&bucket, "a", &json!("now"));
    let mut weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].json(), json!({ "order": 0, "customer": "now" }));
    // It goes, and comes again with other values, while the host runs.
    let client = site.nats.client();
    client
        .run(client.jetstream.delete_key_value("CUSTOMERS"))
        .unwrap();
    weir.wait_until_output(said);
    let bucket = site.make_bucket(kv::Config::default());
    site.put(&bucket, "a", &json!("anew"));
    site.order_until("a", 1, &json!("anew"));
}

#[test]
fn a_table_keeps_what_it_has_read_of_a_bucket_that_is_emptied_without_a_word() {
    let (site, bucket) = Site::with_bucket();
    let client = site.nats.client();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let weir = site.run_job(&file);
    site.put(&bucket, "a", &json!("before"));
    let orders = site.order_until("a", 0, &json!("before"));
    drop(weir);
    client.purge(BUCKET);
    // What was its end at the start is gone.
    site.order("a", orders);
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", orders + 1);
    assert_eq!(out.last().unwrap().json()["customer"], "before");
    site.put(&bucket, "a", &json!("after"));
    let orders = site.order_until("a", orders + 1, &json!("after"));
    joined(&client.messages("OUT"), orders);
}

#[test]
fn a_stream_can_be_a_table_and_has_the_last_message_of_each_key() {
    let site = Site::new();
    let client = site.nats.client();
    client.create_stream("PRICES", &["prices.>"]);
    let table = "customers: { stream: PRICES, key: \"{payload:/of}\", table: true }";
    let file = site.looks_up(&[ORDERS, table], "table-left", "");
    let row = |of: &str, price: u64| json!({ "of": of, "price": price });
    for number in 0..200 {
        let of = format!("k{}", number % 20);
        client.publish("prices.new", row(&of, number).to_string());
    }
    (0..20).for_each(|key| site.order(&format!("k{key}"), key));
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 20);
    for (subject, customers) in joined(&out, 20) {
        let key = subject.strip_prefix("out.").unwrap();
        let number: u64 = key[1..].parse().unwrap();
        assert_eq!(customers, [row(key, 180 + number)]);
    }
}

/// What a host may do that cannot read the bucket, or all.
fn permitting(denied: &str) -> String {
    format!(
        "authorization {{ users = [ {{ user: all, password: a }}, {{ user: host, password: h, permissions: {{ \
         publish: {{ deny: [{denied}] }} }} }} ] }}\nno_auth_user: all"
    )
}

#[test]
fn rows_wait_for_a_table_that_cannot_be_read_until_it_can_be_or_its_end_is_removed() {
    for is_emptied in [false, true] {
        let site = Site::permitting("permissions: { publish: { allow: \">\" } }");
        let client = site.nats.client();
        let bucket = site.make_bucket(kv::Config::default());
        for key in 0..7 {
            site.put(&bucket, &format!("k{key}"), &json!(key));
        }
        site.order("k3", 0);
        let denied = "\"$JS.API.CONSUMER.CREATE.KV_CUSTOMERS.>\"";
        site.nats.reload(&permitting(denied));
        let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
        let text = std::fs::read_to_string(&file).unwrap();
        site.file("p.yaml", replaced(&text, &[AS_HOST]));
        let _weir = site.run_job(&file);
        wait_for("it is said how far the table is", || {
            let shown = site.operate(&["show", "p"]).stdout;
            let is_said = |line: &str| {
                line.contains("loading table KV_CUSTOMERS@") && line.ends_with(": 0 of 7")
            };
            shown.lines().any(is_said).then_some(()).ok_or(shown)
        });
        assert_eq!(client.count("OUT"), 0);
        match is_emptied {
            true => client.purge(BUCKET),
            false => site.nats.reload(&permitting("")),
        }
        let out = site.wait_for_messages("OUT", 1);
        let expected = if is_emptied { Value::Null } else { json!(3) };
        assert_eq!(out[0].json()["customer"], expected);
        wait_until("it is loaded", || {
            !site
                .operate(&["show", "p"])
                .stdout
                .contains("loading table")
        });
    }
}

#[test]
fn a_job_that_is_set_back_reads_its_tables_from_their_beginning() {
    let (site, bucket) = Site::with_bucket();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let weir = site.run_job(&file);
    site.put(&bucket, "a", &json!("row"));
    let orders = site.order_until("a", 0, &json!("row"));
    drop(weir);
    let to = orders.to_string();
    let done = site.operate(&["reset", "p", "--to", &format!("orders={to}"), "--yes"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let _weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", orders + 1);
    let last = json!({ "order": orders - 1, "customer": "row" });
    assert_eq!(out.last().unwrap().json(), last);
}

#[test]
fn lines_of_a_table_are_told_by_their_subjects_where_there_is_no_server() {
    let site = Site::new();
    site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let message = |subject: &str, payload: Value| json!({ "subject": subject, "payload": payload });
    let removal = json!({
        "subject": "$KV.CUSTOMERS.eu.a", "headers": { "KV-Operation": "DEL" }, "text": "",
    });
    let lines = [
        message("$KV.CUSTOMERS.a", json!("row")),
        message("in.a", json!(1)),
        message("$KV.CUSTOMERS.eu.a", json!("other")),
        removal,
        message("in.eu", json!(2)),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    site.file("input.jsonl", input);
    let blessed = site.plugin(&["test", "p.yaml", "--no-build", "--bless"]);
    assert_eq!(blessed.code, Some(0), "{blessed:#?}");
    let text = std::fs::read_to_string(site.path("expected.jsonl")).unwrap();
    let results = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let payloads: Vec<Value> = results.map(|line: Value| line["payload"].clone()).collect();
    let expected = [
        json!({ "order": 1, "customer": "row" }),
        json!({ "order": 2, "customer": null }),
    ];
    assert_eq!(payloads, expected);
}
