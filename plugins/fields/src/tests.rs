use super::*;
use weir_sdk::Message;

fn node(json: &str) -> Node<'_> {
    Node::read(json.as_bytes()).unwrap()
}

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn written(node: &Node<'_>) -> String {
    String::from_utf8(node.to_json()).unwrap()
}

#[test]
fn what_is_not_changed_stays_as_it_was_written() {
    let json = r#"{"z":1.10,"big":123456789012345678901234567890.5,"a":{"b":[1e2,"\u00e9"]}}"#;
    let mut payload = node(json);
    assert_eq!(written(&payload), json);
    assert!(payload.get(&pointer("/a/b/1")).unwrap().is_some());
    assert_eq!(written(&payload), json);
    payload
        .set(&pointer("/a/b/1"), Node::new("x").unwrap())
        .unwrap();
    assert_eq!(
        written(&payload),
        r#"{"z":1.10,"big":123456789012345678901234567890.5,"a":{"b":[1e2,"x"]}}"#
    );
}

#[test]
fn a_value_is_put_where_nothing_was() {
    let mut payload = node(r#"{"a":null,"list":[1],"text":"t"}"#);
    for place in ["/a/b", "/c/d/e", "/list/0"] {
        payload
            .set(&pointer(place), Node::new(&7).unwrap())
            .unwrap();
    }
    assert_eq!(
        written(&payload),
        r#"{"a":{"b":7},"list":[7],"text":"t","c":{"d":{"e":7}}}"#
    );
    let error = payload.set(&pointer("/text/x"), Node::new(&1).unwrap());
    assert_eq!(
        error.unwrap_err(),
        "cannot write /text/x: there is no place for `x`"
    );
    assert!(
        payload
            .set(&pointer("/list/1"), Node::new(&1).unwrap())
            .is_err()
    );
    // What was made by a plugin can be looked into, too.
    let mut made = Node::new(&serde_json::json!({ "a": { "b": 1 } })).unwrap();
    made.set(&pointer("/a/b"), Node::new("x").unwrap()).unwrap();
    assert_eq!(written(&made), r#"{"a":{"b":"x"}}"#);
}

#[test]
fn a_pattern_finds_every_element_and_every_field_of_the_same_name() {
    let json = r#"{"lines":[{"card":"1"},{"card":"2","card":"3"},{"sku":"a"}],"card":"4"}"#;
    let mut payload = node(json);
    let pattern = Pattern::parse("/lines/*/card").unwrap();
    let mut found = Vec::new();
    payload
        .each(&pattern, &mut |node| {
            found.extend(node.text()?.map(std::borrow::Cow::into_owned));
            Ok(())
        })
        .unwrap();
    assert_eq!(found, ["1", "2", "3"]);
    assert_eq!(payload.remove(&pattern), Ok(3));
    assert_eq!(
        written(&payload),
        r#"{"lines":[{},{},{"sku":"a"}],"card":"4"}"#
    );
}

#[test]
fn a_payload_that_is_nested_without_end_is_an_error_and_no_overflow() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let mut payload = node(&deep);
    let error = payload.each_leaf(&mut |_| Ok(())).unwrap_err();
    assert_eq!(error, "the payload has more than 127 levels of nesting");
}

#[test]
fn pointers_are_checked_and_displayed_as_they_are_written() {
    assert_eq!(pointer("/a~1b/m~0n").steps(), ["a/b", "m~n"]);
    assert_eq!(pointer("/a~1b/m~0n").to_string(), "/a~1b/m~0n");
    assert_eq!(Pointer::field("total").unwrap(), pointer("/total"));
    assert_eq!(Pointer::field("/card.no").unwrap().steps(), ["card.no"]);
    assert_eq!(
        Pointer::field("card.no").unwrap_err(),
        "`card.no` has a dot: write `/card/no` for a field inside of another, or `/card.no` for a field with a dot in \
         its name"
    );
    for (text, error) in [
        (
            "total",
            "`total` is no JSON pointer: write `/total` for a field",
        ),
        (
            "card.no",
            "`card.no` is no JSON pointer: write `/card/no` for a field inside of another, or `/card.no` for a field \
             with a dot in its name",
        ),
    ] {
        assert_eq!(Pointer::parse(text).unwrap_err(), error);
    }
    assert_eq!(Pointer::field("").unwrap_err(), "a field needs a name");
    assert!(Pointer::parse("/a~2").unwrap_err().contains("write `~0`"));
}

#[test]
fn numbers_are_text_as_they_are_written_and_values_that_are_missing_are_named() {
    let mut message = Message::new("a.b", r#"{"n":1.10,"t":"\u00e9","o":{},"null":null}"#);
    message.sequence = 7;
    let render = |template: &str| {
        Template::parse(template)
            .unwrap()
            .render(&mut Fields::of(&message))
    };
    assert_eq!(
        render("{/n}-{/t}-{subject[1]}-{sequence}"),
        Ok("1.10-é-b-7".into())
    );
    assert_eq!(render("{/x}").unwrap_err(), "the message has no {/x}");
    assert_eq!(render("{/null}").unwrap_err(), "the message has no {/null}");
    assert_eq!(
        render("{/o}").unwrap_err(),
        "{/o} is neither text nor a number"
    );
    assert!(Template::parse("{nothing}").is_err());
    assert!(Template::parse("{key").is_err());
}

#[test]
fn what_cannot_be_a_header_is_refused_and_what_belongs_to_the_host_is_not_written() {
    for (name, error) in [
        ("", "a header needs a name"),
        (
            "Event Time",
            "the name of a header has no spaces: write `Event-Time`",
        ),
        ("a:b", "the name of a header cannot have ':' in it"),
        ("Größe", "the name of a header cannot have 'ö' in it"),
    ] {
        assert_eq!(header_name(name).unwrap_err(), error);
        assert_eq!(header_to_write(name).unwrap_err(), error);
        assert_eq!(Source::parse(&format!("header:{name}")).unwrap_err(), error);
    }
    assert_eq!(header_name("Nats-Msg-Id").unwrap(), "Nats-Msg-Id");
    assert!(
        header_to_write("Nats-Msg-Id")
            .unwrap_err()
            .contains("of the server")
    );
}

#[test]
fn an_escape_that_is_no_character_has_no_place_of_another_text() {
    let mut payload = node(r#"{"a": 1, "b": "\ud800"}"#);
    let value = payload.get(&pointer("/b")).unwrap().unwrap();
    let error = value.text().unwrap_err();
    assert_eq!(
        error,
        "the payload is not JSON: unexpected end of hex escape in a text"
    );
}

#[test]
fn what_is_kept_keeps_what_is_around_it() {
    let mut payload =
        node(r#"{"id":1,"lines":[{"sku":"a","cents":1},{"cents":2}],"shop":{"x":1},"n":7}"#);
    let patterns =
        ["/id", "/lines/*/sku", "/shop/y", "/n/m"].map(|text| Pattern::parse(text).unwrap());
    payload.keep(&patterns).unwrap();
    assert_eq!(
        written(&payload),
        r#"{"id":1,"lines":[{"sku":"a"},{}],"shop":{}}"#
    );
}
