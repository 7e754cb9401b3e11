//! The lines of `input.jsonl`: messages, and lines that advance the time.

use crate::config::units::DurationText;
use crate::jsonl::{self, Problem, Record};
use serde::Deserialize;
use std::time::Duration;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Input {
    Message(Record),
    /// So much time passes: `{"advance": "5m"}`.
    Advance(Duration),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: DurationText,
}

/// Parses a line.
///
/// # Errors
///
/// See [`jsonl::parse_message`]; and a time that is none.
pub(in crate::cli) fn parse(text: &str, line: usize) -> Result<Input, Problem> {
    let is_advance = |object: serde_json::Value| object.get("advance").is_some();
    if !serde_json::from_str(text).is_ok_and(is_advance) {
        return jsonl::parse_message(text, line).map(Input::Message);
    }
    let parsed = serde_json::from_str::<Advance>(text).map_err(|error| error.to_string());
    let time = parsed.and_then(|Advance { advance }| advance.parse());
    let problem = |message| Problem {
        line,
        message: format!("`advance`: {message}"),
    };
    time.map(Input::Advance).map_err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_lets_time_pass() {
        let minutes = |number: u64| Ok(Input::Advance(Duration::from_secs(60 * number)));
        assert_eq!(parse(r#"{"advance": "5m"}"#, 1), minutes(5));
        let message = parse(r#"{"subject": "a"}"#, 1);
        assert!(matches!(message, Ok(Input::Message(_))));
        for (line, expected) in [
            (r#"{"advance": "soon"}"#, "line 7: `advance`: "),
            (r#"{"advance": 5}"#, "line 7: `advance`: "),
            (
                r#"{"advance": "5m", "subject": "a"}"#,
                "unknown field `subject`",
            ),
        ] {
            let problem = parse(line, 7).err().map(|problem| problem.to_string());
            let problem = problem.unwrap_or_default();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
