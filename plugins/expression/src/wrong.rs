//! What is wrong in a configuration, as text in which the host finds the places: each mistake is a line with the JSON
//! pointer of its value, and of an expression the line and the column in it; a hint stands below. `docs/languages/README.md`
//! says so to authors of plugins.

use crate::Expression;
use std::fmt::{self, Display, Write};

/// A mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line and the column in the expression, in characters from 1.
    pub at: (usize, usize),
    pub message: String,
    pub hint: Option<String>,
}

impl Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.at;
        // Each is one line, also where it quotes several.
        let one_line = |text: &str| text.replace('\n', " ");
        write!(formatter, "{line}:{column}: {}", one_line(&self.message))?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {}", one_line(hint)),
            None => Ok(()),
        }
    }
}

/// The mistakes of one configuration.
#[derive(Default)]
pub struct Refusal(String);

impl Refusal {
    /// Compiles the expression at the place that these keys lead to. What is wrong with it is added.
    pub fn expression(&mut self, keys: &[&str], source: &str) -> Option<Expression> {
        let compiled = Expression::compile(source);
        for wrong in compiled.as_ref().err().into_iter().flatten() {
            self.line(keys, ":", wrong);
        }
        compiled.ok()
    }

    /// Adds what is wrong with the value at the place that these keys lead to.
    pub fn add(&mut self, keys: &[&str], message: impl Display) {
        self.line(keys, ": ", &message);
    }

    fn line(&mut self, keys: &[&str], colon: &str, what: &dyn Display) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        for key in keys {
            let key = key.replace('~', "~0").replace('/', "~1");
            let _ = write!(self.0, "/{key}");
        }
        // Writing to a string does not fail.
        let _ = write!(self.0, "{colon}{what}");
    }

    /// What was made, if nothing is wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn or<T>(self, made: Option<T>) -> Result<T, String> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(self.0),
        }
    }
}
