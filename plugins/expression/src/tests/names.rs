//! Names and constants, which have shorter ways than the plain ones.

use super::value;
use crate::Expression;
use weir_sdk::Message;

#[test]
fn constants_and_names_of_fields_mean_the_same_wherever_they_stand() {
    let payload = r#"{"n":2,"t":"x","a.b":1,"a":{"b":2},"items":[{"n":7},{"n":8}],"none":null}"#;
    for (source, expected) in [
        ("payload.n in [1, 2, 3]", Ok("true")),
        ("payload.n in [1, 2.0]", Ok("true")),
        ("payload.n in [\"2\", true, null]", Ok("false")),
        ("payload.none in [1, null]", Ok("true")),
        ("payload.n in [payload.n]", Ok("true")),
        ("payload.n in [[2]]", Ok("false")),
        ("payload.n in []", Ok("false")),
        (
            "!(payload.t in [\"y\"]) && payload.t in [\"x\"]",
            Ok("true"),
        ),
        ("[1, 2].filter(n, n in [2, 3])", Ok("[2]")),
        ("[1, 2].map(n, n + 1)", Ok("[2,3]")),
        ("payload.items.exists(item, item.n in [8])", Ok("true")),
        ("payload.a.b", Ok("2")),
        ("payload[\"a.b\"]", Ok("1")),
        ("payload.a.b + payload[\"a.b\"]", Ok("3")),
        // The inner name counts.
        ("payload.items.map(payload, payload.n)", Ok("[7,8]")),
        (
            "has(payload.n) && !has(payload.m) && payload.n == 2",
            Ok("true"),
        ),
        ("size(payload)", Ok("6")),
        ("subject.n", Err(())),
        ("payload.m", Err(())),
    ] {
        let found = value(source, payload);
        assert_eq!(
            found.as_deref().map_err(drop),
            expected,
            "{source}: {found:?}"
        );
        if let Ok(expected @ ("true" | "false")) = expected {
            let expression = Expression::compile(source);
            let expression = expression.unwrap_or_else(|_| panic!("{source}"));
            let found = expression.is_true_for(&Message::new("a", payload));
            assert_eq!(found.unwrap().to_string(), expected, "{source}");
        }
    }
}
