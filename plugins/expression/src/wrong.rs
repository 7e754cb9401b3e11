//! What is wrong with an expression in a configuration.

use crate::Expression;
use weir_sdk::Refusal;

/// A mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line and the column in the expression, in characters from 1.
    pub at: (usize, usize),
    pub message: String,
    pub hint: Option<String>,
}

impl Expression {
    /// Compiles the expression at the place that these keys lead to. What is wrong with it is added to the refusal.
    pub fn read(refusal: &mut Refusal, keys: &[&str], source: &str) -> Option<Self> {
        let compiled = Self::compile(source);
        for wrong in compiled.as_ref().err().into_iter().flatten() {
            refusal.add_within(keys, wrong.at, &wrong.message, wrong.hint.as_deref());
        }
        compiled.ok()
    }
}
