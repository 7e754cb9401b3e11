//! What becomes of a message that an operator cannot process.

use weir_sdk::{Error, Outputs, metrics};

/// What stands under `on-error:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Make it a dead letter.
    #[default]
    Reject,
    /// Drop it.
    Drop,
    /// Pass it on unchanged.
    Pass,
}

impl OnError {
    /// The result for a message that failed for this reason. Counts it in the metric `failed`.
    ///
    /// # Errors
    /// The reason, for [`OnError::Reject`].
    pub fn result(self, reason: impl Into<String>) -> Result<Outputs, Error> {
        metrics::add("failed", 1);
        match self {
            Self::Reject => Err(Error::reject(reason)),
            Self::Drop => Ok(Outputs::none()),
            Self::Pass => Ok(Outputs::pass()),
        }
    }
}
