//! Windows have the results that the tests of another engine expect (`tests/golden`), in one go and when the host is
//! killed in the middle.

use crate::harness::{Site, replaced, repository, wait_until};
use jiff::civil::DateTime;
use serde_json::Value;
use std::collections::BTreeMap;

/// Results by how often there are such.
type Rows = BTreeMap<String, usize>;

/// A case: the messages, and the results that are to come of them.
struct Case<'a> {
    input: &'a str,
    window: &'a str,
    bound: &'a str,
    /// Of a payload; all messages have the same, if none.
    key: Option<&'a str>,
    expected: &'a str,
    /// A result of the plugin, with its key, as a row of what is expected.
    row: fn(&Value, &str) -> Value,
}

pub(super) fn lines(name: &str) -> Vec<Value> {
    let path = repository().join("tests/golden/arroyo").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(super) fn rows(values: impl IntoIterator<Item = Value>) -> Rows {
    let mut rows = Rows::new();
    for value in values {
        let fields = value.as_object().unwrap().iter();
        let fields: BTreeMap<&String, String> =
            fields.map(|(name, value)| (name, normal(value))).collect();
        *rows.entry(format!("{fields:?}")).or_default() += 1;
    }
    rows
}

/// The same text for the same time.
fn normal(value: &Value) -> String {
    let time = value
        .as_str()
        .and_then(|text| text.parse::<DateTime>().ok());
    time.map_or_else(|| value.to_string(), |time| time.to_string())
}

/// As the expected rows have a time.
fn time(nanoseconds: &Value) -> String {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds.as_i64().unwrap().into()).unwrap();
    replaced(&time.to_string(), &[("Z", "")])
}

impl Case<'_> {
    fn holds(&self) {
        for kill in [false, true] {
            assert_eq!(
                self.results(kill),
                rows(lines(self.expected)),
                "kill: {kill}"
            );
        }
    }

    fn results(&self, kill: bool) -> Rows {
        let site = Site::new();
        let timed = "partitions: 1\nevent-time: { payload: /timestamp }\n";
        let (bound, window) = (self.bound, self.window);
        let more = format!("{timed}watermark: {{ bound: {bound} }}\n");
        let window = format!("{window}\n    config: {{ counts: true }}");
        let file = site.windows(&window, &more);
        let text = std::fs::read_to_string(&file).unwrap();
        let key = format!("key: \"{}\"", self.key.unwrap_or("{subject[1]}"));
        site.file(
            "p.yaml",
            replaced(&text, &[("key: \"{subject[1]}\"", &key)]),
        );
        let mut weir = site.run_job(&file);
        let client = site.nats.client();
        let mut messages = lines(self.input);
        for message in &mut messages {
            let counter = message["counter"].as_i64().unwrap_or_default();
            message["user"] = if counter % 10 == 0 { 0 } else { counter }.into();
        }
        // Far behind all of them, for the end of the input.
        let mut end = messages.last().unwrap().clone();
        end["timestamp"] = "2025-01-01T00:00:00Z".into();
        end["user"] = "end".into();
        let half = messages.split_off(messages.len() / 2);
        client.publish_all(messages.iter().map(|it| ("in.all", it.to_string())));
        if kill {
            wait_until("some are taken", || {
                weir.metric(&crate::harness::series("acked_total")) > 0.0
            });
            weir.kill9();
        }
        let half = half.iter().chain([&end]);
        client.publish_all(half.map(|it| ("in.all", it.to_string())));
        let _weir = kill.then(|| site.run_job(&file));
        let expected = lines(self.expected).len() as u64;
        let out = site.wait_for_messages("OUT", expected);
        let out = out.iter().map(|result| {
            let key = result.subject.strip_prefix("out.").unwrap();
            (self.row)(&result.json(), key)
        });
        rows(out)
    }
}

#[test]
fn rides_of_each_hour_count_though_they_are_behind_the_watermark() {
    let case = Case {
        input: "cars.jsonl",
        window: "{ tumbling: 1h }",
        bound: "0s",
        key: None,
        expected: "tumbling-exact-watermark.expected.jsonl",
        row: |got, _| serde_json::json!({ "count": got["count"], "timestamp": time(&got["end"]) }),
    };
    case.holds();
}

#[test]
fn rides_of_each_hour_by_their_kind() {
    let case = Case {
        input: "cars.jsonl",
        window: "{ tumbling: 1h }",
        bound: "1s",
        key: Some("{payload:/event_type}"),
        expected: "tumbling-keyed.expected.jsonl",
        row: |got, key| {
            let hour = time(&got["start"]);
            serde_json::json!({ "count": got["count"], "event_type": key, "hour": hour })
        },
    };
    case.holds();
}

#[test]
fn thirty_days_begin_with_the_epoch_and_not_with_a_month() {
    let case = Case {
        input: "cars.jsonl",
        window: "{ tumbling: 30d }",
        bound: "1m",
        key: None,
        expected: "tumbling-30-days.expected.jsonl",
        row: |got, _| serde_json::json!({ "count": got["count"], "month": time(&got["start"]) }),
    };
    case.holds();
}

#[test]
fn windows_of_ten_seconds_begin_every_two_and_before_the_first_message() {
    let case = Case {
        input: "impulse.jsonl",
        window: "{ hopping: { size: 10s, every: 2s } }",
        bound: "1s",
        key: None,
        expected: "hopping-10s-2s.expected.jsonl",
        row: |got, _| {
            serde_json::json!({
                "count": got["count"], "min": got["min"], "max": got["max"],
                "start": time(&got["start"]), "end": time(&got["end"]),
            })
        },
    };
    case.holds();
}

#[test]
fn a_session_of_each_user() {
    let case = Case {
        input: "impulse.jsonl",
        window: "{ session: { gap: 20s } }",
        bound: "1s",
        key: Some("{payload:/user}"),
        expected: "session-keyed.expected.jsonl",
        row: |got, key| {
            let user: i64 = key.parse().unwrap();
            serde_json::json!({
                "user_id": user, "rows": got["count"],
                "start": time(&got["start"]), "end": time(&got["end"]),
            })
        },
    };
    case.holds();
}
