//! The `views:` section.

use crate::config::units::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The latest value for each key of what a job publishes, as a key-value bucket, and over HTTP at `/views/<name>` of
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
            from: ViewFrom::Results,
            bucket: None,
            ttl: None,
        }
    }
}

/// What the values of a view are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ViewFrom {
    /// The results of the job. One without a payload deletes its key.
    Results,
}
