//! The views of a job.

use crate::config::template::KeyRule;
use std::time::Duration;

/// The latest value for each key of the results or of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Of no other view of the process.
    pub name: String,
    pub from: ViewFrom,
    /// Of a result, or of a key of the state.
    pub key: KeyRule,
    pub bucket: String,
    /// After which a value is removed; none keeps it until another takes its place.
    pub ttl: Option<Duration>,
}

/// What the values of a view are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewFrom {
    Results,
    /// What the operator of this name keeps under this name.
    State {
        operator: String,
        value: String,
    },
}

impl ViewFrom {
    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Results => "results".to_owned(),
            Self::State { operator, value } => format!("`{value}` of operator `{operator}`"),
        }
    }
}

impl View {
    /// What of the state it has, and where: another one has to be filled.
    #[must_use]
    pub fn identity(&self) -> String {
        let (name, key, bucket) = (&self.name, self.key.as_str(), &self.bucket);
        format!("{name} {key} {bucket} {}", self.from.words())
    }

    /// The stream of its bucket.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("KV_{}", self.bucket)
    }
}
