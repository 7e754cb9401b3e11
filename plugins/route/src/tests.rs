use super::*;
use serde_json::{Value, json};
use weir_sdk::testing;

fn message() -> Message {
    let payload = json!({
        "country": "DE", "vip": true, "level": 3, "note": null, "tags": [],
        "shop": { "city": "berlin", "mail": "a@b.org" }, "a/b": "slash",
    });
    let mut message =
        Message::new("orders.berlin.paid", payload.to_string()).with_header("Tenant", "acme");
    message.key = Some("k7".into());
    message
}

fn route(config: Value) -> Result<Outputs, Error> {
    testing::configured::<Route>(&config)
        .unwrap()
        .process(&message())
}

fn to(subject: &str) -> Result<Outputs, Error> {
    Ok(Output::pass().subject(subject).into())
}

fn rejected(reason: &str) -> Result<Outputs, Error> {
    Err(Error::reject(reason))
}

#[test]
fn a_template_is_filled_from_the_message() {
    for (template, subject) in [
        ("orders.{/country}.{/shop/city}", "orders.DE.berlin"),
        ("vip-{/vip}.level{/level}", "vip-true.level3"),
        ("{header:tenant}.{key}", "acme.k7"),
        ("all.{subject}", "all.orders.berlin.paid"),
        ("{subject[2]}.{subject[1]}", "paid.berlin"),
        ("{/a~1b}", "slash"),
        ("fixed", "fixed"),
    ] {
        assert_eq!(
            route(json!({ "subject": template })),
            to(subject),
            "{template}"
        );
    }
}

#[test]
fn a_value_chooses_the_route() {
    let routes = json!({ "DE": "eu.de.{key}", "FR": "eu.fr", "true": "vip", "3": "third" });
    let by = |by: &str| route(json!({ "by": by, "routes": routes }));
    assert_eq!(by("/country"), to("eu.de.k7"));
    assert_eq!(by("{/country}"), to("eu.de.k7"));
    assert_eq!(by("/vip"), to("vip"));
    assert_eq!(by("/level"), to("third"));
    assert_eq!(
        by("header:Tenant"),
        rejected("there is no route for {header:Tenant} = `acme`")
    );
}

#[test]
fn a_message_without_a_route_is_handled_as_configured() {
    let otherwise = |otherwise: Value| {
        route(json!({ "by": "/country", "routes": { "FR": "eu.fr" }, "otherwise": otherwise }))
    };
    assert_eq!(
        otherwise(json!("reject")),
        rejected("there is no route for {/country} = `DE`")
    );
    assert_eq!(otherwise(json!("drop")), Ok(Outputs::none()));
    assert_eq!(otherwise(json!("keep")), Ok(Outputs::pass()));
    assert_eq!(
        otherwise(json!({ "subject": "rest.{/country}" })),
        to("rest.DE")
    );
    assert_eq!(
        otherwise(json!({ "subject": "rest.{/nothing}" })),
        rejected("the message has no {/nothing}")
    );
}

#[test]
fn values_that_make_no_subject_are_refused() {
    for (template, reason) in [
        (
            "{/shop/mail}",
            "{/shop/mail} = `a@b.org` cannot be a token of a subject",
        ),
        ("{/missing}", "the message has no {/missing}"),
        ("{/note}", "the message has no {/note}"),
        ("{/tags}", "{/tags} is neither text nor a number"),
        ("{subject[9]}", "the message has no {subject[9]}"),
        ("{header:Other}", "the message has no {header:Other}"),
    ] {
        assert_eq!(
            route(json!({ "subject": template })),
            rejected(reason),
            "{template}"
        );
    }
}

#[test]
fn the_payload_is_read_only_when_asked_for() {
    let process = |template: &str| {
        let config = json!({ "subject": template });
        testing::configured::<Route>(&config)
            .unwrap()
            .process(&Message::new("a.b", "not JSON"))
    };
    assert_eq!(process("x.{subject[1]}"), to("x.b"));
    let reason = "the payload is not JSON: expected ident at line 1 column 2";
    assert_eq!(process("{/a}"), rejected(reason));
}

#[test]
fn a_mistake_in_the_configuration_is_found_before_any_message() {
    let refusal = |config: Value| {
        testing::configured::<Route>(&config)
            .map(|_| ())
            .unwrap_err()
    };
    let neither = "give either `subject`, or `by` and `routes`";
    assert_eq!(refusal(json!({})), neither);
    assert_eq!(
        refusal(json!({ "subject": "a", "by": "/b", "routes": {} })),
        neither
    );
    assert_eq!(
        refusal(json!({ "subject": "a.{/b" })),
        "/subject: a `{` is not closed by `}`"
    );
    assert_eq!(
        refusal(json!({ "by": "country", "routes": {} })),
        "/by: unknown value `country`: write `/country` for a field, or `header:Name`, `key`, \
         `subject`, `subject[0]` or `sequence`\n/routes: at least one route is needed"
    );
    assert_eq!(
        refusal(json!({ "by": "key", "routes": { "a": "b..c" } })),
        "/routes/a: `b..c` cannot be a subject: it is made of tokens with dots between them, \
         without wildcards or white space"
    );
    assert_eq!(
        refusal(json!({ "subject": "a", "otherwise": "dorp" })),
        "/otherwise: unknown variant `dorp`, expected one of `reject`, `drop`, `keep`, `subject`"
    );
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}
