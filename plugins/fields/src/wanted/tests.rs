use super::*;
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
    let wanted = wanted(names);
    let read = wanted.read::<Value>(json).map(|payload| match payload {
        Payload::Whole(whole) => whole,
        Payload::Fields(fields) => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (name.to_owned(), value));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    });
    let text = String::from_utf8_lossy(json);
    let [all, read] = [all, read].map(|it| it.map_err(|error| error.to_string()));
    assert_eq!(read, all, "{about}: {names:?} of {text}");
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
    let payload = all.read::<Value>(PAYLOAD.as_bytes()).unwrap();
    let whole: Value = serde_json::from_str(PAYLOAD).unwrap();
    assert!(matches!(payload, Payload::Whole(payload) if payload == whole));
}

#[test]
fn what_is_not_wanted_is_judged_as_if_it_were() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for refused in [
        r#"{"a":1,"x":"\ud800"}"#,
        r#"{"a":1,"x":1e999}"#,
        r#"{"a":1,"x":01}"#,
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
}

#[test]
fn a_damaged_payload_is_refused_for_the_same_reason_or_read_in_the_same_way() {
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
