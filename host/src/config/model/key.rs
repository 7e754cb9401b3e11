//! What a pipeline does with messages that have no key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a message without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissingKey {
    /// The message is processed without a key. In a job all messages without a key share one key, the empty one, in
    /// the state and in windows.
    #[default]
    Share,
    /// The message becomes a dead letter of the kind `missing-key`. No plugin sees it.
    DeadLetter,
    /// The message is dropped and counted. No plugin sees it.
    Drop,
}
