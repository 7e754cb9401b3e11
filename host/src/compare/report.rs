//! The findings of a comparison: counts and samples.

use super::Slot;
use crate::jsonl::Line;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Default number of samples of each kind.
pub const SAMPLES: usize = 5;

/// How an output differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The live pipeline has published it, the candidate would not.
    Missing,
    /// The candidate would publish it, the live pipeline has not.
    Additional,
    Subject,
    Headers,
    Payload,
    /// Both are dead letters with different reasons.
    Reason,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Missing,
        Self::Additional,
        Self::Subject,
        Self::Headers,
        Self::Payload,
        Self::Reason,
    ];

    /// The name in text and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Additional => "additional",
            Self::Subject => "subject",
            Self::Headers => "headers",
            Self::Payload => "payload",
            Self::Reason => "reason",
        }
    }
}

/// Why an output of the candidate could not be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The live pipeline may still publish the counterpart.
    Unsettled,
    /// The stream of the live outputs no longer has those of that time.
    Forgotten,
    /// More outputs than the limit waited for their counterparts.
    Beyond,
}

/// Differences by kind. An output that differs in several ways is counted under each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kinds {
    pub missing: u64,
    pub additional: u64,
    pub subject: u64,
    pub headers: u64,
    pub payload: u64,
    pub reason: u64,
}

impl Kinds {
    /// The number of differences of a kind.
    #[must_use]
    pub fn of(mut self, kind: Kind) -> u64 {
        *self.count(kind)
    }

    fn count(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Missing => &mut self.missing,
            Kind::Additional => &mut self.additional,
            Kind::Subject => &mut self.subject,
            Kind::Headers => &mut self.headers,
            Kind::Payload => &mut self.payload,
            Kind::Reason => &mut self.reason,
        }
    }
}

/// Outputs of the candidate that could not be compared, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NotCompared {
    pub unsettled: u64,
    pub forgotten: u64,
    pub beyond: u64,
}

impl NotCompared {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unsettled + self.forgotten + self.beyond
    }
}

/// One output that differs, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The sequence of the input in the source; 0 if no input names the output.
    pub sequence: u64,
    /// `result <index>` or `dead letter`; of a result that no input names, its subject.
    pub output: String,
    pub differs: Vec<Kind>,
    /// As a line of JSON; `None` if there is none, or it was not kept.
    pub live: Option<Box<RawValue>>,
    pub candidate: Option<Box<RawValue>>,
}

/// How the states of a job and of its shadow compare, when they were last compared with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct States {
    /// Partitions, and how often they were compared.
    pub partitions: u64,
    pub comparisons: u64,
    /// Values and timers of plugins that are the same, and those that differ or that only one of them has.
    pub same: u64,
    pub different: u64,
    /// The first of those that differ.
    pub samples: Vec<Row>,
}

impl States {
    /// Counts a row that differs; keeps it if there are fewer than `most` samples.
    pub(crate) fn differs(&mut self, most: usize, row: impl FnOnce() -> Row) {
        self.different += 1;
        if self.samples.len() < most {
            self.samples.push(row());
        }
    }

    /// Adds those of other partitions; keeps at most `most` samples.
    pub fn add(&mut self, other: Self, most: usize) {
        self.partitions += other.partitions;
        self.comparisons += other.comparisons;
        self.same += other.same;
        self.different += other.different;
        let left = most.saturating_sub(self.samples.len());
        self.samples.extend(other.samples.into_iter().take(left));
    }
}

/// A value or a timer that differs: their beginnings, with what is no text replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub operator: String,
    /// `value` or `timer`.
    pub kind: String,
    pub key: String,
    /// Of a timer its tag.
    pub name: String,
    /// None if there is none.
    pub live: Option<String>,
    pub candidate: Option<String>,
}

/// The findings of a comparison so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Inputs that the candidate has answered.
    pub inputs: u64,
    /// Outputs that are the same on both sides.
    pub same: u64,
    /// Outputs that differ, or exist only on one side.
    pub different: u64,
    pub differences: Kinds,
    pub not_compared: NotCompared,
    /// Outputs of the live pipeline whose inputs the candidate did not get.
    pub without_input: u64,
    /// The first samples of each kind.
    pub samples: Vec<Sample>,
}

impl Report {
    /// Outputs that could be compared.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.same + self.different
    }

    /// Counts an output that differs, and keeps it as a sample if there are fewer than `most` samples of its
    /// first kind.
    pub(super) fn differs(
        &mut self,
        (sequence, slot): (u64, Slot),
        kinds: Vec<Kind>,
        live: Option<&Line>,
        candidate: Option<&Line>,
        most: usize,
    ) {
        let named = (sequence, slot.to_string());
        self.count(named, kinds, (live, candidate), most);
    }

    /// The same of an output that no input names.
    pub(super) fn differs_in(
        &mut self,
        subject: &str,
        kinds: Vec<Kind>,
        sides: (Option<&Line>, Option<&Line>),
        most: usize,
    ) {
        self.count((0, subject.to_owned()), kinds, sides, most);
    }

    fn count(
        &mut self,
        (sequence, output): (u64, String),
        kinds: Vec<Kind>,
        (live, candidate): (Option<&Line>, Option<&Line>),
        most: usize,
    ) {
        self.different += 1;
        for kind in &kinds {
            *self.differences.count(*kind) += 1;
        }
        if self.wants(&kinds, most) {
            self.samples.push(Sample {
                sequence,
                output,
                differs: kinds,
                live: live.and_then(raw),
                candidate: candidate.and_then(raw),
            });
        }
    }

    /// Whether there are fewer than `most` samples of the first of these kinds.
    fn wants(&self, kinds: &[Kind], most: usize) -> bool {
        let known = self.samples.iter();
        let known = known.filter(|sample| sample.differs.first() == kinds.first());
        known.count() < most
    }

    /// Counts outputs that could not be compared.
    pub(super) fn leave(&mut self, why: Why) {
        *match why {
            Why::Unsettled => &mut self.not_compared.unsettled,
            Why::Forgotten => &mut self.not_compared.forgotten,
            Why::Beyond => &mut self.not_compared.beyond,
        } += 1;
    }

    /// Adds the findings of another host; keeps at most `most` samples of each kind.
    pub fn add(&mut self, other: Self, most: usize) {
        self.inputs += other.inputs;
        self.same += other.same;
        self.different += other.different;
        for kind in Kind::ALL {
            *self.differences.count(kind) += other.differences.of(kind);
        }
        self.not_compared.unsettled += other.not_compared.unsettled;
        self.not_compared.forgotten += other.not_compared.forgotten;
        self.not_compared.beyond += other.not_compared.beyond;
        self.without_input += other.without_input;
        for sample in other.samples {
            if self.wants(&sample.differs, most) {
                self.samples.push(sample);
            }
        }
    }
}

fn raw(line: &Line) -> Option<Box<RawValue>> {
    RawValue::from_string(line.to_string()).ok()
}
