//! The pages of views answer as people and clients of HTTP expect.

use super::pages::{Watch, ask, connect, get, head, pages, wait_for_value};
use super::{BUCKET, USUAL};
use crate::harness::{Site, series, wait_until};
use serde_json::Value;

#[test]
fn a_key_is_asked_for_as_people_expect() {
    let site = Site::new();
    let keys = ["plain", "a b/c.*>", ".", "..", "ü=1", "x\ty"];
    for key in keys {
        site.set(key, &format!("{{\"key\": {key:?}}}"));
    }
    site.set("text", "<b>");
    let weir = site.run_viewed(USUAL);
    wait_until("the bucket has all", || {
        site.nats.client().count(BUCKET) == 7
    });
    for (key, path) in [
        ("plain", "plain"),
        ("a b/c.*>", "a%20b/c.*%3E"),
        (".", "%2E"),
        ("..", "%2e%2e"),
        ("ü=1", "%C3%BC=1"),
        ("x\ty", "x%09y"),
    ] {
        let answer = get(&weir, &format!("/views/v/{path}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.json()["key"], key);
    }
    let text = get(&weir, "/views/v/text");
    assert_eq!(text.headers["content-type"], "application/octet-stream");
    assert_eq!(text.headers["x-content-type-options"], "nosniff");

    let tag = &*text.headers["etag"];
    let again = |known: &str| ask(&weir, "GET", "/views/v/text", &[("If-None-Match", known)]);
    let known = again(&format!("\"x\", W/{tag}"));
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.headers["etag"], tag);
    assert_eq!(again("\"other\"").status, 200);
    site.set("text", "new");
    wait_for_value(&weir, "/views/v/text", "new");
    assert_eq!(again(tag).status, 200);

    assert!(get(&weir, "/views/w/plain").is_problem(404, "no such view"));
    assert!(get(&weir, "/views/v%2Fw").is_problem(404, "no such view"));
    assert!(get(&weir, "/views/v/nobody").is_problem(404, "no such key"));
    for page in ["/views/v/", "/views/", "/view"] {
        assert!(get(&weir, page).is_problem(404, "no such page"), "{page}");
    }
    let long = format!("/views/v/{}", "x".repeat(10_000));
    assert!(get(&weir, &long).is_problem(404, "no such key"));
    assert!(get(&weir, "/views/v/%FF").is_problem(400, ""));
    for query in ["limit=0", "limit=1001", "after=x", "perfix=a"] {
        assert!(
            get(&weir, &format!("/views/v?{query}")).is_problem(400, ""),
            "{query}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for page in ["/views", "/views/v", "/views/v/plain", "/openapi.json"] {
            let answer = ask(&weir, method, page, &[]);
            assert!(answer.is_problem(405, "read-only"), "{answer:?}");
            assert_eq!(answer.headers["allow"], "GET,HEAD");
        }
    }
    let head = ask(&weir, "HEAD", "/views/v/plain", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));

    // A result without a payload deletes its key.
    site.set("plain", "");
    wait_until("the key is gone", || {
        get(&weir, "/views/v/plain").is_problem(404, "no such key")
    });
    assert!(!pages(&weir, "v", "").0.contains_key("plain"));
}

#[test]
fn the_description_names_the_pages_that_there_are() {
    let site = Site::new();
    let weir = site.run_viewed(USUAL);
    let described = get(&weir, "/openapi.json").json();
    let paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/views", "/views/{view}", "/views/{view}/{key}"]);
    let views = get(&weir, "/views").json();
    assert_eq!(views["views"].as_array().unwrap().len(), 1);
    let of_view = |name: &str| views["views"][0][name].clone();
    let expected = ["v", "p", "{key}", "p-v"];
    assert_eq!(["name", "pipeline", "key", "bucket"].map(of_view), expected);
    let status = get(&weir, "/status").json();
    assert_eq!(status["pipelines"][0]["views"][0]["bucket"], "p-v");
    let text = site.wait_until_status("view v: bucket p-v");
    assert!(text.contains("pipeline p"), "{text}");
}

#[test]
fn pages_have_every_key_of_a_prefix_once() {
    let site = Site::new();
    for number in 0..250 {
        site.set(&format!("{}-{number}", number % 2), &number.to_string());
    }
    let weir = site.run_viewed(USUAL);
    wait_until("the bucket has all", || {
        site.nats.client().count(BUCKET) == 250
    });
    let (all, count) = pages(&weir, "v", "&limit=60");
    assert_eq!((all.len(), count), (250, 5));
    let (odd, count) = pages(&weir, "v", "&limit=1000&prefix=1-");
    assert_eq!((odd.len(), count), (125, 1));
    assert!(odd.keys().all(|key| key.starts_with("1-")));
    assert_eq!(pages(&weir, "v", "&prefix=none").0.len(), 0);
}

#[test]
fn a_watch_hears_each_change_once_in_order_and_goes_on_where_it_was() {
    let site = Site::new();
    let mut weir = site.run_viewed(USUAL);
    let mut watch = Watch::of(&weir, "/views/v?watch=true&prefix=k", &[]);
    wait_until("it is counted", || {
        weir.metric(&series("view_watchers")) == 1.0
    });
    let mut last = 0;
    let mut hear = |watch: &mut Watch, number: usize| {
        let (id, data) = watch.next().unwrap();
        assert!(id > last, "{id} after {last}");
        assert_eq!(
            (data["revision"].as_u64(), &data["key"]),
            (Some(id), &Value::from("k"))
        );
        assert_eq!(data["value"]["n"], number);
        last = id;
        id
    };
    let set = |number: usize| {
        site.set("other", "x");
        // What breaks lines in JSON does not break an event.
        site.set("k", &format!("{{\r\n\n  \"n\": {number}\r}}"));
    };
    let mut id = 0;
    for number in 0..20 {
        set(number);
        id = hear(&mut watch, number);
    }
    drop(watch);
    wait_until("its end is noticed", || {
        weir.metric(&series("view_watchers")) == 0.0
    });
    set(20);
    weir.kill9();
    weir = site.run_viewed(USUAL);
    let heard = id.to_string();
    let known = [("Accept", "text/event-stream"), ("Last-Event-ID", &*heard)];
    let mut watch = Watch::of(&weir, "/views/v?prefix=k", &known);
    hear(&mut watch, 20);
    site.set("k", "");
    let (id, data) = watch.next().unwrap();
    assert_eq!(data["deleted"], true);
    assert!(id > last);
}

#[test]
fn watchers_are_bounded_and_one_more_is_told() {
    let site = Site::new();
    let weir = site.run_viewed(USUAL);
    let page = "/views/v?watch=true";
    let watches: Vec<Watch> = (0..32).map(|_| Watch::of(&weir, page, &[])).collect();
    let one_more = get(&weir, page);
    assert!(
        one_more.is_problem(503, "too many watchers"),
        "{one_more:?}"
    );
    assert!(one_more.headers.contains_key("retry-after"));
    assert_eq!(get(&weir, "/views").status, 200);
    drop(watches);
    wait_until("there is room again", || {
        let mut connection = connect(&weir, "GET", page, &[]);
        head(&mut connection).0 == 200
    });
}
