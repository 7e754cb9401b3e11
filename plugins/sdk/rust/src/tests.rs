use super::*;
use serde::Deserialize;
use std::cell::RefCell;
use std::time::Duration;

/// Does what the payload's first word says.
#[derive(Debug)]
struct Obedient(Config);

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Config {
    suffix: String,
}

impl Operator for Obedient {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.suffix == "bad" {
            Err("`suffix` is bad".into())
        } else {
            Ok(Self(config))
        }
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match message.text()? {
            "pass" => Ok(Outputs::pass()),
            "drop" => Ok(Outputs::none()),
            "retry" => Err(Error::retry_after(Duration::from_millis(5), "later")),
            text => {
                let number: i32 = text.parse()?;
                Ok(Output::new(format!("{number}{}", self.0.suffix)).into())
            }
        }
    }
}

fn outcomes(config: &str, payloads: &[&[u8]]) -> Result<Vec<Outcome>, String> {
    let slot = RefCell::new(None::<Obedient>);
    glue::configure(&slot, config)?;
    let batch: Vec<_> = payloads
        .iter()
        .map(|payload| Message::new("a.b", *payload))
        .collect();
    Ok(glue::process(&slot, &batch))
}

#[test]
fn each_message_has_its_outcome_in_the_order_of_the_batch() {
    let outcomes = outcomes("null", &[b"pass", b"drop", b"retry", b"7", b"x", b"\xff"]).unwrap();
    let after = Retry {
        after_ms: Some(5),
        reason: "later".into(),
    };
    assert_eq!(
        outcomes,
        [
            Outcome::Emit(vec![Output::pass()]),
            Outcome::Emit(vec![]),
            Outcome::Retry(after),
            Outcome::Emit(vec![Output::new("7")]),
            Outcome::Reject("invalid digit found in string".into()),
            Outcome::Reject(
                "cannot read the payload as UTF-8 text: invalid utf-8 sequence of 1 bytes from index 0"
                    .into()
            ),
        ]
    );
}

#[test]
fn the_configuration_is_typed_and_null_means_its_defaults() {
    assert_eq!(config::read::<Config>("null"), Ok(Config::default()));
    assert_eq!(
        config::read::<Config>(r#"{"suffix":"!"}"#),
        Ok(Config { suffix: "!".into() })
    );
    assert_eq!(config::read::<()>("null"), Ok(()));
    assert_eq!(
        config::read::<Config>(r#"{"sufix":"!"}"#),
        Err("/sufix: unknown field `sufix`, expected `suffix`".into())
    );
    assert_eq!(
        outcomes(r#"{"suffix":"bad"}"#, &[]),
        Err("`suffix` is bad".into())
    );
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only errors are looked at")]
struct Nested {
    rules: Vec<Rule>,
    #[serde(default)]
    limits: std::collections::BTreeMap<String, u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only errors are looked at")]
struct Rule {
    name: String,
    most: Option<u8>,
}

#[test]
fn a_value_of_the_configuration_that_does_not_fit_is_named_with_its_place() {
    for (config, expected) in [
        (
            r#"{"rules":[{"name":"a"},{"name":5}]}"#,
            "/rules/1/name: invalid type: integer",
        ),
        (
            r#"{"rules":[{"name":"a"},{"most":1}]}"#,
            "/rules/1: missing field `name`",
        ),
        (
            r#"{"rules":[{"name":"a","mots":[1]}]}"#,
            "/rules/0/mots: unknown field `mots`",
        ),
        (
            r#"{"rules":[{"name":"},]\"{","most":"x"}]}"#,
            "/rules/0/most: invalid type: string",
        ),
        (
            r#"{"rules":[],"limits":{"é/~":1,"b":256}}"#,
            "/limits/b: invalid value",
        ),
        (
            r#"{"rules":[],"limits":{"é/~":-1}}"#,
            "/limits/é~1~0: invalid value",
        ),
        (r#"{"rules":{"a":1}}"#, "/rules: invalid type: map"),
        (r#"{}"#, "missing field `rules`"),
        ("[1]", "/0: invalid type"),
        ("null", "missing field `rules`"),
    ] {
        let error = config::read::<Nested>(config).unwrap_err();
        assert!(error.starts_with(expected), "{config}: {error}");
    }
}

#[test]
fn a_payload_that_does_not_fit_is_rejected_with_the_place() {
    let error = Message::new("a", "{\"suffix\":\n1}")
        .json::<Config>()
        .unwrap_err();
    assert_eq!(
        error,
        Error::reject(
            "cannot read the payload as JSON: \
             invalid type: integer `1`, expected a string at line 2 column 1"
        )
    );
}

#[test]
fn an_error_keeps_its_causes() {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl std::fmt::Display for Outer {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("no amount")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error: Error = Outer("x".parse::<i32>().unwrap_err()).into();
    assert_eq!(
        error,
        Error::reject("no amount: invalid digit found in string")
    );
    assert_eq!(
        "x".parse::<i32>().or_retry("wait"),
        Err(Error::retry("wait: invalid digit found in string"))
    );
}

#[test]
fn an_output_takes_over_what_it_does_not_set() {
    let message = Message::new("a.b", "x").with_header("Trace", "1");
    assert_eq!(message.header("trace"), Some("1"));
    assert_eq!(message.token(1), Some("b"));
    let output = Output::json(&[1, 2])
        .unwrap()
        .subject("c")
        .headers_of(&message)
        .header("More", "2");
    assert_eq!(output.payload.as_deref(), Some(b"[1,2]".as_slice()));
    assert_eq!(output.headers.map(|headers| headers.len()), Some(2));
    assert_eq!(output.key, None);
}

#[test]
fn what_is_kept_for_a_key_is_read_as_it_was_written() {
    const NAMES: State<Vec<String>> = State::new("names");
    const NUMBER: State<u32> = State::new("names");
    let names = vec!["a".to_owned()];
    NAMES.set("k", &names).unwrap();
    assert_eq!(NAMES.get_many(["l", "k"]), Ok(vec![None, Some(names)]));
    assert_eq!(
        NUMBER.get("k"),
        Err(Error::reject(
            "cannot read the state `names` as JSON: \
             invalid type: sequence, expected u32 at line 1 column 0"
        ))
    );
    // Less than a millisecond is not zero, which deletes.
    NUMBER.set_for("k", &7, Duration::from_nanos(1)).unwrap();
    assert_eq!(NUMBER.get("k"), Ok(Some(7)));
    NUMBER.set_for("k", &7, Duration::ZERO).unwrap();
    assert_eq!(NUMBER.get("k"), Ok(None));

    for name in ["b2", "a", "b1", "b3"] {
        state::set("k", name, name.as_bytes(), None).unwrap();
    }
    let names = |after| {
        let found = state::scan("k", "b", after, 2).into_iter();
        found.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["b1", "b2"]);
    assert_eq!(names(Some("b2")), ["b3"]);
    testing::clear_state();
    assert!(names(None).is_empty());
}

#[test]
fn a_timer_is_known_by_its_key_and_tag() {
    timers::set("k", "a", timers::Clock::EventTime, 20).unwrap();
    timers::set_after("k", "b", Duration::from_nanos(10)).unwrap();
    timers::set("k", "a", timers::Clock::EventTime, 5).unwrap();
    timers::set("l", "a", timers::Clock::EventTime, 1).unwrap();
    timers::cancel("l", "a");
    let due = testing::take_timers();
    let due: Vec<_> = due.iter().map(|timer| (&*timer.tag, timer.at)).collect();
    assert_eq!(due, [("a", 5), ("b", 10)]);
    assert!(testing::take_timers().is_empty());
}

/// Joins words, and takes no empty ones.
struct Words;

impl Aggregator for Words {
    type Config = ();
    type Accumulator = Vec<String>;

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn add(&self, words: &mut Vec<String>, message: &Message) -> Result<(), Error> {
        match message.text()? {
            "" => Err(Error::retry("no word")),
            word => {
                words.push(word.to_owned());
                Ok(())
            }
        }
    }

    fn merge(&self, left: Vec<String>, right: Vec<String>) -> Result<Vec<String>, Error> {
        Ok([left, right].concat())
    }

    fn emit(&self, pane: &Pane, words: Vec<String>) -> Result<Outputs, Error> {
        let text = format!("{} {}", words.join("-"), pane.timing.as_str());
        Ok(Output::new(text).into())
    }
}

#[test]
fn an_accumulator_begins_empty_and_each_addition_pair_and_pane_has_its_answer() {
    use window_bindings::exports::weir::window::aggregation::{self, Addition, Pair};
    let slot = RefCell::new(None::<Words>);
    glue::configure_aggregator(&slot, "null").unwrap();
    let addition = |accumulator: &str, payloads: &[&str]| Addition {
        key: "k".into(),
        accumulator: accumulator.into(),
        messages: payloads.iter().map(|it| Message::new("a", *it)).collect(),
    };
    let additions = vec![
        addition("", &["a", "b"]),
        addition(r#"["a"]"#, &["b"]),
        addition("", &["a", ""]),
        addition("{", &["a"]),
    ];
    let added = glue::add(&slot, additions);
    assert_eq!(added[0], Ok(br#"["a","b"]"#.to_vec()));
    assert_eq!(added[0], added[1]);
    assert_eq!(added[2], Err("no word".into()));
    let unreadable = added[3].as_ref().unwrap_err();
    assert!(unreadable.starts_with("cannot read the accumulator as JSON"));
    let pair = Pair {
        key: "k".into(),
        left: Vec::new(),
        right: br#"["a","b"]"#.to_vec(),
    };
    assert_eq!(glue::merge(&slot, vec![pair]), [added[0].clone()]);
    let pane = aggregation::Pane {
        key: "k".into(),
        window: Window { start: -5, end: 0 },
        timing: Timing::Late,
        index: 3,
        accumulator: br#"["a","b"]"#.to_vec(),
    };
    let output = Output::new("a-b late");
    assert_eq!(glue::emit(&slot, vec![pane]), [Ok(vec![output])]);
}
