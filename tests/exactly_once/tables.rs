//! A table is read to its end before the first message of the others, and kept current. A row is joined with what the
//! table has for its key then, and never again, whatever is killed.

mod changes;
mod replay;

use crate::harness::{Site, Stored, guests, wait_for, wait_until};
use async_nats::jetstream::kv::{self, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const ORDERS: &str = "orders: { stream: IN, key: \"{subject[1..]}\" }";
const CUSTOMERS: &str = "customers: { bucket: CUSTOMERS, table: true }";
/// The stream of the bucket.
const BUCKET: &str = "KV_CUSTOMERS";

impl Site {
    /// With the bucket `CUSTOMERS`.
    fn with_bucket() -> (Self, Store) {
        let site = Self::new();
        let bucket = site.make_bucket(kv::Config::default());
        (site, bucket)
    }

    fn make_bucket(&self, config: kv::Config) -> Store {
        let config = kv::Config {
            bucket: "CUSTOMERS".to_owned(),
            ..config
        };
        let client = self.nats.client();
        let made = client.run(client.jetstream.create_key_value(config));
        made.unwrap()
    }

    /// A job of the standard join, whose left side is `orders` and whose right one is `customers`.
    fn looks_up(&self, sources: &[&str], kind: &str, more: &str) -> PathBuf {
        let join = std::fs::read(guests::plugin("join")).unwrap();
        let sides =
            "left: { name: order, source: orders }, right: { name: customer, source: customers }";
        let config = format!("config: {{ {sides}, kind: {kind} }}");
        self.sourced(sources, join, &config, more)
    }

    /// A job of a plugin with these sources.
    fn sourced(&self, sources: &[&str], plugin: Vec<u8>, config: &str, more: &str) -> PathBuf {
        self.file("plugin.wasm", plugin);
        let sources = format!("sources:\n  {}", sources.join("\n  "));
        let limits = "    limits: { deadline: 1m }\n";
        let changes = [
            ("source: { stream: IN, consumer: p }", &*sources),
            ("out.{subject}", "out.{key}"),
            (limits, &*format!("{limits}    {config}\n")),
        ];
        self.pipeline_but(&changes, &format!("delivery: exactly-once\n{more}"))
    }

    fn order(&self, key: &str, id: u64) {
        let client = self.nats.client();
        client.publish(&format!("in.{key}"), id.to_string());
    }

    fn put(&self, bucket: &Store, key: &str, value: &Value) {
        let put = bucket.put(key, value.to_string().into());
        self.nats.client().run(put).unwrap();
    }

    /// Orders of a key, with numbers from `first` on, until one is joined with this customer. The number behind the last.
    fn order_until(&self, key: &str, first: u64, customer: &Value) -> u64 {
        let mut id = first;
        wait_for(&format!("an order is joined with {customer}"), || {
            self.order(key, id);
            id += 1;
            let out = self.wait_for_messages("OUT", id);
            let last = out.last().unwrap().json();
            match last["customer"] == *customer {
                true => Ok(()),
                false => Err(last.to_string()),
            }
        });
        id
    }
}

/// Each order once, with its customer, by key in the order of the stream.
#[track_caller]
fn joined(out: &[Stored], orders: u64) -> BTreeMap<String, Vec<Value>> {
    let mut ids: Vec<u64> = out
        .iter()
        .map(|message| message.json()["order"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..orders).collect::<Vec<_>>());
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for message in out {
        let of = found.entry(message.subject.to_string()).or_default();
        of.push(message.json()["customer"].clone());
    }
    found
}

#[test]
fn a_table_of_ten_thousand_keys_is_loaded_before_the_first_of_the_rows_that_wait_already() {
    const KEYS: u64 = 10_000;
    let (site, _) = Site::with_bucket();
    let client = site.nats.client();
    let of = |number: u64| number * 7 % KEYS;
    client.publish_all((0..3000).map(|id| (format!("in.k{}", of(id)), id.to_string())));
    let subject = |key| format!("$KV.CUSTOMERS.k{key}");
    client.publish_all((0..KEYS).map(|key| (subject(key), (key * 10).to_string())));
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", 3000);
    for message in out {
        let row = message.json();
        let expected = of(row["order"].as_u64().unwrap()) * 10;
        assert_eq!(row["customer"], json!(expected), "{row}");
    }
    let said = weir.stderr();
    assert!(said.contains("loading a table"), "{said}");
    let shown = site.operate(&["show", "p"]).stdout;
    let line = shown.lines().find(|line| line.contains(" KV_CUSTOMERS@"));
    let line = line.unwrap();
    assert!(
        line.ends_with("; a table, read before the others"),
        "{line}"
    );
    assert!(!shown.contains("loading table"), "{shown}");
}

#[test]
fn a_table_is_kept_current_and_what_was_joined_is_not_looked_up_again_after_a_kill() {
    let (site, bucket) = Site::with_bucket();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "partitions: 2\n");
    let mut weir = site.run_job(&file);
    let mut orders = site.order_until("a", 0, &Value::Null);
    for version in 0..6 {
        site.put(&bucket, "a", &json!({ "version": version }));
        orders = site.order_until("a", orders, &json!({ "version": version }));
        if version % 2 == 1 {
            site.order("a", orders);
            weir.kill9();
            weir = site.run_job(&file);
            orders += 1;
        }
    }
    let out = site.wait_for_messages("OUT", orders);
    let found = joined(&out, orders);
    let seen = found["out.a"].iter();
    let versions: Vec<i64> = seen
        .map(|it| it["version"].as_i64().unwrap_or(-1))
        .collect();
    assert!(versions.is_sorted(), "{versions:?}");
    assert_eq!((versions[0], versions[versions.len() - 1]), (-1, 5));
}

#[test]
fn whoever_takes_over_joins_nothing_before_the_table_is_as_it_is_now() {
    const KEYS: u64 = 50;
    let (site, bucket) = Site::with_bucket();
    let more = "partitions: 3\nstate: { standby: 1 }\n";
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", more);
    let keys = || (0..KEYS).map(|key| format!("k{key}"));
    let put = |version: u64| keys().for_each(|key| site.put(&bucket, &key, &json!(version)));
    let order = |first: u64| {
        let each = (first..).zip(keys());
        each.for_each(|(id, key)| site.order(&key, id));
    };
    put(0);
    let mut hosts = vec![site.run_job(&file)];
    order(0);
    for version in 1..4 {
        site.wait_for_messages("OUT", version * KEYS);
        for mut host in hosts.drain(..) {
            host.kill9();
        }
        put(version);
        order(version * KEYS);
        hosts.extend([site.run_job(&file), site.run_job(&file)]);
    }
    let out = site.wait_for_messages("OUT", 4 * KEYS);
    for (key, customers) in joined(&out, 4 * KEYS) {
        assert_eq!(customers, [json!(0), json!(1), json!(2), json!(3)], "{key}");
    }
}

#[test]
fn a_key_that_is_removed_has_no_row_whether_it_was_deleted_purged_or_became_too_old() {
    let site = Site::new();
    let bucket = site.make_bucket(kv::Config {
        limit_markers: Some(Duration::from_secs(60)),
        ..kv::Config::default()
    });
    let client = site.nats.client();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let _weir = site.run_job(&file);
    let mut orders = 0;
    let removals: [&dyn Fn(); 3] = [
        &|| client.run(bucket.delete("a")).unwrap(),
        &|| client.run(bucket.purge("a")).unwrap(),
        // The server removes it a second later.
        &|| {
            let headers = [("Nats-TTL", "1s")];
            client.publish_with_headers("$KV.CUSTOMERS.a", &headers, "3");
        },
    ];
    for (number, remove) in removals.iter().enumerate() {
        site.put(&bucket, "a", &json!(number));
        orders = site.order_until("a", orders, &json!(number));
        remove();
        orders = site.order_until("a", orders, &Value::Null);
    }
    joined(&client.messages("OUT"), orders);
    assert_eq!(client.count("DEAD"), 0);
}

#[test]
fn a_key_that_goes_from_one_value_to_another_and_back_is_joined_with_each_in_its_time() {
    let (site, bucket) = Site::with_bucket();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table", "");
    let weir = site.run_job(&file);
    let client = site.nats.client();
    let customers = || {
        let out = client.messages("OUT").into_iter();
        out.map(|message| message.json()["customer"].clone())
    };
    let mut orders = 0;
    let values = [json!("A"), json!("B"), json!("A")];
    for value in &values {
        site.put(&bucket, "eu.a", value);
        // Before the first value is there, orders are dropped.
        wait_until("an order is joined with the value", || {
            site.order("eu.a", orders);
            orders += 1;
            customers().last().as_ref() == Some(value)
        });
    }
    wait_until("each order is a result or was dropped", || {
        let unmatched =
            "weir_plugin_counter_total{pipeline=\"p\",operator=\"op\",name=\"unmatched\"}";
        let dropped = weir.metric_of_plugin(unmatched);
        let dropped = dropped.unwrap_or_default() as u64;
        dropped + client.count("OUT") == orders
    });
    let mut seen: Vec<Value> = customers().collect();
    seen.dedup();
    assert_eq!(seen, values);
}

#[test]
fn a_value_that_is_no_json_is_a_dead_letter_and_the_row_before_it_stays() {
    let (site, bucket) = Site::with_bucket();
    let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "");
    let client = site.nats.client();
    let _weir = site.run_job(&file);
    site.put(&bucket, "a", &json!("good"));
    let orders = site.order_until("a", 0, &json!("good"));
    client.run(bucket.put("a", "no json".into())).unwrap();
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].header("Weir-Subject"), Some("$KV.CUSTOMERS.a"));
    let reason = dead[0].header("Weir-Reason").unwrap();
    assert!(
        reason.contains("cannot read the payload as JSON"),
        "{reason}"
    );
    site.order("a", orders);
    let out = site.wait_for_messages("OUT", orders + 1);
    assert_eq!(out.last().unwrap().json()["customer"], "good");
    site.put(&bucket, "a", &json!("better"));
    site.order_until("a", orders + 1, &json!("better"));
}

#[test]
fn event_time_does_not_wait_for_a_table_nor_is_it_that_of_its_messages() {
    let (site, bucket) = Site::with_bucket();
    let more = "partitions: 1\nevent-time: { header: Time, unit: s }\n";
    let plugin = guests::bytes("stateful");
    let file = site.sourced(&[ORDERS, CUSTOMERS], plugin, "headers: all", more);
    let client = site.nats.client();
    let order = |second: &str, script: &str| {
        client.publish_with_headers("in.a", &[("Time", second)], script.to_owned());
    };
    let weir = site.run_job(&file);
    // Its times are those of today.
    let put = |script: &str| client.run(bucket.put("a", script.to_owned().into()));
    put("say row; now event").unwrap();
    site.wait_for_messages("OUT", 1);
    order("100", "drop; timer event 150000000000 say fired");
    order("120", "say ahead");
    site.wait_for_messages("OUT", 2);
    order("120", "now event");
    site.wait_for_messages("OUT", 3);
    order("160", "say later");
    let out = site.wait_for_messages("OUT", 5);
    let texts: Vec<String> = out.iter().map(Stored::text).collect();
    let expected = ["row,0", "ahead", "120000000000", "later", "fired"];
    assert_eq!(texts, expected);
    let shown = site.operate(&["show", "p"]).stdout;
    assert!(!shown.contains("event time waits"), "{shown}");
    drop(weir);
    let checked = site.weir(&["check", "p.yaml"]).stdout;
    let said =
        "read as `customers`: a table, which the job reads to its end before the first message";
    assert!(checked.contains(said), "{checked}");
    assert!(
        checked.contains("`nats kv add CUSTOMERS` creates it"),
        "{checked}"
    );
}
