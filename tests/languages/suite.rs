//! `plugins/sdk/conformance/cases.yaml` and `http.yaml`, read.

use super::run::Subject;
use crate::harness::{replaced, repository};
use base64::Engine;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use weir::headers::Headers;
use weir::message::Message;

/// All cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    cases: Vec<Case>,
}

/// One case: a fresh instance with this configuration, and what its calls must return.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub config: Value,
    /// What `configure` must refuse the configuration with; there are no calls then.
    #[serde(default)]
    pub refused: Option<String>,
    #[serde(default)]
    batch: Vec<Input>,
    #[serde(default)]
    outcomes: Vec<Expected>,
    #[serde(default)]
    calls: Vec<Call>,
    /// A message with so many headers, to be described.
    #[serde(default)]
    many_headers: usize,
    /// Levels at which the payload of the first message must stand in the log.
    #[serde(default)]
    pub logs: Vec<String>,
    /// Series that must stand on the metrics page: the plugin's name in it, and the value.
    #[serde(default)]
    pub metrics: BTreeMap<String, (String, String)>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub batch: Vec<Input>,
    pub outcomes: Vec<Expected>,
}

/// A message, or several that are alike.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Input {
    subject: String,
    #[serde(flatten)]
    payload: Payload,
    #[serde(default)]
    headers: Vec<(String, String)>,
    key: Option<String>,
    #[serde(default)]
    event_time: u64,
    #[serde(default = "one")]
    sequence: u64,
    #[serde(default = "first")]
    attempt: u32,
    #[serde(default = "once")]
    times: usize,
}

/// Bytes, in whichever form reads best.
#[derive(Clone, Default, Deserialize)]
pub struct Payload {
    text: Option<String>,
    base64: Option<String>,
    json: Option<Value>,
    repeat: Option<Repeat>,
}

#[derive(Clone, Deserialize)]
struct Repeat {
    text: String,
    times: usize,
}

/// What must become of a message. Exactly one of the first five is there.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expected {
    pub emit: Option<Vec<Emitted>>,
    /// So many outputs, `{"index": 0}` and so on.
    indexes: Option<u64>,
    pub retry: Option<Retry>,
    /// Part of the reason.
    pub reject: Option<String>,
    /// Part of what is known of its end, whether rejected or isolated by the host.
    pub dead: Option<String>,
    #[serde(default = "once")]
    times: usize,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retry {
    pub reason: String,
    pub after_ms: Option<u64>,
}

/// An output: a field that is not there must be `none`.
#[derive(Clone, Deserialize)]
pub struct Emitted {
    pub subject: Option<String>,
    #[serde(flatten)]
    pub payload: Payload,
    pub headers: Option<Vec<(String, String)>>,
    pub key: Option<String>,
}

fn once() -> usize {
    1
}

fn one() -> u64 {
    1
}

fn first() -> u32 {
    1
}

/// Reads the suite.
pub fn cases() -> Vec<Case> {
    cases_of("cases.yaml", &[])
}

/// Reads the suite in this file, with these values in place of their names.
pub fn cases_of(file: &str, values: &[(&str, &str)]) -> Vec<Case> {
    let path = repository().join("plugins/sdk/conformance").join(file);
    let text = replaced(&std::fs::read_to_string(path).unwrap(), values);
    let suite: Suite = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    suite.cases
}

/// Runs all of them, and tells of all that failed.
pub fn pass(subject: &Subject, cases: &[Case], tokio: &tokio::runtime::Runtime) {
    let mut failed = Vec::new();
    for case in cases {
        if let Err(error) = tokio.block_on(subject.passes(case)) {
            failed.push(format!("{}: {error}", case.name));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n\n")
    );
}

impl Case {
    /// The batches of the case with what is expected of each.
    pub fn calls(&self) -> Vec<Call> {
        if self.many_headers > 0 {
            return vec![many_headers(self.many_headers)];
        }
        if self.batch.is_empty() {
            return self.calls.clone();
        }
        vec![Call {
            batch: self.batch.clone(),
            outcomes: self.outcomes.clone(),
        }]
    }
}

impl Call {
    pub fn messages(&self) -> Vec<Message> {
        let repeated = self
            .batch
            .iter()
            .flat_map(|input| std::iter::repeat_n(input, input.times));
        repeated.map(Input::message).collect()
    }

    pub fn expected(&self) -> Vec<Expected> {
        let repeated = self
            .outcomes
            .iter()
            .flat_map(|expected| std::iter::repeat_n(expected, expected.times));
        repeated.map(Expected::whole).collect()
    }
}

impl Input {
    fn message(&self) -> Message {
        let headers = self.headers.iter();
        Message {
            watermark: None,
            is_late: false,
            foreign: None,
            subject: self.subject.as_str().into(),
            payload: self.payload.bytes().unwrap_or_default(),
            headers: headers
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect::<Headers>(),
            key: self.key.as_deref().map(Into::into),
            source: None,
            event_time: self.event_time,
            sequence: self.sequence,
            attempt: self.attempt,
        }
    }
}

impl Payload {
    /// `None` where nothing is said.
    pub fn bytes(&self) -> Option<Bytes> {
        let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text);
        None.or_else(|| self.text.clone().map(Bytes::from))
            .or_else(|| {
                self.base64
                    .as_ref()
                    .map(|text| decode(text).unwrap().into())
            })
            .or_else(|| self.json.as_ref().map(|json| json.to_string().into()))
            .or_else(|| {
                let repeat = self.repeat.as_ref()?;
                Some(repeat.text.repeat(repeat.times).into())
            })
    }

    /// The JSON that is expected, compared as a value.
    pub fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }
}

impl Expected {
    /// With `indexes` written out.
    fn whole(&self) -> Self {
        let emitted = |index| Emitted {
            subject: None,
            payload: Payload {
                json: Some(serde_json::json!({ "index": index })),
                ..Payload::default()
            },
            headers: None,
            key: None,
        };
        let mut whole = self.clone();
        if let Some(count) = whole.indexes.take() {
            whole.emit = Some((0..count).map(emitted).collect());
        }
        whole
    }
}

fn many_headers(count: usize) -> Call {
    let headers: Vec<(String, String)> = (0..count)
        .map(|index| (format!("Header-{index}"), format!("value {index}")))
        .collect();
    let json = serde_json::json!({
        "subject": "conform.describe", "length": 0, "headers": headers, "key": null,
        "event_time": 0, "sequence": 1, "attempt": 1,
    });
    let payload = |json| Payload {
        json,
        ..Payload::default()
    };
    Call {
        batch: vec![Input {
            subject: "conform.describe".into(),
            payload: payload(None),
            headers,
            key: None,
            event_time: 0,
            sequence: 1,
            attempt: 1,
            times: 1,
        }],
        outcomes: vec![Expected {
            emit: Some(vec![Emitted {
                subject: None,
                payload: payload(Some(json)),
                headers: None,
                key: None,
            }]),
            indexes: None,
            retry: None,
            reject: None,
            dead: None,
            times: 1,
        }],
    }
}

/// A batch for the soak: JSON that is read and written, and bytes that come back.
pub fn soak(messages: usize) -> Call {
    let line = |subject: &str, payload: Payload| Input {
        subject: subject.into(),
        payload,
        headers: Vec::new(),
        key: Some("key".into()),
        event_time: 1,
        sequence: 1,
        attempt: 1,
        times: 1,
    };
    let echo = || Payload {
        repeat: Some(Repeat {
            text: "0123456789abcdef".into(),
            times: 64,
        }),
        ..Payload::default()
    };
    let number = |index| Payload {
        json: Some(serde_json::json!({ "n": index })),
        ..Payload::default()
    };
    let input = |index: usize| match index % 2 {
        0 => line("conform.echo", echo()),
        _ => line("conform.increment", number(index)),
    };
    Call {
        batch: (0..messages).map(input).collect(),
        outcomes: Vec::new(),
    }
}
