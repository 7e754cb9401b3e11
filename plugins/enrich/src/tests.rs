use super::*;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use weir_sdk::http::{ErrorKind, Response};
use weir_sdk::testing;

const URL: &str = "http://prices.internal/items/{/sku}";

fn config() -> Value {
    json!({ "url": URL, "into": "/price" })
}

fn with(key: &str, value: Value) -> Value {
    let mut config = config();
    config[key] = value;
    config
}

/// Answers with this, and returns the requests that came.
fn serve(
    answer: impl Fn(&Request) -> Result<Response, http::Error> + 'static,
) -> Rc<RefCell<Vec<Request>>> {
    let requests = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&requests);
    testing::serve(move |request| {
        seen.borrow_mut().push(request.clone());
        answer(request)
    });
    requests
}

fn enrich(config: &Value, payload: &str) -> Result<String, Error> {
    let mut enrich: Enrich = testing::configured(config).unwrap();
    enriched(&mut enrich, payload)
}

fn enriched(enrich: &mut Enrich, payload: &str) -> Result<String, Error> {
    let outputs = enrich
        .process(&Message::new("orders", payload))?
        .into_inner();
    Ok(outputs
        .into_iter()
        .next()
        .map_or("dropped".into(), |output| {
            let payload = output.payload;
            payload.map_or("unchanged".into(), |payload| {
                String::from_utf8(payload).unwrap()
            })
        }))
}

#[test]
fn the_answer_is_put_into_the_field_and_the_rest_stays_as_it_was_written() {
    let requests = serve(|_| Ok(Response::new(200, " {\"amount\":1.10,\"of\":[1]}\n")));
    let order = r#"{"sku":"a b/ü","rate":1.10}"#;
    assert_eq!(
        enrich(&config(), order).unwrap(),
        r#"{"sku":"a b/ü","rate":1.10,"price":{"amount":1.10,"of":[1]}}"#
    );
    assert_eq!(
        enrich(&with("pick", json!("amount")), order).unwrap(),
        r#"{"sku":"a b/ü","rate":1.10,"price":1.10}"#
    );
    assert_eq!(
        enrich(
            &with("pick", json!("/of/0")),
            r#"{"sku":7,"price":{"old":true}}"#
        )
        .unwrap(),
        r#"{"sku":7,"price":1}"#
    );
    let urls: Vec<_> = requests.borrow().iter().map(|it| it.url.clone()).collect();
    let first = "http://prices.internal/items/a%20b%2F%C3%BC";
    assert_eq!(urls, [first, first, "http://prices.internal/items/7"]);
}

#[test]
fn a_request_has_the_headers_and_the_timeout_that_are_configured() {
    let requests = serve(|_| Ok(Response::new(200, "1")));
    let mut config = with(
        "headers",
        json!({ "Authorization": "Bearer x", "Accept": "text/json" }),
    );
    config["timeout"] = "2s".into();
    enrich(&config, r#"{"sku":"a"}"#).unwrap();
    let request = Request::get("http://prices.internal/items/a")
        .header("accept", "text/json")
        .header("authorization", "Bearer x")
        .timeout(Duration::from_secs(2));
    assert_eq!(*requests.borrow(), [request]);
}

#[test]
fn the_messages_of_a_batch_with_the_same_url_ask_once_and_later_ones_find_it_in_the_cache() {
    let requests = serve(|request| match request.url.ends_with('b') {
        true => Ok(Response::new(404, "")),
        false => Ok(Response::new(200, "1")),
    });
    let mut enrich: Enrich = testing::configured(&with("missing", json!("set-null"))).unwrap();
    let batch = ["a", "b", "a", "b"].map(|sku| Message::new("o", format!(r#"{{"sku":"{sku}"}}"#)));
    let outcomes = enrich.process_batch(&batch);
    let output = |json: &str| Outcome::Emit(vec![Output::new(json)]);
    let (a, b) = (
        output(r#"{"sku":"a","price":1}"#),
        output(r#"{"sku":"b","price":null}"#),
    );
    assert_eq!(outcomes, [a.clone(), b.clone(), a.clone(), b.clone()]);
    assert_eq!(enrich.process_batch(&batch[..2]), [a, b]);
    assert_eq!(requests.borrow().len(), 2);
}

#[test]
fn an_answer_is_forgotten_after_its_time_and_when_there_are_too_many() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let now = Instant::now();
    let reader = Reader {
        pick: None,
        timeout: "2s".into(),
    };
    let answer = reader.read("u", Ok(Response::new(200, "1")));
    let missing = Answer::Missing("none".into());
    let mut cache = Cache::new(10, hour, minute);
    cache.put("a", &answer, now);
    cache.put("b", &missing, now);
    cache.put("c", &Answer::None(Error::retry("later")), now);
    let mut known = |url: &str, after| cache.get(url, now + after).is_some();
    assert!(known("a", minute) && !known("a", hour));
    assert!(known("b", Duration::ZERO) && !known("b", minute));
    assert!(!known("c", Duration::ZERO));
    let mut cache = Cache::new(10, hour, minute);
    for number in 0..100 {
        cache.put(&number.to_string(), &answer, now);
        assert!(cache.get("0", now).is_some(), "{number}");
    }
    let known = (0..100).filter(|number| cache.get(&number.to_string(), now).is_some());
    assert!(known.count() <= 10);
    let mut cache = Cache::new(10, Duration::ZERO, Duration::ZERO);
    cache.put("a", &answer, now);
    assert!(cache.get("a", now).is_none());
}

#[test]
fn a_message_of_which_the_server_knows_nothing_is_handled_as_configured() {
    serve(|request| match request.url.ends_with("none") {
        true => Ok(Response::new(404, "no such item")),
        false => Ok(Response::new(200, r#"{"currency":"EUR"}"#)),
    });
    let outcome = |missing: &str, sku: &str| {
        let mut config = with("missing", json!(missing));
        config["pick"] = "/amount".into();
        enrich(&config, &format!(r#"{{"sku":"{sku}"}}"#))
    };
    let reason = "`http://prices.internal/items/none` has the status 404";
    assert_eq!(outcome("reject", "none"), Err(Error::reject(reason)));
    let reason = "the answer of `http://prices.internal/items/a` has no field /amount";
    assert_eq!(outcome("reject", "a"), Err(Error::reject(reason)));
    assert_eq!(outcome("drop", "none"), Ok("dropped".into()));
    assert_eq!(outcome("pass", "a"), Ok("unchanged".into()));
    assert_eq!(
        outcome("set-null", "a"),
        Ok(r#"{"sku":"a","price":null}"#.into())
    );
}

#[test]
fn a_fault_that_passes_is_tried_again_and_one_that_does_not_is_handled_as_configured() {
    let outcome = |config: &Value, response: Result<Response, http::Error>| {
        let response = RefCell::new(Some(response));
        serve(move |_| response.borrow_mut().take().unwrap());
        enrich(config, r#"{"sku":"a"}"#)
    };
    let drops = with("on-error", json!("drop"));
    let date = "Fri, 31 Dec 1999 23:59:59 GMT";
    for (status, said, after) in [
        (503, Some("7"), Some(7)),
        (500, None, None),
        (503, Some("soon"), None),
        (429, Some("Sat, 01 Jan 2000 00:00:29 GMT"), Some(30)),
        (429, Some("Fri, 31 Dec 1999 00:00:00 GMT"), Some(0)),
    ] {
        let mut response = Response::new(status, "busy");
        let headers = [("date", Some(date)), ("retry-after", said)];
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let (name, value) = (name.into(), value?.into());
            Some(Header { name, value })
        });
        response.headers.extend(headers);
        let reason = format!("`http://prices.internal/items/a` has the status {status}");
        let after = after.map(Duration::from_secs);
        let expected = Err(Error::Retry { after, reason });
        assert_eq!(outcome(&drops, Ok(response)), expected);
    }
    let failed = |kind| {
        Err(http::Error {
            kind,
            reason: "why".into(),
        })
    };
    let reason = "`http://prices.internal/items/a`: why";
    for (config, timeout) in [
        (drops.clone(), "half of `limits.deadline`"),
        (with("timeout", json!("2s")), "2s"),
    ] {
        let late = format!("{reason}; `timeout` is {timeout}");
        let timed_out = outcome(&config, failed(ErrorKind::Timeout));
        assert_eq!(timed_out, Err(Error::retry(late)));
    }
    assert_eq!(
        outcome(&drops, failed(ErrorKind::Failed)),
        Err(Error::retry(reason))
    );
    // That the server is not granted is no fault of the message.
    assert_eq!(
        outcome(&drops, failed(ErrorKind::Denied)),
        Err(Error::reject("why"))
    );
    assert_eq!(
        outcome(&config(), failed(ErrorKind::TooLarge)),
        Err(Error::reject(reason))
    );
    for (status, body, reason) in [
        (
            400,
            "1",
            "`http://prices.internal/items/a` has the status 400",
        ),
        (
            302,
            "1",
            "`http://prices.internal/items/a` has the status 302",
        ),
        (
            200,
            "<p>",
            "the answer of `http://prices.internal/items/a` is not JSON: expected value at line 1 column 1",
        ),
        (
            200,
            &"[".repeat(500),
            "the answer of `http://prices.internal/items/a` has more than 127 levels of nesting",
        ),
    ] {
        assert_eq!(
            outcome(&config(), Ok(Response::new(status, body))),
            Err(Error::reject(reason))
        );
        assert_eq!(
            outcome(&drops, Ok(Response::new(status, body))),
            Ok("dropped".into())
        );
    }
}

#[test]
fn a_message_that_makes_no_url_asks_nothing() {
    let requests = serve(|_| Ok(Response::new(200, "1")));
    for (payload, reason) in [
        (r#"{"sku":".."}"#, "{/sku} = `..` cannot be part of a URL"),
        (r#"{"sku":""}"#, "{/sku} = `` cannot be part of a URL"),
        ("{}", "the message has no {/sku}"),
        (
            "text",
            "the payload is not JSON: expected ident at line 1 column 2",
        ),
    ] {
        assert_eq!(
            enrich(&config(), payload),
            Err(Error::reject(reason)),
            "{payload}"
        );
        let passed = enrich(&with("on-error", json!("pass")), payload);
        assert_eq!(passed, Ok("unchanged".into()));
    }
    assert!(requests.borrow().is_empty());
}

#[test]
fn an_error_does_not_have_the_query_of_a_url() {
    serve(|_| Ok(Response::new(403, "")));
    let config = with("url", json!("https://a.example/x?key=secret&sku={/sku}"));
    let refused = enrich(&config, r#"{"sku":"a"}"#);
    assert_eq!(
        refused,
        Err(Error::reject("`https://a.example/x` has the status 403"))
    );
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    for (key, value, error) in [
        (
            "url",
            json!("prices/{/sku}"),
            "/url: it must begin with `http://` or `https://`",
        ),
        (
            "url",
            json!("http://{/host}/"),
            "/url: its server must be written out",
        ),
        ("url", json!("http://a/{sku}"), "/url: unknown value `sku`"),
        (
            "url",
            json!("http://a/ {/sku}"),
            "/url: ` ` cannot be in a URL",
        ),
        ("into", json!(""), "/into: a field needs a name"),
        ("pick", json!("/a~"), "/pick: `/a~` is no JSON pointer"),
        ("timeout", json!("2"), "/timeout: `2` is not a time"),
        ("timeout", json!("0s"), "/timeout: it must be more than 0"),
        (
            "concurrency",
            json!(0),
            "/concurrency: it must be at least 1",
        ),
        (
            "cache",
            json!({ "ttl": "soon" }),
            "/cache/ttl: `soon` is not a time",
        ),
        (
            "cache",
            json!({ "max-entries": 0 }),
            "/cache/max-entries: it must be at least 1",
        ),
        (
            "headers",
            json!({ "Host": "a" }),
            "/headers/Host: the host writes `Host` itself",
        ),
        (
            "headers",
            json!({ "a b": "a" }),
            "/headers/a b: `a b` cannot be the name",
        ),
        (
            "headers",
            json!({ "Trace": "a", "trace": "b" }),
            "/headers/trace: the header `trace` is there twice",
        ),
        (
            "headers",
            json!({ "a": "x\ny" }),
            "/headers/a: the value of `a` has control characters",
        ),
    ] {
        let refusal = testing::configured::<Enrich>(&with(key, value)).map(|_| ());
        let refusal = refusal.expect_err(error);
        assert!(refusal.starts_with(error), "{refusal}");
    }
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}
