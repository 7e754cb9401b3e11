//! What is wrong with a configuration, as text in which the host finds the places: `weir check` tells each mistake with
//! its line and column in the pipeline file.

use std::fmt::Display;

/// The mistakes of one configuration.
///
/// Each is a line with the JSON pointer of its value below `config:`.
///
/// ```
/// # use weir_sdk::{Refusal, config};
/// let mut refusal = Refusal::default();
/// let every = refusal.check(&["every"], config::duration("soon"));
/// let share = 1.5;
/// if share > 1.0 {
///     refusal.add(&["share"], "it must be at most 1");
/// }
/// let refused = refusal.or(every).unwrap_err();
/// assert_eq!(
///     refused,
///     "/every: `soon` is not a time; write `500ms`, `30s`, `5m`, `1h` or `7d`\n/share: it must be at most 1"
/// );
/// ```
#[derive(Debug, Default)]
pub struct Refusal {
    /// The JSON pointer that all places begin with now.
    at: String,
    lines: Vec<String>,
}

impl Refusal {
    /// Adds what is wrong with the value that these keys lead to; no keys stand for the whole.
    pub fn add(&mut self, keys: &[&str], message: impl Display) {
        self.line(keys, format!(": {}", one_line(&message)));
    }

    /// Adds what is wrong with a text in a language of its own: the line and the column in it count characters from 1.
    pub fn add_within(
        &mut self,
        keys: &[&str],
        (line, column): (usize, usize),
        message: impl Display,
        hint: Option<&str>,
    ) {
        let mut text = format!(":{line}:{column}: {}", one_line(&message));
        if let Some(hint) = hint {
            text += "\n  hint: ";
            text += &one_line(&hint);
        }
        self.line(keys, text);
    }

    /// The value, if it is sound. If not, what is wrong with it is added.
    pub fn check<T>(&mut self, keys: &[&str], value: Result<T, impl Display>) -> Option<T> {
        value.map_err(|message| self.add(keys, message)).ok()
    }

    /// Reads a part of the configuration: the keys of mistakes in it start at this key.
    pub fn under<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.at.len();
        self.at += &step(key);
        let read = read(self);
        self.at.truncate(length);
        read
    }

    fn line(&mut self, keys: &[&str], what: String) {
        let keys: String = keys.iter().copied().map(step).collect();
        self.lines.push(format!("{}{keys}{what}", self.at));
    }

    /// What was made, if nothing is wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn or<T>(self, made: Option<T>) -> Result<T, String> {
        match (made, self.lines.as_slice()) {
            (Some(made), []) => Ok(made),
            // That it is about the whole need not be said.
            (_, [only]) => Err(only.strip_prefix(": ").unwrap_or(only).to_owned()),
            (_, lines) => Err(lines.join("\n")),
        }
    }
}

fn step(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn one_line(text: &dyn Display) -> String {
    let text = text.to_string();
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
