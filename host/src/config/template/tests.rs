use super::*;
use crate::headers::Headers;
use bytes::Bytes;
use proptest::prelude::*;

fn message() -> Message {
    Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "orders.shop-7.paid".into(),
        payload: Bytes::from_static(br#"{"order": {"id": 12, "user": "u 1"}}"#),
        headers: Headers::from_iter([
            ("Region".into(), "eu.west".into()),
            ("Bad".into(), "a b".into()),
        ]),
        key: Some("k1".into()),
        source: None,
        event_time: 0,
        sequence: 1,
        attempt: 1,
    }
}

fn render(template: &str) -> Result<ByteString, String> {
    Template::parse(template)
        .expect(template)
        .render(&message())
}

#[test]
fn a_template_renders_its_placeholders() {
    assert_eq!(render("rebates.{subject[1]}").unwrap(), "rebates.shop-7");
    assert_eq!(render("{subject}.done").unwrap(), "orders.shop-7.paid.done");
    assert_eq!(render("{subject}").unwrap(), "orders.shop-7.paid");
    assert_eq!(
        render("out.{key}-{header:region}").unwrap(),
        "out.k1-eu.west"
    );
    assert_eq!(render("fixed.subject").unwrap(), "fixed.subject");
    assert_eq!(render("x.{subject[1..]}").unwrap(), "x.shop-7.paid");
    assert_eq!(render("x.{subject[0..]}").unwrap(), "x.orders.shop-7.paid");
}

#[test]
fn the_key_in_a_bucket_is_all_that_is_behind_its_name() {
    let mut message = message();
    let mut key = |subject: &str| {
        message.subject = subject.into();
        KeyRule::of_bucket().extract(&message)
    };
    assert_eq!(key("$KV.CUSTOMERS.eu.berlin.7").unwrap(), "eu.berlin.7");
    assert_eq!(key("$KV.CUSTOMERS.a").unwrap(), "a");
    assert_eq!(key("$KV.CUSTOMERS"), None);
    let rule = KeyRule::of_bucket();
    assert_eq!(KeyRule::parse(rule.as_str()), Ok(rule));
}

#[test]
fn a_message_that_cannot_be_rendered_says_what_it_lacks() {
    assert_eq!(
        render("a.{subject[7]}").unwrap_err(),
        "the subject `orders.shop-7.paid` has no token 7"
    );
    assert_eq!(
        render("a.{header:None}").unwrap_err(),
        "the message has no header `None`"
    );
    assert_eq!(
        render("a.{header:Bad}").unwrap_err(),
        "`a.{header:Bad}` cannot be rendered: a subject cannot contain a space"
    );
}

#[test]
fn rendered_values_cannot_reach_the_servers_api() {
    let mut message = message();
    message.key = Some("$JS.API.STREAM.DELETE.ORDERS".into());
    assert!(Template::parse("{key}").unwrap().render(&message).is_err());
    message.subject = "$JS.API.STREAM.DELETE.ORDERS".into();
    assert!(
        Template::parse("{subject}")
            .unwrap()
            .render(&message)
            .is_err()
    );
    message.key = Some("a.*".into());
    assert!(
        Template::parse("x.{key}")
            .unwrap()
            .render(&message)
            .is_err()
    );
    message.key = Some("a..b".into());
    assert!(
        Template::parse("x.{key}")
            .unwrap()
            .render(&message)
            .is_err()
    );
}

#[test]
fn a_malformed_template_is_refused() {
    for (bad, why) in [
        ("", "a subject cannot be empty"),
        ("a.{subject", "the placeholder `{subject` is not closed"),
        ("a.subject}", "`}` without `{`"),
        (
            "a.{subject[x]}",
            "`x` is not the number of a token; the first token is 0",
        ),
        ("a.{header:}", "a header name cannot be empty"),
        ("a.{header:X Y}", "a header name cannot contain ' '"),
        ("a..{key}", "a subject cannot have an empty token"),
        ("a.>", "a subject to publish to cannot contain a wildcard"),
        ("$JS.API.x", "subjects under `$JS` belong to the server"),
        (
            "a.{payload:/x}",
            "a subject cannot contain `{payload:...}`; put it into `key` and write `{key}`",
        ),
    ] {
        assert_eq!(Template::parse(bad).unwrap_err(), why, "{bad}");
    }
    assert!(
        Template::parse("a.{shop}")
            .unwrap_err()
            .starts_with("unknown placeholder `{shop}`")
    );
}

#[test]
fn a_template_knows_where_it_can_reach() {
    let reach = |text: &str| {
        Template::parse(text)
            .unwrap()
            .reach()
            .map(|f| f.to_string())
    };
    assert_eq!(reach("rebates.{subject[1]}").as_deref(), Some("rebates.*"));
    assert_eq!(reach("a.x-{subject[1]}.z").as_deref(), Some("a.*.z"));
    assert_eq!(reach("a.{key}.z").as_deref(), Some("a.>"));
    assert_eq!(reach("a.b").as_deref(), Some("a.b"));
    assert_eq!(reach("{subject}"), None);

    let overlaps = |template: &str, filter: &str| {
        Template::parse(template)
            .unwrap()
            .overlaps(&SubjectFilter::parse(filter).unwrap())
    };
    assert!(overlaps("{subject}", "orders.>"));
    assert!(overlaps("{subject[0]}.x", "orders.>"));
    assert!(!overlaps("{subject[0]}", "orders.>"));
    assert!(overlaps("orders.{key}", "orders.>"));
    assert!(!overlaps("rebates.{key}", "orders.>"));
    assert!(!overlaps("orders.{subject[1]}.done.x", "orders.*"));
}

#[test]
fn a_key_is_made_of_what_the_message_holds() {
    let key = |rule: &str| KeyRule::parse(rule).expect(rule).extract(&message());
    assert_eq!(key("{subject[1]}").as_deref(), Some("shop-7"));
    assert_eq!(key("{header:REGION}").as_deref(), Some("eu.west"));
    assert_eq!(key("{payload:/order/id}").as_deref(), Some("12"));
    assert_eq!(
        key("{subject[1]}/{payload:/order/user}").as_deref(),
        Some("shop-7/u 1")
    );
    assert_eq!(key("{subject}").as_deref(), Some("orders.shop-7.paid"));
    assert_eq!(key("{payload:/order}"), None);
    assert_eq!(key("{subject[1]}-{header:None}"), None);
}

#[test]
fn a_key_rule_that_tells_no_messages_apart_is_refused() {
    assert!(KeyRule::parse("fixed").is_err());
    assert!(KeyRule::parse("").is_err());
    assert!(KeyRule::parse("{key}").is_err());
    assert!(KeyRule::parse("{payload:order}").is_err());
    assert_eq!(
        KeyRule::parse("{subject[3]}{subject[1]}")
            .unwrap()
            .highest_token(),
        Some(3)
    );
}

proptest! {
    #[test]
    fn whatever_a_template_renders_is_a_legal_subject_within_its_reach(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "out", "a-b", ".", ".", "{subject}", "{subject[0]}", "{subject[1]}", "{key}",
                "{header:Region}",
            ]),
            1..7,
        ),
        subject in "[a-z]{1,3}(\\.[a-z$]{1,3}){0,3}",
        key in prop::option::of("[a-z.*> $é]{0,6}"),
        region in "[a-z.]{0,5}",
    ) {
        let Ok(template) = Template::parse(&parts.concat()) else { return Ok(()) };
        let mut message = message();
        message.subject = subject.into();
        message.key = key.map(Into::into);
        message.headers = Headers::from_iter([("Region".into(), region.into())]);
        let Ok(rendered) = template.render(&message) else { return Ok(()) };
        prop_assert!(check_subject(&rendered).is_ok(), "{}", rendered);
        if let Some(reach) = template.reach() {
            prop_assert!(reach.matches(&rendered), "{} is outside {}", rendered, reach);
        }
        // A star inside a token is a character to the server, and a likely slip in a filter.
        if let Ok(itself) = SubjectFilter::parse(&rendered) {
            prop_assert!(template.overlaps(&itself));
        }
    }
}
