//! Event time: where a message contains it, and how the watermark of a job follows it.

use crate::config::units::DurationText;
use crate::time::parse::Unit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The event time of a message: `stream`, or settings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EventTime {
    /// `stream`, the default: the time at which JetStream stored the message.
    Word(OfStream),
    /// A place in the message.
    Settings(EventTimeSettings),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfStream {
    Stream,
}

/// Either a header or a value in a JSON payload. It is RFC 3339 text, or a number counted from 1970.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EventTimeSettings {
    /// The name of a header.
    #[schemars(example = &"Event-Time")]
    pub header: Option<String>,
    /// A JSON pointer into the payload.
    #[schemars(example = &"/created-at")]
    pub payload: Option<String>,
    /// The unit of a number: `s`, `ms`, `us` or `ns`. Text has no unit.
    pub unit: Unit,
    /// What happens to a message whose event time is missing, cannot be read, or is not from 1970 to 2262. Only with
    /// `delivery: exactly-once`, where the default is `dead-letter`. In other pipelines the message has the stream's
    /// time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_invalid: Option<OnInvalid>,
}

/// What happens to a message without a valid event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalid {
    /// The message becomes a dead letter with the reason. No plugin sees it.
    #[default]
    DeadLetter,
    /// The message has the time at which JetStream stored it, and does not move the watermark.
    StreamTime,
}

/// How the watermark follows the event times of messages. If it has passed the time of a timer, the timer fires.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Watermark {
    /// How far a message may be behind the latest one and still be on time.
    pub bound: DurationText,
    /// The time for which nothing is left to read before the watermark follows the clock, at a distance of this time
    /// plus `bound`; or `off`. The default is `30s` if the event time is the stream's, and `off` otherwise. Messages
    /// that come later than that are late.
    #[schemars(example = &"1m")]
    pub idle_timeout: Option<DurationOrOff>,
    /// How far ahead of the clock an event time may be and still move the watermark; or `off`. A message beyond that
    /// is counted and processed.
    pub max_ahead: DurationOrOff,
}

/// A duration, or `off`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DurationOrOff {
    Off(super::Off),
    Duration(DurationText),
}

impl Default for Watermark {
    fn default() -> Self {
        Self {
            bound: "0s".into(),
            idle_timeout: None,
            max_ahead: DurationOrOff::Duration("10m".into()),
        }
    }
}
