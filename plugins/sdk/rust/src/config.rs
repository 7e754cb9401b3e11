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
            message
                .strip_suffix(&position)
                .unwrap_or(&message)
                .to_owned()
        })
}
