use super::*;
use proptest::prelude::*;

fn filter(text: &str) -> SubjectFilter {
    SubjectFilter::parse(text).expect(text)
}

#[test]
fn wildcards_match_as_the_server_matches_them() {
    for (pattern, subject, expected) in [
        ("orders.>", "orders.a", true),
        ("orders.>", "orders.a.b.c", true),
        ("orders.>", "orders", false),
        ("orders.*", "orders.a", true),
        ("orders.*", "orders.a.b", false),
        ("*.a", "orders.a", true),
        (">", "anything", true),
        ("orders", "orders", true),
        ("orders", "orders.a", false),
    ] {
        assert_eq!(
            filter(pattern).matches(subject),
            expected,
            "{pattern} against {subject}"
        );
    }
}

#[test]
fn a_filter_that_the_server_would_refuse_is_refused() {
    for bad in [
        "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\u{7}", ">.a", "a.>.b", "a*", "a.b>",
    ] {
        assert!(SubjectFilter::parse(bad).is_err(), "{bad:?} passed");
    }
    assert_eq!(
        SubjectFilter::parse("a.b*").unwrap_err(),
        "a wildcard must be a whole token, not a part of `b*`"
    );
}

#[test]
fn data_cannot_publish_to_the_servers_own_subjects() {
    assert!(check_free("$JS.API.STREAM.DELETE.ORDERS", "_INBOX").is_err());
    assert!(check_free("$SYS.REQ.SERVER.PING", "_INBOX").is_err());
    assert!(check_free("$KV.bucket.key", "_INBOX").is_err());
    assert!(check_free("orders.$KV", "_INBOX").is_ok());
    assert!(check_inbox_prefix("_IN.weir").is_ok());
    assert!(check_inbox_prefix("$JS.API").is_err() && check_inbox_prefix("Weir.x").is_err());
    assert!(check_subject("orders.*").is_err());
    assert!(check_subject(&"a".repeat(MAX_SUBJECT_BYTES + 1)).is_err());
}

fn tokens(with_rest: bool) -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec!["a", "b", "*"]);
    (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(move |(mut tokens, rest)| {
        if with_rest && rest {
            tokens.push(">");
        }
        tokens.join(".")
    })
}

/// Every literal subject of the small alphabet above with up to six tokens.
fn universe() -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..6 {
        last = last
            .iter()
            .flat_map(|head| ["a", "b", "c"].map(|token| format!("{head}.{token}")))
            .collect();
        all.extend(last.clone());
    }
    all.into_iter()
        .filter(|s| !s.is_empty())
        .map(|s| s[1..].to_owned())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn overlap_and_cover_agree_with_matching(left in tokens(true), right in tokens(true)) {
        let (left, right) = (filter(&left), filter(&right));
        let universe = universe();
        let meet = universe.iter().any(|s| left.matches(s) && right.matches(s));
        prop_assert_eq!(left.overlaps(&right), meet);
        prop_assert_eq!(right.overlaps(&left), meet);
        let covers = universe.iter().filter(|s| right.matches(s)).all(|s| left.matches(s));
        prop_assert_eq!(left.covers(&right), covers);
    }
}
