//! The `views:` section.

use crate::config::units::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The latest value for each key of what a job publishes or keeps, as a key-value bucket, and over HTTP at `/views/<name>` of
/// `--admin-listen`. Only with `delivery: exactly-once`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["name"]))]
pub struct View {
    /// Letters, digits, `-` and `_`, at most 64. No other view of the process has it.
    #[schemars(example = &"rebates")]
    pub name: Option<String>,
    /// The key of a value: text with the placeholders `{key}`, `{subject}`, `{subject[N]}`, `{subject[N..]}`,
    /// `{header:Name}` and `{payload:/json/pointer}`, all of the result. A result that lacks one of them is in no view, and counted.
    /// With `from: { state: ... }` only `{key}`, the key of the state.
    #[schemars(example = &"{payload:/user}")]
    pub key: String,
    /// What the values are.
    pub from: ViewFrom,
    /// The bucket. By default it is `<pipeline>-<view>`. `--create` makes it.
    pub bucket: Option<String>,
    /// Values older than this are removed. By default they are kept until another takes their place.
    #[schemars(example = &"30d")]
    pub ttl: Option<DurationText>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            name: None,
            key: "{key}".to_owned(),
            from: ViewFrom::Word(OfResults::Results),
            bucket: None,
            ttl: None,
        }
    }
}

/// What the values of a view are: `results`, or a value of the state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ViewFrom {
    /// `results`, which is the default: those of the job. One without a payload deletes its key.
    Word(OfResults),
    /// What an operator keeps.
    State(StateValue),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfResults {
    Results,
}

/// The values that an operator keeps under one name.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["state", "value"]))]
pub struct StateValue {
    /// The operator's name.
    #[schemars(example = &"total")]
    pub state: Option<String>,
    /// The name of the value, as the plugin has it: `sum` of `State::new("sum")`.
    #[schemars(example = &"sum")]
    pub value: Option<String>,
}
