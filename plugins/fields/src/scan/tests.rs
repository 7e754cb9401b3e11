use super::*;
use crate::DEPTH;

#[test]
fn what_is_wrong_is_said_with_its_place_in_the_words_of_serde_json() {
    for json in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "\"a",
        "\"\\",
        "x",
        "nul",
        "nulx",
        "tru",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "[1 2]",
        "{\"a\":1 2}",
        "{} x",
        "1 2",
        "-",
        "-x",
        "01",
        "1.",
        "1.x",
        "1e",
        "1e+",
        "+1",
        "NaN",
        "\"\u{1}\"",
        "\"\\x\"",
        "{\n  \"a\": x\n}",
        "[1,\n2,\n\n]",
        "no json",
    ] {
        let expected = serde_json::from_str::<serde_json::Value>(json).unwrap_err();
        let found = check(json.as_bytes(), DEPTH).unwrap_err().to_string();
        assert_eq!(found, expected.to_string(), "{json:?}");
    }
}

#[test]
fn a_text_without_a_character_behind_it_and_too_deep_a_nesting_are_refused() {
    let said = |json: &[u8], levels| check(json, levels).err().map(|error| error.to_string());
    for lone in [
        r#"["\ud800"]"#,
        r#"["\ud800x"]"#,
        r#"["\udc00"]"#,
        r#"["\ud800\ud800"]"#,
    ] {
        let said = said(lone.as_bytes(), DEPTH).unwrap();
        assert!(
            said.starts_with("lone leading surrogate in hex escape"),
            "{said}"
        );
    }
    assert_eq!(said(r#"["\ud83d\ude00"]"#.as_bytes(), DEPTH), None);
    let said_of_bytes = said(b"[\"a\xff\"]", DEPTH);
    assert_eq!(
        said_of_bytes.as_deref(),
        Some("invalid unicode code point at line 1 column 4")
    );
    assert_eq!(said(b"[[{}]]", 3), None);
    let deep = said(b"[[{}]]", 2);
    assert_eq!(
        deep.as_deref(),
        Some("more than 2 levels of nesting at line 1 column 3")
    );
}

#[test]
fn the_bytes_before_a_special_one_are_counted_whatever_they_are() {
    for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
        for before in 0..40 {
            for plain_byte in [
                b' ', b'a', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff,
            ] {
                let mut text = vec![plain_byte; 40];
                text[before] = special;
                assert_eq!(
                    plain(&text),
                    before,
                    "{special} behind {before} of {plain_byte}"
                );
            }
        }
    }
    assert_eq!(plain(&[b'a'; 19]), 19);
}

#[test]
fn a_pointer_finds_what_it_finds_in_values() {
    let json = r#"{"a": [{"b": 1}], "a/b": {"m~n": 2}, "": 3, "a": {"c": [4, [5]]}, "n": null, "\u0078": {"y": "\\"}}"#;
    let whole: serde_json::Value = serde_json::from_str(json).unwrap();
    for pointer in [
        "",
        "/a",
        "/a/c/0",
        "/a/c/00",
        "/a/c/1/0",
        "/a/c/2",
        "/a/b",
        "/a~1b/m~0n",
        "/",
        "/n",
        "/n/x",
        "/x",
        "/x/y",
        "/0",
    ] {
        let steps = crate::Pointer::parse(pointer).unwrap();
        let found = find(json, steps.steps()).map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(found.as_ref(), whole.pointer(pointer), "{pointer}");
    }
}
