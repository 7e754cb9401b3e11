//! Formats errors for users: printed once, from the outside in, with hints.
//!
//! Errors are [`anyhow::Error`]s: each layer adds `cannot <do what> <which thing>` and, if the reader can
//! do something about it, a hint. Only this file formats them; everything else returns them. It does not
//! log: warnings of a running host go through `tracing`.
//!
//! ```text
//! error: cannot load plugin `rebates.wasm`
//!   cause: it is a core module without a component-type section
//!
//! hint: build it with `weir plugin build`
//! ```

pub mod escape;
pub mod findings;
pub mod secrets;

use findings::Findings;
use std::error::Error as StdError;
use std::fmt;
use std::io::Write;

#[cfg(test)]
mod tests;

/// The command succeeded.
pub const DONE: u8 = 0;
/// The run failed: a server is unreachable, a test differs, a disk is full.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong; the same call fails until it is changed.
pub const USAGE: u8 = 2;

/// The mark that [`hint`] and [`usage`] attach. It displays as the error that it contains, so it adds no
/// line to the chain, and its position among contexts does not matter.
struct Marked {
    error: anyhow::Error,
    hint: Option<String>,
    usage: bool,
}

impl fmt::Display for Marked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.error)
    }
}

impl fmt::Debug for Marked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, formatter)
    }
}

impl StdError for Marked {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// Attaches an action: an imperative with the exact command or key, lower case, no full stop.
#[must_use]
pub fn hint(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Marked {
        error: error.into(),
        hint: Some(hint.into()),
        usage: false,
    })
}

/// Marks an error as one of usage or configuration: exit code 2 instead of 1.
#[must_use]
pub fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(Marked {
        error: error.into(),
        hint: None,
        usage: true,
    })
}

/// [`hint`] and [`usage`] on results.
pub trait ResultExt<T> {
    /// Attaches a hint to the error; the closure runs only if there is an error.
    fn hint<H: Into<String>>(self, action: impl FnOnce() -> H) -> anyhow::Result<T>;
    /// Marks the error as one of usage or configuration.
    fn usage(self) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn hint<H: Into<String>>(self, action: impl FnOnce() -> H) -> anyhow::Result<T> {
        self.map_err(|error| hint(error, action()))
    }

    fn usage(self) -> anyhow::Result<T> {
        self.map_err(usage)
    }
}

/// The first error of type `T` in the chain, ignoring marks. [`anyhow::Error::downcast_ref`] stops at a
/// mark.
#[must_use]
pub fn find<T: StdError + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<T>() {
            Some(found) => Some(found),
            None => cause
                .downcast_ref::<Marked>()
                .and_then(|mark| find(&mark.error)),
        })
}

/// Every mark in the chain, from the outside in.
fn marks(error: &anyhow::Error) -> Vec<&Marked> {
    let mut found = Vec::new();
    for cause in error.chain() {
        let mut next = cause.downcast_ref::<Marked>();
        while let Some(mark) = next {
            found.push(mark);
            // `source` of a mark skips the error that it contains, and thus a mark directly inside it.
            next = mark.error.downcast_ref::<Marked>();
        }
    }
    found
}

/// The exit code for an error: [`USAGE`] if any layer has that mark, otherwise [`FAILED`].
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if marks(error).iter().any(|mark| mark.usage) {
        USAGE
    } else {
        FAILED
    }
}

/// The messages of the chain from the outside in, each once.
///
/// Some libraries include the source in `Display`. The repetition is then removed from the outer message,
/// or the inner message is left out if it is in the middle.
#[must_use]
pub fn chain(error: &anyhow::Error) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = secrets::hide(cause.to_string().trim()).into_owned();
        if text.is_empty() || messages.contains(&text) {
            continue;
        }
        if let Some(outer) = messages.last_mut() {
            let stem = outer
                .strip_suffix(&text)
                .map(|stem| stem.trim_end_matches([':', ' ', '\n']).to_owned());
            match stem {
                Some(stem) if !stem.is_empty() => *outer = stem,
                _ if outer.contains(&text) => continue,
                _ => {}
            }
        }
        messages.push(text);
    }
    messages
}

/// The chain in one line, for logs and for the status of a host.
#[must_use]
pub fn line(error: &anyhow::Error) -> String {
    chain(error).join(": ")
}

/// An error as a host keeps it, for its status and its readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The chain in one line.
    pub what: String,
    /// Empty where there is nothing to do about it.
    hint: String,
}

impl Problem {
    #[must_use]
    pub fn new(error: &anyhow::Error) -> Self {
        Self {
            what: line(error),
            hint: hints(error).join("; "),
        }
    }

    /// What to do about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        Some(self.hint.as_str()).filter(|hint| !hint.is_empty())
    }
}

/// The hints of the chain, each once, from the outside in.
#[must_use]
pub fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for mark in marks(error) {
        if let Some(hint) = &mark.hint {
            let hint = secrets::hide(hint).into_owned();
            if !found.contains(&hint) {
                found.push(hint);
            }
        }
    }
    found
}

/// The findings in a configuration, as the message of an error.
fn problems(findings: &Findings) -> String {
    match findings.len() {
        1 => "there is a problem in the configuration".to_owned(),
        count => format!("there are {count} problems in the configuration"),
    }
}

/// The error as text for a terminal, with a final newline. Findings in a configuration have locations and
/// come before their number.
#[must_use]
pub fn text(error: &anyhow::Error) -> String {
    if let Some(findings) = find::<Findings>(error) {
        return format!("{findings}\n\nerror: {}\n", problems(findings));
    }
    // What others have written is a part of some errors.
    escape::lines(&paragraphs(error)).into_owned()
}

fn paragraphs(error: &anyhow::Error) -> String {
    let mut out = String::new();
    for (position, message) in chain(error).iter().enumerate() {
        let label = if position == 0 {
            "error: "
        } else {
            "  cause: "
        };
        out.push_str(label);
        out.push_str(&message.replace('\n', &format!("\n{}", " ".repeat(label.len()))));
        out.push('\n');
    }
    for (position, hint) in hints(error).iter().enumerate() {
        if position == 0 {
            out.push('\n');
        }
        out.push_str("hint: ");
        out.push_str(&hint.replace('\n', "\n      "));
        out.push('\n');
    }
    out
}

/// A number of things as a person writes it: `1 message`, `2 messages`, `3 retries`.
pub fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number: u64 = number.try_into().unwrap_or(u64::MAX);
    match (number, noun.strip_suffix("ry")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ries"),
        _ => format!("{number} {noun}s"),
    }
}

/// The error for a machine: `{"error", "causes", "hints", "exit_code"}`; findings in a configuration
/// are under `findings`.
#[must_use]
pub fn json(error: &anyhow::Error) -> serde_json::Value {
    if let Some(findings) = find::<Findings>(error) {
        return serde_json::json!({
            "error": problems(findings),
            "findings": findings,
            "exit_code": exit_code(error),
        });
    }
    let mut messages = chain(error).into_iter();
    serde_json::json!({
        "error": messages.next().unwrap_or_default(),
        "causes": messages.collect::<Vec<_>>(),
        "hints": hints(error),
        "exit_code": exit_code(error),
    })
}

/// The error that a process of this program has printed with [`json`], on one line.
#[must_use]
pub fn from_json(line: &str) -> Option<anyhow::Error> {
    #[derive(serde::Deserialize)]
    struct Printed {
        error: String,
        causes: Vec<String>,
        hints: Vec<String>,
    }
    let Printed {
        error,
        causes,
        hints,
    } = serde_json::from_str(line).ok()?;
    let mut messages = std::iter::once(error).chain(causes).rev();
    let innermost = anyhow::Error::msg(messages.next()?);
    let chain = messages.fold(innermost, |inner, outer| inner.context(outer));
    Some(hints.into_iter().rev().fold(chain, hint))
}

/// Whether the reader of the output has closed it (`weir dlq ls | head`), which is not a failure.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    find::<std::io::Error>(error)
        .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints a remark of a command on stderr, which is no result and no error. If stderr is closed, nobody
/// can be told.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", secrets::hide(text));
}

/// Prints the error on stderr, as text or as one line of JSON, and returns the exit code. A broken
/// pipe prints nothing and is [`DONE`].
#[must_use]
pub fn print(error: &anyhow::Error, as_json: bool) -> u8 {
    if is_broken_pipe(error) {
        return DONE;
    }
    let text = if as_json {
        format!("{}\n", escape::json(&json(error).to_string()))
    } else {
        text(error)
    };
    // If stderr is closed, nobody can be told.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    exit_code(error)
}
