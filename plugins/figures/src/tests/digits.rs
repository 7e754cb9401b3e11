//! Numbers keep their digits, and equal ones are one value.

use super::{Groups, aggregate, emitted, kept};
use serde_json::{Value, json};
use weir_sdk::{Aggregator, Error, Message, Pane};

/// What is said of payloads that are added one by one and kept in between, as text.
fn said(results: Value, payloads: &[&str]) -> Result<String, Error> {
    let aggregate = aggregate(json!({ "results": results }));
    let mut groups = Groups::default();
    for (number, payload) in payloads.iter().enumerate() {
        let mut message = Message::new("orders", *payload);
        message.event_time = number as u64;
        groups = kept(groups);
        aggregate.add(&mut groups, &message)?;
    }
    let outputs = aggregate.emit(&Pane::new("k", 0..60), kept(groups))?;
    let payload = outputs.into_inner().remove(0).payload.unwrap();
    Ok(String::from_utf8(payload).unwrap())
}

/// The same of the numbers in `n`.
fn of(results: Value, numbers: &[&str]) -> Result<String, Error> {
    let payloads = numbers.iter().map(|number| format!(r#"{{"n": {number}}}"#));
    let payloads: Vec<String> = payloads.collect();
    said(
        results,
        &payloads.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

#[test]
fn what_is_shown_of_a_message_has_the_digits_as_they_were_written() {
    let long = [
        "12345678901234567891",
        "12345678901234567890.10",
        "12345678901234567890",
    ];
    for (figure, expected) in [
        (json!({ "first": "/n" }), long[0]),
        (json!({ "last": "/n" }), long[2]),
        (json!({ "min": "/n" }), long[2]),
        (json!({ "max": "/n" }), long[0]),
        (
            json!({ "list": "/n", "most": 2 }),
            "[12345678901234567891,12345678901234567890.10]",
        ),
        (
            json!({ "lowest": "/n", "most": 1 }),
            r#"[{"n":12345678901234567890}]"#,
        ),
        (
            json!({ "highest": "/n", "show": { "x": "/n" }, "most": 1, "rank": "place" }),
            r#"[{"place":1,"x":12345678901234567891}]"#,
        ),
        (
            json!({ "top": "/n", "most": 1 }),
            r#"[{"count":1,"value":12345678901234567890}]"#,
        ),
        (json!({ "distinct": "/n" }), "3"),
    ] {
        let expected = format!(r#"{{"x":{expected}}}"#);
        assert_eq!(of(json!({ "x": figure }), &long), Ok(expected), "{figure}");
    }
    let payload = r#" { "a" : { "b" : [ 1.50 , "a b\" ,c" ] } } "#;
    let shown = said(json!({ "x": { "list": "", "most": 1 } }), &[payload]);
    assert_eq!(
        shown.as_deref(),
        Ok(r#"{"x":[{"a":{"b":[1.50,"a b\" ,c"]}}]}"#)
    );
}

#[test]
fn equal_values_are_one_value_however_they_are_written() {
    for (values, count) in [
        (&["1", "1.0", "1e0", "10E-1", "1.00"][..], 1),
        (&["0", "-0", "0.0", "0e9"], 1),
        (&["0.1", "0.10000000000000000001"], 2),
        (&["18446744073709551616", "18446744073709551617"], 2),
        (&["1e-400", "0"], 1),
        (&["1", "\"1\""], 2),
        (&[r#""a""#, r#""\u0061""#], 1),
        (&[r#"{"a": 1, "b": [2.0]}"#, r#"{"b":[2],"a":1.0}"#], 1),
    ] {
        for figure in ["distinct", "distinct-estimated"] {
            let found = of(json!({ "x": { figure: "/n" } }), values);
            assert_eq!(
                found,
                Ok(format!(r#"{{"x":{count}}}"#)),
                "{figure} of {values:?}"
            );
        }
    }
    let top = of(
        json!({ "x": { "top": "/n", "most": 9 } }),
        &["1", "1.0", "2.50"],
    );
    assert_eq!(
        top.as_deref(),
        Ok(r#"{"x":[{"count":2,"value":1},{"count":1,"value":2.5}]}"#)
    );
    let aggregate = aggregate(json!({ "by": { "n": "/n" }, "results": { "x": "count" } }));
    let mut groups = Groups::default();
    for payload in [
        r#"{"n": 1.0}"#,
        r#"{"n": 1}"#,
        r#"{"n": "\u0061"}"#,
        r#"{"n": "a"}"#,
    ] {
        aggregate
            .add(&mut groups, &Message::new("orders", payload))
            .unwrap();
    }
    assert_eq!(emitted(&aggregate, groups).len(), 2);
}

#[test]
fn a_sum_is_exact_up_to_38_digits_and_the_nearest_double_beyond() {
    let nines = "9".repeat(38);
    let less = format!("{}8", &nines[1..]);
    for (numbers, sum) in [
        (&["0.1", "0.2"][..], "0.3"),
        (&["19.99", "0.01"], "20"),
        (&["12345678901234567890", "0.10"], "12345678901234567890.1"),
        (&["-1e-3", "5E+2"], "499.999"),
        (&[&*nines, "-1"], &less),
        (&[&*nines, "1"], "1e+38"),
        (&["1e300", "1"], "1e+300"),
        (&["1e300", "1", "-1e300"], "1"),
        (
            &["0.1234567890123456789012345678901234567891"],
            "0.12345678901234568",
        ),
    ] {
        let found = of(json!({ "x": { "sum": "/n" } }), numbers);
        let expected = format!(r#"{{"x":{sum}}}"#);
        assert_eq!(
            found.map(|it| it.replace("e+", "e")),
            Ok(expected.replace("e+", "e")),
            "{numbers:?}"
        );
    }
}

#[test]
fn a_sum_out_of_range_refuses_its_message_and_stays_as_it_was() {
    let aggregate =
        aggregate(json!({ "results": { "x": { "sum": "/n" }, "v": { "variance": "/m" } } }));
    let mut groups = Groups::default();
    let mut add = |payload: &str| aggregate.add(&mut groups, &Message::new("orders", payload));
    assert_eq!(add(r#"{"n": 1.7e308}"#), Ok(()));
    let reason = "`x`: the sum is out of the range of numbers, which ends at 1.8e308";
    assert_eq!(add(r#"{"n": 1.7e308}"#), Err(Error::reject(reason)));
    let reason = "`v`: the sum is out of the range of numbers, which ends at 1.8e308";
    assert_eq!(add(r#"{"m": 1e200}"#), Err(Error::reject(reason)));
    assert_eq!(add(r#"{"n": -1.7e308, "m": 2}"#), Ok(()));
    let outputs = aggregate.emit(&Pane::new("k", 0..60), groups).unwrap();
    assert_eq!(
        outputs.into_inner()[0].payload.as_deref(),
        Some(&br#"{"v":null,"x":0}"#[..])
    );
}

#[test]
fn a_number_out_of_range_is_refused_where_it_is_read_and_kept_where_it_is_shown() {
    for figure in [
        "sum",
        "average",
        "min",
        "max",
        "variance",
        "distinct",
        "distinct-estimated",
    ] {
        let refused = of(json!({ "x": { figure: "/n" } }), &["1e400"]);
        assert_eq!(
            refused,
            Err(Error::reject("`x`: /n: number out of range")),
            "{figure}"
        );
    }
    for figure in [
        json!({ "top": "/n", "most": 1 }),
        json!({ "highest": "/n", "most": 1 }),
        json!({ "quantiles": "/n", "ranks": [0.5] }),
    ] {
        let refused = of(json!({ "x": figure }), &["-1e400"]);
        assert_eq!(
            refused,
            Err(Error::reject("`x`: /n: number out of range")),
            "{figure}"
        );
    }
    let payloads = [r#"{"n": 1, "far": 1e400}"#];
    let shown = said(
        json!({ "n": { "sum": "/n" }, "far": { "last": "/far" }, "all": "count" }),
        &payloads,
    );
    assert_eq!(shown.as_deref(), Ok(r#"{"all":1,"far":1e400,"n":1}"#));
}

#[test]
fn a_value_that_spoils_the_result_of_others_is_refused_alone() {
    let nested = |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"v":{value}}}"#)
    };
    for figure in [
        json!({ "list": "", "most": 2 }),
        json!({ "list": "/v", "most": 2, "show": { "v": "/v" } }),
        json!({ "first": "/v" }),
    ] {
        let results = || json!({ "x": figure.clone() });
        let refused = said(results(), &[&nested(125)]);
        let Err(Error::Reject(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(why.contains("more than 124 levels of nesting"), "{why}");
        let lone = said(results(), &[r#"{"v":"\ud800"}"#]);
        assert!(matches!(lone, Err(Error::Reject(_))), "{lone:?}");
        let result = said(results(), &[&nested(123)]).unwrap();
        assert!(fields::check(result.as_bytes(), fields::DEPTH).is_ok());
    }
}
