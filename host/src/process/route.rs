//! Step 3: which operators process a message. The filters are compiled at the start.
//!
//! Pure. An operator with `subjects:` processes the messages whose source subject matches one of its filters;
//! other messages skip it.

use crate::config::resolved::Operator;
use crate::config::template::SubjectFilter;

/// The operators of a chain that see a message, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorSet(u64);

/// Operators that one chain can have: the bits of [`OperatorSet`].
pub const MOST_OPERATORS: usize = u64::BITS as usize;

impl OperatorSet {
    /// Every operator of a chain.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether the operator at `index` of the chain sees the message.
    #[must_use]
    pub fn includes(self, index: usize) -> bool {
        index < MOST_OPERATORS && self.0 & (1 << index) != 0
    }
}

/// Source subject to operators.
#[derive(Clone, Debug)]
pub struct Route {
    filters: Vec<Vec<SubjectFilter>>,
    /// What every message visits, known without looking at its subject.
    always: OperatorSet,
    /// Whether there is anything to look at.
    conditional: bool,
}

impl Route {
    /// Compiles the `subjects:` of a chain.
    #[must_use]
    pub fn compile(operators: &[Operator]) -> Self {
        let filters: Vec<_> = operators
            .iter()
            .map(|operator| operator.subjects.clone())
            .collect();
        let open = filters
            .iter()
            .enumerate()
            .filter(|(_, filters)| filters.is_empty());
        let always = OperatorSet(open.fold(0, |set, (index, _)| set | 1 << index));
        Self {
            conditional: filters.iter().any(|filters| !filters.is_empty()),
            filters,
            always,
        }
    }

    /// A chain of so many operators that all see everything.
    #[must_use]
    pub fn everything(operators: usize) -> Self {
        Self {
            filters: Vec::new(),
            always: OperatorSet(
                (0..operators.min(MOST_OPERATORS)).fold(0, |set, index| set | 1 << index),
            ),
            conditional: false,
        }
    }

    /// The operators that see a message published on `subject`.
    #[must_use]
    pub fn operators(&self, subject: &str) -> OperatorSet {
        if !self.conditional {
            return self.always;
        }
        let matching =
            |filters: &Vec<SubjectFilter>| filters.iter().any(|filter| filter.matches(subject));
        let seen = self
            .filters
            .iter()
            .enumerate()
            .filter(|(_, filters)| matching(filters));
        OperatorSet(seen.fold(self.always.0, |set, (index, _)| set | 1 << index))
    }
}
