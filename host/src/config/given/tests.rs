use super::*;

/// The place that a finding has for a line and a column of the value of `when`, with the text that it shows and where
/// the mark is in it.
fn place(yaml: &str, within: &str) -> String {
    let mut findings = Collector::new(Path::new("p.yaml"));
    let environment = |name: &str| (name == "SHOP").then(|| "berlin".to_owned());
    let documents = tree::parse(yaml, &environment, &mut findings);
    let node = documents.first().and_then(|node| node.entry("config"));
    let node = node.map(|entry| entry.value.clone());
    let given = Given::new(yaml.into(), node, "config".to_owned(), Vec::new());
    let refusal = format!("/when:{within}: wrong");
    let found = given.findings(Path::new("p.yaml"), &refusal);
    let shown = |finding: &Finding| {
        let Location { line, column } = finding.location;
        let excerpt = finding.excerpt.as_ref();
        let excerpt = excerpt.map(|excerpt| format!(" {}@{}", excerpt.text, excerpt.caret));
        format!("{line}:{column}{}", excerpt.unwrap_or_default())
    };
    found.unwrap_or_default().iter().map(shown).collect()
}

#[test]
fn a_place_in_a_text_is_found_however_yaml_writes_the_text() {
    for (yaml, within, expected) in [
        ("config:\n  when: a + bad\n", "1:5", "2:13 a + bad@4"),
        (
            "config:\n  when: a +\n    bad + c\n",
            "1:5",
            "3:5 bad + c@0",
        ),
        ("config:\n  when: a +\n\n    bad\n", "2:1", "4:5 bad@0"),
        (
            "config: { when: \"a + \\\"x\\\" + bad\", p: secret }\n",
            "1:11",
            "1:30 a + \\\"x\\\" + bad@12",
        ),
        ("config: { when: 'it''s' }\n", "1:5", "1:23 it''s@5"),
        (
            "config:\n  when: \"\\u00e4 + bad\"\n",
            "1:5",
            "2:19 \\u00e4 + bad@9",
        ),
        ("config:\n  when: \"a + \\\n    bad\"\n", "1:5", "3:5 bad@0"),
        (
            "config:\n  when: |\n    a +\n      bad\n",
            "2:3",
            "4:7   bad@2",
        ),
        (
            "config:\n  when: |-\n\n    a\n\n    bad\n",
            "4:1",
            "6:5 bad@0",
        ),
        (
            "config:\n  when: >\n    a +\n    bad\n  p: 1\n",
            "1:5",
            "4:5 bad@0",
        ),
        (
            "config:\n  when: >-\n    a\n\n    b\n      c\n    bad\n",
            "4:1",
            "7:5 bad@0",
        ),
        // Behind the end.
        ("config:\n  when: a +\n", "1:4", "2:12 a +@3"),
        ("config:\n  when: \"a +\"\n", "1:4", "2:13 a +@3"),
        ("config:\n  when: |\n    a +\n", "1:4", "3:8 a +@3"),
        ("config:\n  when: \"\"\n", "1:1", "2:9"),
        // As far as the file says what the text is.
        ("config:\n  when: bad + '${SHOP}'\n", "1:1", "2:9"),
        ("config:\n  when: ${SHOP} + bad\n", "1:10", "2:9"),
        ("a: &a a + bad\nconfig:\n  when: *a\n", "1:5", "3:9"),
        ("config:\n  when: |2\n      bad\n", "1:3", "3:7   bad@2"),
        ("config:\n  when: [1]\n", "1:5", "2:9"),
        ("config:\n  when: ä + bad\r\n", "1:5", "2:13 ä + bad@4"),
    ] {
        assert_eq!(place(yaml, within), expected, "{yaml}");
    }
}

#[test]
fn a_refusal_without_places_is_left_as_it_is() {
    let given = |refusal: &str| {
        let (given, ..) =
            Given::of_json(r#"{"a/b": {"c:1": [7, "x"]}}"#, Path::new("--config"), None);
        let found = given.findings(Path::new("--config"), refusal)?;
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        Some(found.join("\n"))
    };
    assert_eq!(given("no rate"), None);
    assert_eq!(given("/a~1b: wrong\nno rate"), None);
    assert_eq!(given("/dev/null is no place"), None);
    let expected = "--config:1:21: error: `config.a/b.c:1[1]`: wrong\n  hint: 1: do it";
    assert_eq!(
        given("/a~1b/c:1/1: wrong\n  hint: 1: do it").as_deref(),
        Some(expected)
    );
    let missing = "--config:1:9: error: `config.a/b.d`: it is missing";
    assert_eq!(given("/a~1b/d: it is missing").as_deref(), Some(missing));
}
