mod names;

use crate::functions::{self, GROUPS, SIGNS};
use crate::{Expression, Variables};
use std::fmt::Write;
use weir_sdk::{Message, Refusal};

/// The value of an expression over a message, as JSON, or why there is none.
fn value(source: &str, payload: &str) -> Result<String, String> {
    let expression = Expression::compile(source).map_err(|wrong| wrong[0].message.clone())?;
    let message = Message::new("orders.berlin", payload);
    let value = expression.value(&Variables::of(&message))?;
    serde_json::to_string(&value).map_err(|error| error.to_string())
}

fn wrong(source: &str) -> String {
    let mut refusal = Refusal::default();
    let expression = Expression::read(&mut refusal, &["e"], source);
    let refused = refusal.or(expression).map(|_| ()).unwrap_err();
    let lines = refused
        .lines()
        .map(|line| line.strip_prefix("/e:").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// `docs/expressions.md`.
fn page() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = "\
# Expressions

The expressions of `std:filter`, `std:map` and `std:sample` are written in [CEL](https://cel.dev), the language of rules in
Kubernetes and Envoy. Every operator and every function is on this page. A test evaluates each example.

The [names](../plugins/filter/README.md) in an expression are `payload`, `text`, `subject`, `key`, `headers`, `sequence`,
`attempt` and `event_time`. `weir check` finds wrong names, calls and brackets, with their lines and columns.

- JSON writes `2` and `2.0` of the same thing. CEL compares both kinds of numbers with each other, and calculates only with
  numbers of one kind: write `double(payload.price) * double(payload.count)`.
- An expression over the same message has the same value at each delivery. So nothing says the time of the clock; the time
  of the message is `event_time`.

## Operators

| operator | meaning | example | value |
|---|---|---|---|
"
    .to_owned();
    for one in SIGNS {
        let (sign, example) = (cell(one.sign), cell(one.example));
        let _ = writeln!(
            page,
            "| `{sign}` | {} | `{example}` | `{}` |",
            one.what, one.value
        );
    }
    for group in GROUPS {
        let title = group.title;
        let _ = writeln!(
            page,
            "\n## {title}\n\n| function | value | example | its value |\n|---|---|---|---|"
        );
        for one in group.functions {
            let forms: Vec<_> = one.forms.iter().map(|form| format!("`{form}`")).collect();
            let (forms, example) = (forms.join(", "), cell(one.example));
            let _ = writeln!(
                page,
                "| {forms} | {} | `{example}` | `{}` |",
                one.what, one.value
            );
        }
    }
    page
}

#[test]
fn the_page_lists_every_operator_and_function() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/expressions.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, page()).unwrap();
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        there == page(),
        "run `BLESS=1 cargo test -p expression` in plugins/"
    );
}

#[test]
fn each_example_of_the_page_has_the_value_that_stands_beside_it() {
    let signs = SIGNS.iter().map(|sign| (sign.example, sign.value));
    let functions = functions::all().map(|function| (function.example, function.value));
    for (example, expected) in signs.chain(functions) {
        assert_eq!(value(example, "{}").as_deref(), Ok(expected), "{example}");
    }
}

#[test]
fn an_expression_calls_nothing_that_is_not_on_the_page() {
    // Registered in CEL's library, for its own use.
    assert!(wrong("[1].@sortByAssociatedKeys([1])").starts_with("1:5: "));
    assert!(wrong("payload.getFullYear()").starts_with("1:9: unknown function `getFullYear`"));
    assert!(wrong("math.cosine(1.0)").starts_with("1:6: unknown function `math.cosine`"));
}

#[test]
fn numbers_are_rounded_as_they_are_written() {
    for (source, expected) in [
        ("math.round(2.675, 2)", "2.68"),
        ("math.round(-2.5, 0)", "-3.0"),
        ("math.round(17, 2)", "17"),
        ("math.round(1e300, 15)", "1e+300"),
        ("math.floor(-3)", "-3"),
        ("math.round(0.1 + 0.2, 1)", "0.3"),
    ] {
        assert_eq!(value(source, "{}").as_deref(), Ok(expected), "{source}");
    }
    let reason = "`math.round(1.5, 99)`: the digits must be 0 to 15";
    assert_eq!(value("math.round(1.5, 99)", "{}"), Err(reason.to_owned()));
}

#[test]
fn a_mistake_is_told_in_words_with_its_place_and_a_hint() {
    for (source, expected) in [
        (
            "paylod.x > 1",
            "1:1: unknown variable `paylod`\n  hint: did you mean `payload`?",
        ),
        (
            "'äö' +\n  subjct",
            "2:3: unknown variable `subjct`\n  hint: did you mean `subject`?",
        ),
        (
            "payload.x.beginsWith('a')",
            "1:11: unknown function `beginsWith`\n  hint: did you mean `text.startsWith(part)`?",
        ),
        (
            "round(payload.x, 2)",
            "1:1: unknown function `round`\n  hint: did you mean `math.round(number)` or `math.round(number, digits)`?",
        ),
        (
            "size (1, 2)",
            "1:1: `size` is not called like this\n  hint: write `size(value)` or `value.size()`",
        ),
        (
            "payload.x.map(x)",
            "1:11: `map` is not called like this\n  hint: write `list.map(name, value)` or `list.map(name, condition, value)`",
        ),
        ("payload.total > \n", "1:16: the expression ends too early"),
        (
            "(payload.total > 1",
            "1:19: the expression ends too early\n  hint: close it with `)`",
        ),
        ("payload.total > 1)", "1:18: `)` is not expected here"),
        (
            "payload.total = 1",
            "1:15: there is no operator `=`\n  hint: write `==` to compare",
        ),
        (
            "payload.a and payload.b",
            "1:11: `and` is not expected here\n  hint: write `&&`",
        ),
        (
            "payload.a & true",
            "1:11: there is no operator `&`\n  hint: write `&&` for and",
        ),
        (
            "'abc",
            "1:1: the text that begins here has no end\n  hint: close it with `'`",
        ),
        (
            r#"payload.a == "x\qy" && true"#,
            "1:16: there is no escape `\\q`\n  hint: write `\\\\` for a backslash, or `r\"...\"` for a text without escapes",
        ),
        (
            r"'a\nb",
            "1:1: the text that begins here has no end\n  hint: close it with `'`",
        ),
        ("{'a' 1}", "1:6: a `:` is missing"),
        ("", "1:1: the expression is empty"),
        (
            "has(payload)",
            "1:5: `has` takes a field of an object\n  hint: write `has(payload.name)`",
        ),
        ("math.least('a')", "1:12: `math.least` takes numbers"),
        ("if", "1:1: `if` is a reserved word"),
        (
            "Money{cents: 1}",
            "1:1: there is no type `Money`\n  hint: write an object: `{\"name\": value}`",
        ),
        (
            "{'a': paylod}",
            "1:7: unknown variable `paylod`\n  hint: did you mean `payload`?",
        ),
    ] {
        assert_eq!(wrong(source), expected, "{source}");
    }
    let several = wrong("paylod.a + headrs.b.trimm()");
    let several: Vec<_> = several
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    assert_eq!(
        several,
        [
            "1:1: unknown variable `paylod`",
            "1:12: unknown variable `headrs`",
            "1:21: unknown function `trimm`"
        ]
    );
}

#[test]
fn a_value_that_cannot_be_computed_is_told_in_words_with_its_fields_and_types() {
    let payload =
        r#"{"price": 2.5, "count": 4, "name": "Eve", "tags": ["a"], "shop": {}, "none": null}"#;
    for (source, expected) in [
        ("payload.shop.city", "there is no field `payload.shop.city`"),
        (
            "payload.shop['city']",
            "there is no field `payload.shop['city']`",
        ),
        (
            "payload.name.first",
            "there is no field `first`: `payload.name` is text, and no object",
        ),
        (
            "payload.price * payload.count",
            "`*` does not work with the decimal number 2.5 (`payload.price`) and the whole number 4 (`payload.count`): write `double(...)` around both",
        ),
        (
            "payload.name + 1",
            "`+` does not work with text (`payload.name`) and the whole number 1",
        ),
        (
            "payload.name > 1",
            "`>` does not work with text (`payload.name`) and the whole number 1",
        ),
        (
            "1 + (payload.none - payload.count)",
            "`-` does not work with null (`payload.none`) and the whole number 4 (`payload.count`)",
        ),
        (
            "payload.count.trim()",
            "`trim` does not work with the whole number 4 (`payload.count`)",
        ),
        ("payload.count / 0", "`payload.count / 0`: division by zero"),
        ("payload.count % 0", "`payload.count % 0`: division by zero"),
        (
            "9223372036854775807 + payload.count",
            "`9223372036854775807 + payload.count`: the result is not within 64 bits",
        ),
        (
            "payload.tags[3]",
            "`payload.tags` has no element 3; it has 1",
        ),
        (
            "payload.tags['a']",
            "`[]` does not work with a list (`payload.tags`) and text",
        ),
        (
            "payload.name.substring(9)",
            "`payload.name.substring(9)`: index out of range: 9",
        ),
        (
            "!payload.name",
            "`!` does not work with text (`payload.name`)",
        ),
        (
            "-payload.name",
            "`-` does not work with text (`payload.name`)",
        ),
        (
            "payload.name ? 1 : 2",
            "`? :` does not work with text (`payload.name`)",
        ),
        (
            "payload.name && true",
            "`&&` does not work with text (`payload.name`) and the boolean true",
        ),
        (
            "payload.count in payload.name",
            "`in` does not work with the whole number 4 (`payload.count`) and text (`payload.name`)",
        ),
        (
            "math.sqrt(payload.name)",
            "`math.sqrt` does not work with text (`payload.name`)",
        ),
        ("{'a': 1, 'a': 2}", "the object has the key `a` twice"),
        ("{payload.tags: 1}", "a list cannot be the key of an object"),
        (
            "int(payload.name)",
            "`int(payload.name)`: it is no whole number of 64 bits",
        ),
        (
            "bool(payload.name)",
            "`bool(payload.name)`: it is neither `true` nor `false`",
        ),
        (
            "payload.name.matches(payload.name + '(')",
            "`payload.name.matches(payload.name + '(')`: `Eve(` is no regular expression: found open group without closing ')'",
        ),
        (
            "payload.tags.map(tag, tag.name)",
            "for an element of `payload.tags`: text has no fields",
        ),
        (
            "payload.tags.map(tag, tag + 1)",
            "for an element of `payload.tags`: `+` does not work with text and a whole number",
        ),
        (
            "payload.count.map(tag, tag)",
            "there are no elements of `payload.count`: it is a whole number",
        ),
        (
            "payload.?shop",
            "the expression yields a value that may be missing: end it with `.orValue(...)`",
        ),
        (
            "optional.none().value()",
            "`optional.none().value()`: there is no value",
        ),
        ("[1, 'a'].sort()", "list elements must have the same type"),
        ("payload.tags.map(tag, {'x': 1}.y)", "there is no field `y`"),
    ] {
        assert_eq!(value(source, payload), Err(expected.to_owned()), "{source}");
    }
}

#[test]
fn a_number_out_of_range_is_refused_where_it_is_read_and_nowhere_else() {
    let payload = r#"{"far": 1e400, "a": {"b/c": [1, -1e999], "n": 2}, "n": 1}"#;
    for (source, expected) in [
        ("payload.n + payload.a.n", Ok("3")),
        ("payload.a['b/c'][0]", Ok("1")),
        ("has(payload.far)", Ok("true")),
        (
            "payload.far > 1",
            Err(
                "`>` does not work with a number out of range at /far (`payload.far`) and the whole number 1",
            ),
        ),
        (
            "payload.a['b/c'][1] + 1.0",
            Err(
                "`+` does not work with a number out of range at /a/b~1c/1 (`payload.a['b/c'][1]`) and the decimal number 1",
            ),
        ),
        ("payload.far", Err("number out of range at /far")),
        ("payload.a", Err("number out of range at /a/b~1c/1")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(value(source, payload), expected, "{source}");
    }
}

#[test]
fn all_mistakes_of_a_configuration_are_told_at_once_each_with_its_place() {
    let mut refusal = Refusal::default();
    assert!(Expression::read(&mut refusal, &["fields", "a/b"], "subjct").is_none());
    assert!(Expression::read(&mut refusal, &["fields", "c"], "1").is_some());
    refusal.add(&["keep", "0"], "no pointer");
    let text = "/fields/a~1b:1:1: unknown variable `subjct`\n  hint: did you mean `subject`?\n/keep/0: no pointer";
    assert_eq!(refusal.or(Some(())), Err(text.to_owned()));
}
