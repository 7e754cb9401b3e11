use super::fields_of;
use crate::{Expression, Variables};
use fields::Wanted;
use weir_sdk::Message;

fn wanted(source: &str) -> Wanted {
    let program = cel::Env::stdlib().compile(source).unwrap();
    fields_of("payload", program.expression())
}

fn these(names: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    names.iter().for_each(|name| wanted.field(name));
    wanted
}

#[test]
fn an_expression_wants_the_fields_that_it_names() {
    for (source, names) in [
        ("payload.a in [1, 2]", &["a"][..]),
        ("payload.a.b[0] + payload['c'] > 1", &["a", "c"]),
        ("has(payload.a) ? payload.b : payload.c.d", &["a", "b", "c"]),
        ("payload.a.exists(it, it.b == payload.c)", &["a", "c"]),
        (
            "{'x': payload.a, payload.b: 1}.x == [payload.c]",
            &["a", "b", "c"],
        ),
        ("subject == 'payload'", &[]),
    ] {
        assert_eq!(wanted(source), these(names), "{source}");
    }
}

#[test]
fn an_expression_that_uses_the_payload_in_another_way_wants_all_of_it() {
    let mut all = Wanted::default();
    all.all();
    for source in [
        "payload == {}",
        "payload[key] == 1",
        "'a' in payload",
        "size(payload) == 1",
        "payload.exists(name, name == 'a')",
        "[payload][0].a == 1",
        "{'x': payload}.x.a == 1",
        "payload[0] == 1",
    ] {
        assert_eq!(wanted(source), all, "{source}");
    }
}

#[test]
fn an_expression_decides_the_same_with_the_fields_that_it_names_as_with_all() {
    let payloads = [
        r#"{"a":1,"b":{"c":[1,2.5]},"d":"text","z":{"deep":[{}]}}"#,
        r#"{"a":1,"a":2,"b":null,"z":"\ud800"}"#,
        r#"{"a":2,"b":[1],"z":1e999}"#,
        r#"{"z":1}"#,
        r#"{"a":1} x"#,
        "[1,2]",
        "7",
        "{",
        "",
    ];
    for source in [
        "payload.a == 1",
        "payload.a in [1, 2] && payload.d == 'text'",
        "payload['a'] == 1 || subject == 's'",
        "has(payload.a) && !has(payload.x)",
        "payload.b.c[1] > payload.a",
        "payload.b.c.exists(it, it > 2.0)",
        "payload.missing == 1",
        "payload.a + payload.b == 1",
        "payload.a > 'x'",
        "'z' in payload",
        "payload == {'z': 1}",
        "payload[subject] == 1",
        "{'x': payload.a}.x == 1",
    ] {
        let Ok(expression) = Expression::compile(source) else {
            panic!("{source}");
        };
        for payload in payloads {
            let message = Message::new("s", payload);
            let all = expression.value(&Variables::of(&message));
            let all = all.map(|value| serde_json::to_string(&value).unwrap() == "true");
            assert_eq!(
                expression.is_true_for(&message),
                all,
                "{source} of {payload}"
            );
        }
    }
}
