//! `std:enrich` adds to a message what a server says of it: once for each URL, again where the server was busy, and
//! with a reason where it knows nothing. What a bucket says of it, `std:join` adds.

use crate::harness::guests::{self, repository};
use crate::harness::lane::{Lane, limits, runtime};
use crate::harness::web::Web;
use crate::harness::{Finished, Site, Weir, pipeline_folder, replaced};
use async_nats::jetstream::kv;
use serde_json::{Value, json};
use weir::config::limits::Limits;
use weir::config::origin::Origin;
use weir::config::resolved::Grants;
use weir::message::Outcome;
use weir::plugin::LoadOptions;

/// One instance of the plugin, which asks this server with these keys besides.
fn lane(web: &Web, more: Value, limits: Limits) -> Lane {
    let mut grants = Grants::default();
    grants
        .http
        .push(Origin::parse(&web.origin(), false).unwrap());
    let options = LoadOptions {
        grants: Some(&grants),
        ..LoadOptions::default()
    };
    let plugin = runtime()
        .load_with(&guests::plugin("enrich"), options)
        .unwrap();
    let mut config = json!({
        "url": format!("{}/items/{{/sku}}", web.origin()), "into": "price", "pick": "/cents",
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Lane::new(plugin, limits, &config.to_string())
}

fn order(sku: &str) -> String {
    json!({ "sku": sku }).to_string()
}

/// What became of an order for each article: the payload of the result, or why there is none.
fn outcomes(lane: &mut Lane, skus: &[&str]) -> Vec<String> {
    let orders: Vec<_> = skus.iter().map(|sku| order(sku)).collect();
    let orders: Vec<_> = orders.iter().map(String::as_str).collect();
    let outcomes = lane.call(&orders).unwrap().into_iter();
    let text = |outcome| match outcome {
        Outcome::Emit(outputs) => {
            let payload = outputs[0].payload.clone();
            payload.map_or("unchanged".into(), |it| {
                String::from_utf8(it.to_vec()).unwrap()
            })
        }
        Outcome::Reject(reason) => format!("reject: {reason}"),
        Outcome::Retry { reason, .. } => format!("retry: {reason}"),
    };
    outcomes.map(text).collect()
}

#[test]
fn messages_with_the_same_url_share_one_request_for_as_long_as_the_answer_is_good() {
    let web = Web::start();
    let mut remembers = lane(&web, json!({ "missing": "set-null" }), limits());
    let (pen, none) = (
        r#"{"sku":"pen","price":150}"#,
        r#"{"sku":"none","price":null}"#,
    );
    let found = outcomes(&mut remembers, &["pen", "none", "pen", "none"]);
    assert_eq!(found, [pen, none, pen, none]);
    assert_eq!(outcomes(&mut remembers, &["pen", "none"]), [pen, none]);
    assert_eq!(web.hits(), 2);
    let cache = json!({ "cache": { "ttl": "0s" } });
    let mut forgets = lane(&web, cache, limits());
    assert_eq!(outcomes(&mut forgets, &["pen", "pen"]), [pen, pen]);
    assert_eq!(outcomes(&mut forgets, &["pen"]), [pen]);
    assert_eq!(web.hits(), 4);
}

#[test]
fn a_batch_of_many_articles_asks_for_no_more_at_once_than_it_may() {
    let web = Web::start();
    let mut lane = lane(&web, json!({}), limits());
    let skus: Vec<_> = (0..100).map(|number| format!("pen {number}/é")).collect();
    let skus: Vec<_> = skus.iter().map(String::as_str).collect();
    let expected = skus
        .iter()
        .map(|sku| format!(r#"{{"sku":"{sku}","price":150}}"#));
    assert_eq!(outcomes(&mut lane, &skus), expected.collect::<Vec<_>>());
    assert_eq!(web.hits(), 100);
}

#[test]
fn an_answer_that_is_of_no_use_is_a_dead_letter_that_names_the_url() {
    let web = Web::start();
    let narrow = Limits {
        http_response_bytes: 1000,
        ..limits()
    };
    let mut lane = lane(&web, json!({}), narrow);
    let skus = ["none", "page", "large", "forbidden", "empty"];
    let url = format!("{}/items", web.origin());
    let expected = [
        format!("reject: `{url}/none` has the status 404"),
        format!(
            "reject: the answer of `{url}/page` is not JSON: expected value at line 1 column 1"
        ),
        format!(
            "reject: `{url}/large`: the response of `{}` is larger than `limits.http-response`",
            web.origin()
        ),
        format!("reject: `{url}/forbidden` has the status 403"),
        format!("reject: the answer of `{url}/empty` has no field /cents"),
    ];
    assert_eq!(outcomes(&mut lane, &skus), expected);
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_a_message_that_it_never_answers_is_a_dead_letter() {
    let (site, web) = (Site::new(), Web::start());
    let client = site.nats.client();
    for sku in ["late", "busy", "pen"] {
        client.publish(&format!("in.{sku}"), order(sku));
    }
    let origin = web.origin();
    let config = format!(
        "deadline: 1m }}\n    grants: {{ http: [\"{origin}\"] }}\n    config: {{ url: \"{origin}/items/{{/sku}}\", into: /price, pick: cents }}"
    );
    let changes = [("plugin.wasm", "std:enrich"), ("deadline: 1m }", &*config)];
    let _weir = site.run(&site.pipeline_but(&changes, ""));
    site.wait_until_settled();
    let out = site.wait_for_messages("OUT", 2);
    let mut out: Vec<_> = out.iter().map(|it| it.text()).collect();
    out.sort();
    assert_eq!(
        out,
        [
            r#"{"sku":"late","price":150}"#,
            r#"{"sku":"pen","price":150}"#
        ]
    );
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].header("Weir-Subject"), Some("in.busy"));
    assert_eq!(dead[0].header("Weir-Kind"), Some("retries"));
    let reason = format!("gave up after 5 attempts: `{origin}/items/busy` has the status 503");
    assert_eq!(dead[0].header("Weir-Reason"), Some(&*reason));
}

/// `weir check` of an operator with these lines besides.
fn checked(more: &str) -> Finished {
    let pipeline = format!(
        "name: demo\nsource: {{ stream: IN }}\nsink: {{ subject: out }}\noperators:\n  - name: price\n    \
         plugin: std:enrich\n    config: {{ url: \"http://a.example/{{header:Sku}}\", into: price }}\n{more}"
    );
    let folder = pipeline_folder("echo", &pipeline);
    Weir::run_in(folder.path(), &["check", "pipeline.yaml"])
}

#[test]
fn check_names_the_grant_and_the_header_that_it_lacks() {
    let refused = checked("");
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(
        refused.stderr.contains("which is not granted"),
        "{refused:#?}"
    );
    let line = "add `grants: { http: [\"http://a.example\"] }` to the operator, with the servers of its `config`";
    assert!(refused.stderr.contains(line), "{refused:#?}");
    let grant = "    grants: { http: [\"http://a.example\"] }\n";
    let told = "note: `price` has headers in its `config` that it does not get: add `headers: [Sku]` to the operator\n";
    let unseen = checked(grant).done();
    assert!(unseen.contains(told), "{unseen}");
    let seen = checked(&format!("{grant}    headers: [sku]\n")).done();
    assert!(!seen.contains("does not get"), "{seen}");
}

/// The pipeline in its README.
#[test]
fn join_adds_the_value_of_a_bucket_to_an_order() {
    let readme = repository().join("plugins/enrich/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, bucket) = readme.split_once("\n## From a key-value bucket\n").unwrap();
    let (_, pipeline) = bucket.split_once("```yaml\n").unwrap();
    let (pipeline, _) = pipeline.split_once("```\n").unwrap();
    let site = Site::bare();
    let client = site.nats.client();
    client.create_stream("ORDERS", &["orders.>"]);
    let prices = kv::Config {
        bucket: "PRICES".to_owned(),
        ..kv::Config::default()
    };
    let prices = client
        .run(client.jetstream.create_key_value(prices))
        .unwrap();
    client.run(prices.put("pen", "150".into())).unwrap();
    client.publish("orders.a", r#"{"id":1,"sku":"pen"}"#);
    client.publish("orders.b", r#"{"id":2,"sku":"cup"}"#);
    // No call comes near its deadline on a busy machine.
    let limits = ("    plugin:", "    limits: { deadline: 1m }\n    plugin:");
    let file = site.file("p.yaml", replaced(pipeline, &[limits]));
    let _weir = site.start_with(&["--create", file.to_str().unwrap()], &[]);
    let out = site.wait_for_messages("PRICED", 2);
    let mut out: Vec<_> = out
        .iter()
        .map(|it| (it.subject.to_string(), it.text()))
        .collect();
    out.sort();
    let expected = [
        ("priced.cup", r#"{"id":2,"sku":"cup","price":null}"#),
        ("priced.pen", r#"{"id":1,"sku":"pen","price":150}"#),
    ];
    assert_eq!(
        out,
        expected.map(|(subject, text)| (subject.to_owned(), text.to_owned()))
    );
}
