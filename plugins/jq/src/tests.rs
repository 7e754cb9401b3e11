use super::*;
use weir_sdk::serde_json::{Value, json};
use weir_sdk::testing;

fn run(config: Value, payload: &str) -> Result<Vec<String>, Error> {
    let mut jq: Jq = testing::configured(&config).unwrap();
    let message = Message::new("orders.berlin", payload).with_header("Tenant", "acme");
    let outputs = jq.process(&message)?.into_inner();
    let text = |output: Output| String::from_utf8(output.payload.unwrap_or_default()).unwrap();
    Ok(outputs.into_iter().map(text).collect())
}

fn query(query: &str, payload: &str) -> Result<Vec<String>, Error> {
    run(json!({ "query": query }), payload)
}

fn one(text: &str) -> Result<Vec<String>, Error> {
    Ok(vec![text.to_owned()])
}

#[test]
fn each_value_that_the_program_yields_is_a_message() {
    assert_eq!(
        query("{id, net: (.total / 2)}", r#"{"id":7,"total":9}"#),
        one(r#"{"id":7,"net":4.5}"#)
    );
    let items = query(".items[] | {sku}", r#"{"items":[{"sku":"a"},{"sku":"b"}]}"#);
    assert_eq!(
        items,
        Ok(vec![r#"{"sku":"a"}"#.into(), r#"{"sku":"b"}"#.into()])
    );
    assert_eq!(query("select(.paid)", r#"{"paid":false}"#), Ok(vec![]));
    assert_eq!(
        query(r#".at | todate"#, r#"{"at":0}"#),
        one(r#""1970-01-01T00:00:00Z""#)
    );
    assert_eq!(query(r#".a | test("^x")"#, r#"{"a":"xy"}"#), one("true"));
}

#[test]
fn the_rest_of_the_message_is_in_variables() {
    let outcome = query(
        "[$subject, $key, $headers.Tenant, $sequence, $attempt, $event_time]",
        "0",
    );
    assert_eq!(outcome, one(r#"["orders.berlin",null,"acme",1,1,0]"#));
}

#[test]
fn numbers_keep_their_digits() {
    let payload = "[9007199254740993,1.10,1e3,123456789012345678901234567890]";
    assert_eq!(query(".", payload), one(payload));
    assert_eq!(query(".[0] + 1", payload), one("9007199254740994"));
}

#[test]
fn what_is_published_is_json_or_an_error() {
    assert_eq!(
        query("[nan, infinite]", "0"),
        one("[null,1.7976931348623157e308]")
    );
    let text = "tab\t \u{1f4a7} \"\u{7f}\u{1}";
    let written = query(".", &json!(text).to_string()).unwrap();
    assert_eq!(
        weir_sdk::serde_json::from_str::<String>(&written[0]).unwrap(),
        text
    );
    let reason = "the program yields an object with the key 1";
    assert_eq!(query("{(1): 2}", "0"), Err(Error::reject(reason)));
}

#[test]
fn raw_strings_are_written_without_quotes() {
    let config = json!({ "query": r#""\(.user) paid", 1"#, "raw": true });
    let outcome = run(config, r#"{"user":"eve"}"#);
    assert_eq!(outcome, Ok(vec!["eve paid".into(), "1".into()]));
}

#[test]
fn a_message_on_which_the_program_fails_is_handled_as_configured() {
    let not_json = query(".", "not JSON").unwrap_err();
    assert_eq!(
        not_json,
        Error::reject("the payload is not JSON: expected ident at line 1 column 2")
    );
    let failing = query("1, (.a | error)", r#"{"a":"bad"}"#).unwrap_err();
    assert_eq!(failing, Error::reject(r#"the program fails: "bad""#));
    let with = |on_error: &str| run(json!({ "query": ".a.b", "on-error": on_error }), "[1]");
    assert_eq!(with("drop"), Ok(vec![]));
    assert_eq!(
        with("pass"),
        one(""),
        "an output without a payload of its own"
    );
    assert!(with("reject").is_err());
}

#[test]
fn a_value_that_is_nested_too_deep_is_refused() {
    let levels = |count: usize| "[".repeat(count) + &"]".repeat(count);
    assert_eq!(query(".", &levels(127)), one(&levels(127)));
    let refused = "the payload has more than 127 levels of nesting";
    assert_eq!(query(".", &levels(129)), Err(Error::reject(refused)));
    // A comment is not JSON, and a bracket in a text is none.
    let hidden = query(".", &format!("# \"\n{}", levels(3_000)));
    let refused = "the payload is not JSON: expected value at line 1 column 1";
    assert_eq!(hidden, Err(Error::reject(refused)));
    let text = format!(r#""\"{}""#, "[".repeat(3_000));
    assert_eq!(query(".", &text), one(&text));
    assert_eq!(
        query("reduce range(200) as $i (0; [.])", "0"),
        Err(Error::reject(
            "the program yields a value with more than 127 levels of nesting"
        ))
    );
}

#[test]
fn a_mistake_in_the_program_is_found_before_any_message() {
    let refusal = |query: &str| {
        testing::configured::<Jq>(&json!({ "query": query }))
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(
        refusal(".a | nonsense"),
        "/query:1:6: unknown filter `nonsense`"
    );
    assert_eq!(
        refusal(".a\n| $nope"),
        "/query:2:3: unknown variable `$nope`"
    );
    assert_eq!(refusal("{a: "), "/query:1:5: expected closing brace");
    assert_eq!(refusal(".a |"), "/query:1:5: expected term");
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}

#[test]
fn what_is_not_json_is_refused_though_jaq_would_read_it() {
    for payload in [
        "NaN",
        "[-Infinity]",
        "01",
        "+1",
        "[1,]",
        "1 # one",
        "1 2",
        "{a: 1}",
        r#""\ud800""#,
        "'a'",
    ] {
        let Err(Error::Reject(reason)) = query(".", payload) else {
            panic!("{payload} is taken");
        };
        assert!(
            reason.starts_with("the payload is not JSON: "),
            "{payload}: {reason}"
        );
    }
    let mut jq: Jq = testing::configured(&json!({ "query": "." })).unwrap();
    let reason = "the payload is not JSON: invalid unicode code point at line 1 column 3";
    let refused = jq.process(&Message::new("orders", b"\"a\xff\"".to_vec()));
    assert_eq!(refused, Err(Error::reject(reason)));
    assert_eq!(query(".", r#"{"far":1e400}"#), one(r#"{"far":1e400}"#));
}
