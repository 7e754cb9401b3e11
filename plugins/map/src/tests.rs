use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

const ORDER: &str = r#"{"id":9007199254740993,"price":2.50,"quantity":4,"customer":{"first":"Eve","card":"4711"},"lines":[{"sku":"a","card":"1"}]}"#;

fn mapped(config: Value, payload: &str) -> Result<Outputs, Error> {
    let mut map: Map = testing::configured(&config).unwrap();
    map.process(&Message::new("orders.berlin", payload).with_header("Tenant", "acme"))
}

fn payload(text: &str) -> Result<Outputs, Error> {
    Ok(Output::new(text).into())
}

fn refusal(config: Value) -> String {
    testing::configured::<Map>(&config).map(|_| ()).unwrap_err()
}

#[test]
fn fields_are_computed_from_the_message_as_it_came_and_the_rest_stays_as_it_was_written() {
    let config = json!({ "fields": {
        "quantity": "payload.quantity + 1",
        "next": "payload.id + payload.quantity",
        "/customer/name": "payload.customer.first + '@' + subject",
        "/a/b": "{'tenant': headers['Tenant'], 'list': [1, 2.5, null, true]}",
    }, "remove": ["/customer/card", "/lines/*/card"] });
    assert_eq!(
        mapped(config, ORDER),
        payload(
            r#"{"id":9007199254740993,"price":2.50,"quantity":5,"customer":{"first":"Eve","name":"Eve@orders.berlin"},"lines":[{"sku":"a"}],"a":{"b":{"list":[1,2.5,null,true],"tenant":"acme"}},"next":9007199254740997}"#
        )
    );
}

#[test]
fn only_what_is_kept_stays() {
    let config = json!({ "fields": { "total": "payload.price * double(payload.quantity)" }, "keep": ["id"] });
    assert_eq!(
        mapped(config, ORDER),
        payload(r#"{"id":9007199254740993,"total":10.0}"#)
    );
    // Nothing of it is kept and nothing is asked of it, so it may be any text.
    let config = json!({ "fields": { "line": "text" }, "keep": [] });
    assert_eq!(
        mapped(config, "not JSON"),
        payload(r#"{"line":"not JSON"}"#)
    );
}

#[test]
fn an_expression_without_a_value_is_handled_as_configured_and_names_its_field() {
    let outcome = |source: &str, on_error: &str| {
        mapped(
            json!({ "fields": { "total": source }, "on-error": on_error }),
            ORDER,
        )
    };
    assert_eq!(
        outcome("payload.missing", "reject"),
        Err(Error::reject(
            "field /total: there is no field `payload.missing`"
        ))
    );
    assert_eq!(outcome("payload.missing", "drop"), Ok(Outputs::none()));
    assert_eq!(outcome("payload.missing", "pass"), Ok(Outputs::pass()));
    assert_eq!(
        outcome("1.0 / 0.0", "reject"),
        Err(Error::reject(
            "field /total: the expression yields inf, which JSON has no word for"
        ))
    );
    let config = json!({ "fields": { "/id/x": "1" } });
    assert_eq!(
        mapped(config, ORDER),
        Err(Error::reject(
            "cannot write /id/x: there is no place for `x`"
        ))
    );
    let error = mapped(json!({ "remove": ["id"] }), "not JSON").unwrap_err();
    assert_eq!(
        error,
        Error::reject("the payload is not JSON: expected ident at line 1 column 2")
    );
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    assert_eq!(
        refusal(json!({ "fields": { "total": "payload.price *", "b": "paylod.price", "c": "1" } })),
        "/fields/b:1:1: unknown variable `paylod`\n  hint: did you mean `payload`?\n\
         /fields/total:1:16: the expression ends too early"
    );
    assert_eq!(
        refusal(json!({ "fields": { "a": "1", "/a": "2" } })),
        "/fields/a: a field has one expression, and a name"
    );
    assert_eq!(
        refusal(json!({ "remove": ["a"], "keep": ["b"] })),
        "/keep: give either `remove` or `keep`"
    );
    let error = refusal(json!({ "remove": ["b", "/a~2"] }));
    assert!(
        error.starts_with("/remove/1: `/a~2` is no JSON pointer"),
        "{error}"
    );
}

#[test]
fn whole_and_decimal_numbers_are_calculated_with_each_other_where_they_are_converted() {
    let order = r#"{"price":2.5,"count":4}"#;
    let outcome = |source: &str| {
        let config = json!({ "fields": { "x": source }, "keep": [] });
        mapped(config, order)
    };
    let reason = "field /x: `*` does not work with the decimal number 2.5 (`payload.price`) and the whole \
                  number 4 (`payload.count`): write `double(...)` around both";
    let source = "payload.price * payload.count";
    assert_eq!(outcome(source), Err(Error::reject(reason)));
    let source = "double(payload.price) * double(payload.count)";
    assert_eq!(outcome(source), payload(r#"{"x":10.0}"#));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<Config>(folder), Ok(()));
}
