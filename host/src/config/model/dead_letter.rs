//! `dead-letter:`: where dead letters go, and which parts of a message they omit.

use super::Create;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where messages go that can never be processed: settings, or `off`.
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
    /// One subject, without placeholders. The default is `weir.dead.` and the pipeline's name.
    #[schemars(example = &"dead.rebates")]
    pub subject: Option<String>,
    /// The stream that captures the dead letters. By default the host finds it by the subject. A created stream is
    /// named after the subject.
    pub stream: Option<String>,
    /// Whether to create the stream if it is missing: `true`, or its settings.
    pub create: Create,
    /// Like `sink.forward`, for dead letters.
    pub forward: bool,
    /// The data to remove from dead letters. By default they contain the whole message.
    pub redact: Redact,
}

/// The data to remove from dead letters. `[redacted]` replaces it, and `weir dlq resend` refuses such a dead
/// letter. The reason of a plugin is not changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Redact {
    /// JSON pointers into the payload. A `*` stands for every field of an object and every element of an array. If a
    /// payload is not JSON, all of it is redacted.
    #[schemars(example = &["/card/number", "/passengers/*/passport"])]
    pub fields: Vec<String>,
    /// Names of headers; upper and lower case are equal.
    #[schemars(example = &["Authorization"])]
    pub headers: Vec<String>,
}
