//! Rows of the state as text for people and scripts: they may contain any bytes.

use super::held::{self, Held};
use crate::state::Clock;
use crate::state::entries::{Entry, What};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;

/// Bytes as JSON: text where they are, else base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Text {
    Text(String),
    Bytes { base64: String },
}

impl Text {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                base64: STANDARD.encode(bytes),
            },
        }
    }
}

/// A row. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Empty for what the host keeps: messages that wait, and when they go on.
    pub operator: String,
    /// `value`, `timer`, `message`, or `held-timer`: a timer that waits for its next attempt.
    pub kind: &'static str,
    pub key: Text,
    /// Of a timer its tag; nothing for what the host keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Of a timer: `event-time` or `processing-time`, and when it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Of a message that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Bytes of the value, or of the message's payload.
    pub bytes: usize,
    /// The same as JSON where it is JSON, else as text or base64; only where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl Row {
    /// None for what only the host understands.
    #[must_use]
    pub fn of(entry: Entry<'_>, with_value: bool) -> Option<Self> {
        let is_host = entry.operator.is_empty();
        let mut row = Self {
            operator: entry.operator.to_owned(),
            kind: "value",
            key: Text::of(entry.key),
            name: (!is_host).then(|| Text::of(entry.name)),
            expires: entry.expiry.map(time),
            clock: None,
            due: None,
            sequence: None,
            subject: None,
            bytes: 0,
            value: None,
        };
        let mut content = entry.value.to_vec();
        match entry.what {
            What::Value => {}
            What::Queue => return None,
            What::Timer { clock, at } => {
                content.clear();
                row.is_timer(clock, at);
            }
            What::Waiting => match held::read(entry.value) {
                Some(Held::Message(input)) => {
                    row.kind = "message";
                    row.sequence = Some(input.message.sequence);
                    row.subject = Some(input.message.subject.to_string());
                    content = input.message.payload.to_vec();
                }
                Some(Held::Timer(timer)) => {
                    row.is_timer(timer.clock, timer.at);
                    row.kind = "held-timer";
                    row.operator = timer.operator.to_string();
                    row.name = Some(Text::of(&timer.tag));
                    content.clear();
                }
                None => row.kind = "message",
            },
        }
        row.bytes = content.len();
        let has_value = with_value && matches!(row.kind, "value" | "message");
        row.value = has_value.then(|| value(&content));
        Some(row)
    }

    fn is_timer(&mut self, clock: Clock, at: u64) {
        self.kind = "timer";
        self.clock = Some(match clock {
            Clock::EventTime => "event-time",
            Clock::ProcessingTime => "processing-time",
        });
        self.due = Some(time(at));
    }
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| {
        let text = serde_json::to_value(Text::of(bytes));
        text.unwrap_or_default()
    })
}

/// RFC 3339; the number where it is no time of a calendar.
#[must_use]
pub fn time(nanoseconds: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds));
    time.map_or_else(|_| nanoseconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::state::{Group, Groups, State};

    #[test]
    fn rows_of_a_key_are_shown_as_what_they_are_whatever_their_bytes() {
        let mut state = State::new(Groups::all(), ["op"], u64::MAX).unwrap();
        let op = state.operator("op").unwrap();
        let key = b"\xffk";
        state.begin(1_000_000_000);
        state
            .set(op, key, b"json", b"{\"a\":1}", Some(5_000_000_000))
            .unwrap();
        state.set(op, key, b"text", "ä".as_bytes(), None).unwrap();
        state.set(op, key, b"\xfe", b"\x00\xff", None).unwrap();
        state
            .set_timer(op, key, b"tag", Clock::EventTime, 2_000_000_000)
            .unwrap();
        state
            .hold(key, b"", b"what nobody can read", 1, 3_000_000_000)
            .unwrap();
        state.seal().unwrap();
        state.confirmed();
        let rows = state
            .entries(Group::of(key))
            .filter_map(|entry| Row::of(entry, true));
        let rows: Vec<String> = rows
            .map(|row| serde_json::to_string(&row).unwrap())
            .collect();
        let start = |operator: &str, kind: &str| {
            format!(
                "{{\"operator\":\"{operator}\",\"kind\":\"{kind}\",\"key\":{{\"base64\":\"/2s=\"}},"
            )
        };
        let (of_op, timer) = (start("op", "value"), start("op", "timer"));
        let clock = |clock: &str| format!("\"clock\":\"{clock}\"");
        let expected = [
            format!(
                "{}{},\"due\":\"1970-01-01T00:00:03Z\",\"bytes\":0}}",
                start("", "timer"),
                clock("processing-time")
            ),
            format!(
                "{}\"bytes\":20,\"value\":\"what nobody can read\"}}",
                start("", "message")
            ),
            format!(
                "{of_op}\"name\":\"json\",\"expires\":\"1970-01-01T00:00:06Z\",\"bytes\":7,\"value\":{{\"a\":1}}}}"
            ),
            format!("{of_op}\"name\":\"text\",\"bytes\":2,\"value\":\"ä\"}}"),
            format!(
                "{of_op}\"name\":{{\"base64\":\"/g==\"}},\"bytes\":2,\"value\":{{\"base64\":\"AP8=\"}}}}"
            ),
            format!(
                "{timer}\"name\":\"tag\",{},\"due\":\"1970-01-01T00:00:02Z\",\"bytes\":0}}",
                clock("event-time")
            ),
        ];
        assert_eq!(rows, expected);
    }
}
