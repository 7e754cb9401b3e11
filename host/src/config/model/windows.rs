//! The `window:` section of an operator.

use crate::config::units::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Windows of event time, for a plugin that aggregates: exactly one of `tumbling`, `hopping` and `session`. Only
/// with `delivery: exactly-once`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Window {
    /// Windows of this length, one after the other, counted from 1970. Or each `day`, `week` (from Monday) or `month`
    /// of a time zone.
    #[schemars(example = &"1m", example = &"day")]
    pub tumbling: Option<Tumbling>,
    /// Windows that overlap. A message is in each window that contains its time.
    pub hopping: Option<Hopping>,
    /// Messages that follow each other closely.
    pub session: Option<Session>,
    /// The time zone of days, weeks and months, by its name in the IANA database. `UTC` by default.
    #[schemars(example = &"Europe/Berlin")]
    pub timezone: Option<String>,
    /// The time after its end for which a window still accepts messages, measured by the watermark. Each of them
    /// emits the window again.
    pub allowed_lateness: DurationText,
    /// When a window is also emitted before its end. By default it is not.
    pub early: Early,
    /// Which messages each result of a window covers.
    pub panes: Panes,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            tumbling: None,
            hopping: None,
            session: None,
            timezone: None,
            allowed_lateness: "0s".into(),
            early: Early::default(),
            panes: Panes::default(),
        }
    }
}

/// A length, or a span of the calendar.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tumbling {
    /// Of a time zone.
    Unit(CalendarUnit),
    /// The same length for all.
    Size(DurationText),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CalendarUnit {
    Day,
    Week,
    Month,
}

/// Windows that overlap.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["size", "every"]))]
pub struct Hopping {
    /// The length of a window.
    #[schemars(example = &"1h")]
    pub size: Option<DurationText>,
    /// The time between the starts of two windows.
    #[schemars(example = &"5m")]
    pub every: Option<DurationText>,
}

/// Messages that follow each other closely.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["gap"]))]
pub struct Session {
    /// A message that comes this long after the last one, or later, starts another session.
    #[schemars(example = &"30m")]
    pub gap: Option<DurationText>,
}

/// When a window is emitted before its end. You can set both.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Early {
    /// Emits the window each time this number of messages came since it was last emitted.
    #[schemars(range(min = 1))]
    pub count: Option<u32>,
    /// Emits the window this long after the first message since it was last emitted, by the clock.
    #[schemars(example = &"10s")]
    pub interval: Option<DurationText>,
}

/// Which messages each result of a window covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Panes {
    /// All messages of the window so far.
    #[default]
    Accumulating,
    /// The messages since the window was last emitted.
    Discarding,
}
