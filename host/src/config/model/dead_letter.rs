//! `dead-letter:`: where messages go that will never work, and what is kept of them.

use super::Create;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where messages go that will never work: settings, or `off`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DeadLetter {
    /// `off`.
    Word(Off),
    /// On, which is the default.
    Settings(Box<DeadLetterSettings>),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Off {
    Off,
}

impl Default for DeadLetter {
    fn default() -> Self {
        Self::Settings(Box::default())
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DeadLetterSettings {
    /// One subject, without placeholders. `weir.dead.` and the pipeline's name unless given.
    #[schemars(example = &"dead.rebates")]
    pub subject: Option<String>,
    /// The stream that captures them. Found by subject unless given; where one is created it is
    /// named after the subject.
    pub stream: Option<String>,
    /// Create the stream when it is missing: `true`, or its settings.
    pub create: Create,
    /// As `sink.forward`, for dead letters.
    pub forward: bool,
    /// What dead letters do not keep. By default they hold the whole message.
    pub redact: Redact,
}

/// What dead letters do not keep: `[redacted]` stands in its place, and `weir dlq resend` refuses the letter.
/// The reason of a plugin is kept as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Redact {
    /// JSON pointers into the payload; `*` in one is every member of an object and every element of a list. A
    /// payload that is no JSON is redacted as a whole.
    #[schemars(example = &["/card/number", "/passengers/*/passport"])]
    pub fields: Vec<String>,
    /// Names of headers, in any case.
    #[schemars(example = &["Authorization"])]
    pub headers: Vec<String>,
}
