//! The operator's part of the pipeline file, for code that has no hold of the configured struct.
//!
//! In a native build, for tests, there is no host and so nothing to find.

use serde::de::DeserializeOwned;
use std::time::Duration;

/// The value at a JSON pointer (RFC 6901; "" is the whole configuration), or `None` where there is
/// none or it is not a `T`.
#[must_use]
pub fn get<T: DeserializeOwned>(pointer: &str) -> Option<T> {
    #[cfg(target_family = "wasm")]
    {
        let text = crate::bindings::weir::plugin::config::get(pointer)?;
        serde_json::from_str(&text).ok()
    }
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = pointer;
        None
    }
}

/// The pipeline's name.
#[must_use]
pub fn pipeline() -> String {
    #[cfg(target_family = "wasm")]
    return crate::bindings::weir::plugin::config::pipeline();
    #[cfg(not(target_family = "wasm"))]
    String::from("test")
}

/// The operator's name within the pipeline.
#[must_use]
pub fn operator() -> String {
    #[cfg(target_family = "wasm")]
    return crate::bindings::weir::plugin::config::operator();
    #[cfg(not(target_family = "wasm"))]
    String::from("test")
}

/// A time as people write it in a configuration: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// ```
/// # use weir_sdk::config;
/// # use std::time::Duration;
/// assert_eq!(config::duration("90s"), Ok(Duration::from_secs(90)));
/// assert!(config::duration("soon").is_err());
/// ```
///
/// # Errors
/// What is no such time, in words for the author of the configuration, to stand behind the name of the field.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refusal = || format!("`{text}` is not a time; write `500ms`, `30s`, `5m`, `1h` or `7d`");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refusal()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| refusal())?;
    let milliseconds = number.checked_mul(unit).ok_or_else(refusal)?;
    Ok(Duration::from_millis(milliseconds))
}

/// Reads the configuration that the host hands over. `null`, which stands for no `config:` at all,
/// is read as `{}` where the type does not take it, so that a struct of defaults needs none.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text)
        .or_else(|error| {
            if text == "null" {
                serde_json::from_str("{}")
            } else {
                Err(error)
            }
        })
        .map_err(|error| {
            // The position is one in the host's JSON text; the author of the YAML never saw that.
            let message = error.to_string();
            let position = format!(" at line {} column {}", error.line(), error.column());
            let message = message.strip_suffix(&position).unwrap_or(&message);
            let read = text.get(..error.column()).filter(|_| error.line() == 1);
            match read.map(place).unwrap_or_default() {
                whole if whole.is_empty() => message.to_owned(),
                place => format!("{place}: {message}"),
            }
        })
}

/// Where a reader is in JSON, by what it has read: the JSON pointer of the value or of its key.
fn place(read: &str) -> String {
    /// What is read in an array or an object that is open.
    enum Step {
        Index(usize),
        Key(String),
        /// The next text is a key.
        NextKey,
    }
    let mut open: Vec<Step> = Vec::new();
    let mut rest = read;
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        match (character, open.last_mut()) {
            ('{', _) => open.push(Step::NextKey),
            ('[', _) => open.push(Step::Index(0)),
            ('}' | ']', _) => drop(open.pop()),
            (',', Some(Step::Index(index))) => *index += 1,
            (',', Some(step)) => *step = Step::NextKey,
            ('"', top) => {
                length = text(rest);
                if let Some(step @ Step::NextKey) = top {
                    let key = serde_json::from_str(&rest[..length]);
                    *step = Step::Key(key.unwrap_or_default());
                }
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    let steps = open.iter().map(|step| match step {
        Step::Index(index) => format!("/{index}"),
        Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Step::NextKey => String::new(),
    });
    steps.collect()
}

/// How many bytes the text has with which JSON begins, with its quotes.
fn text(json: &str) -> usize {
    let mut is_escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |end| end + 2)
}
