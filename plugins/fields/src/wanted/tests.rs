use super::*;
use crate::Node;
use serde_json::{Map, Value};

const PAYLOAD: &str = r#" {"a":{"b":[1,-2.5e3,null,true]},"skip":"t\u00e9\n","n":18446744073709551615,
    "a":"twice","\u0061b":[{}],"more":[{"deep":{"a":1}},"\ud83d\ude00"],"last":1e-7} "#;

/// Numbers that are the same for a seed (SplitMix64).
fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from(mixed >> 33).unwrap()
}

fn wanted(names: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    names.iter().for_each(|name| wanted.field(name));
    wanted
}

/// What is read of a payload is what all of it has under the same names, or the same error.
fn check(names: &[&str], json: &[u8], about: &str) {
    let all = serde_json::from_slice::<Value>(json).map(|payload| match payload {
        Value::Object(mut fields) => {
            fields.retain(|name, _| names.contains(&name.as_str()));
            Value::Object(fields)
        }
        whole => whole,
    });
    if all
        .as_ref()
        .err()
        .is_some_and(|error| error.to_string().starts_with("number out of range"))
    {
        return;
    }
    let wanted = wanted(names);
    let value = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    let read = wanted.read(json).map(|payload| match payload {
        Payload::Whole(whole) => value(whole),
        Payload::Fields(fields) => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, json)| (name.to_owned(), value(json)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    });
    let text = String::from_utf8_lossy(json);
    assert_eq!(
        read.is_ok(),
        all.is_ok(),
        "{about}: {names:?} of {text}: {read:?}"
    );
    if let (Ok(read), Ok(all)) = (read, all) {
        assert_eq!(read, all, "{about}: {names:?} of {text}");
    }
}

#[test]
fn the_fields_that_are_wanted_are_those_of_the_whole_payload() {
    for names in [&["a", "ab"][..], &["n", "last"], &["more", "none"], &[]] {
        check(names, PAYLOAD.as_bytes(), "whole");
        for other in ["[1,2]", " 7", "null", "\"a\"", "{}", "", " ", "{", "true x"] {
            check(names, other.as_bytes(), "no object");
        }
    }
    let mut all = wanted(&["a"]);
    all.all();
    let payload = all.read(PAYLOAD.as_bytes()).unwrap();
    assert!(matches!(payload, Payload::Whole(payload) if payload == PAYLOAD.trim()));
}

#[test]
fn what_is_not_wanted_is_judged_as_if_it_were() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    for refused in [
        r#"{"a":1,"x":"\ud800"}"#,
        r#"{"a":1,"x":"\udc00\ud800"}"#,
        r#"{"a":1,"x":01}"#,
        r#"{"a":1,"x":+1}"#,
        r#"{"a":1,"x":NaN}"#,
        r#"{"a":1,"x":"tab	"}"#,
        r#"{"a":1,"x":nul}"#,
        r#"{"a":1,"x":[1,]}"#,
        r#"{"a":1,x:1}"#,
        r#"{"a":1} {}"#,
        &deep,
    ] {
        assert!(serde_json::from_str::<Value>(refused).is_err(), "{refused}");
        check(&["a"], refused.as_bytes(), "refused");
    }
    check(&["a"], b"{\"a\":1,\"x\":\"\xff\"}", "no text");
    check(
        &["a"],
        deep[1..].replacen('[', "", 1).as_bytes(),
        "as deep as may be",
    );
}

#[test]
fn a_damaged_payload_is_refused_or_read_in_the_same_way() {
    for round in 0..20_000 {
        let mut seed = round;
        let mut json = PAYLOAD.as_bytes().to_vec();
        for _ in 0..=random(&mut seed) % 3 {
            let place = random(&mut seed) % json.len();
            match random(&mut seed) % 3 {
                0 => drop(json.remove(place)),
                1 => json[place] = json[random(&mut seed) % json.len()],
                _ => json[place] = u8::try_from(random(&mut seed) % 256).unwrap(),
            }
        }
        check(&["a", "last"], &json, &format!("seed {round}"));
    }
}

#[test]
fn a_number_of_any_size_is_json_and_keeps_its_digits() {
    let json = br#"{"a": -12345678901234567890.10, "b": [1e400], "c": {"d": 1E-400}}"#;
    let wanted = wanted(&["a", "c"]);
    let Ok(Payload::Fields(fields)) = wanted.read(json) else {
        panic!("it is JSON");
    };
    let expected = [("a", "-12345678901234567890.10"), ("c", r#"{"d": 1E-400}"#)];
    assert_eq!(fields, expected);
    assert!(Node::read(json).is_ok());
}
