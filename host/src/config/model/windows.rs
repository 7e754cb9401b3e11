//! The `window:` section of an operator.

use crate::config::units::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Windows of event time, for a plugin that aggregates: exactly one of `tumbling`, `hopping` and `session`. Only with
/// `delivery: exactly-once`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Window {
    /// One window after the other, each of this length, beginning in 1970; or each `day`, `week` (from Monday) or
    /// `month` of a time zone.
    #[schemars(example = &"1m", example = &"day")]
    pub tumbling: Option<Tumbling>,
    /// Windows that overlap: a message is in each that it falls into.
    pub hopping: Option<Hopping>,
    /// Messages that follow each other closely.
    pub session: Option<Session>,
    /// The time zone of days, weeks and months, by its name in the IANA database. `UTC` by default.
    #[schemars(example = &"Europe/Berlin")]
    pub timezone: Option<String>,
    /// How long after its end a window still takes messages, each of which emits it again. Measured by the
    /// watermark.
    pub allowed_lateness: DurationText,
    /// When a window is emitted before its end, besides. It is not, by default.
    pub early: Early,
    /// What each result of a window is about.
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
    /// The same for all.
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
    /// How long after the beginning of one the next begins.
    #[schemars(example = &"5m")]
    pub every: Option<DurationText>,
}

/// Messages that follow each other closely.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["gap"]))]
pub struct Session {
    /// A message that comes this long after the last one, or later, begins another session.
    #[schemars(example = &"30m")]
    pub gap: Option<DurationText>,
}

/// When a window is emitted before its end. Both may be given.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Early {
    /// Whenever so many messages came since it was last emitted.
    #[schemars(range(min = 1))]
    pub count: Option<u32>,
    /// So long after the first message since it was last emitted, by the clock.
    #[schemars(example = &"10s")]
    pub interval: Option<DurationText>,
}

/// What each result of a window is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Panes {
    /// All messages of the window so far.
    #[default]
    Accumulating,
    /// Those since it was last emitted.
    Discarding,
}
