//! The `views:` section.

use crate::config::units::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The latest value for each key of a job's results or state, as a key-value bucket, and over HTTP at
/// `/views/<name>` of `--admin-listen`. Only with `delivery: exactly-once`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["name"]))]
pub struct View {
    /// Letters, digits, `-` and `_`, at most 64. Two views of a process cannot have the same name.
    #[schemars(example = &"rebates")]
    pub name: Option<String>,
    /// The key of a value: text with the placeholders `{key}`, `{subject}`, `{subject[N]}`, `{subject[N..]}`,
    /// `{header:Name}` and `{payload:/json/pointer}`, which refer to the result. If a result lacks one of them, no
    /// view contains it, and it is counted. With `from: { state: ... }` only `{key}` is possible, the key of the
    /// state.
    #[schemars(example = &"{payload:/user}")]
    pub key: String,
    /// The source of the values.
    pub from: ViewFrom,
    /// The name of the bucket. The default is `<pipeline>-<view>`. `--create` creates the bucket.
    pub bucket: Option<String>,
    /// The age at which the server removes a value. By default a value stays until another one replaces it.
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

/// The source of a view's values: `results`, or a value of the state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ViewFrom {
    /// `results`, the default: the results of the job. A result without a payload deletes its key.
    Word(OfResults),
    /// A value in the state of an operator.
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
    /// The name that the plugin gives the value: `sum` for `State::new("sum")`.
    #[schemars(example = &"sum")]
    pub value: Option<String>,
}
