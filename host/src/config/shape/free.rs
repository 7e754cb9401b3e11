//! A value without a schema, by the rules of YAML 1.2.

use crate::config::tree::{Kind, Node, Scalar};
use serde_json::Value;

/// Plain scalars are null, booleans, numbers or
/// text. `None` if part of it is broken.
pub(super) fn to_json(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Broken => None,
        Kind::List(items) => items
            .iter()
            .map(to_json)
            .collect::<Option<_>>()
            .map(Value::Array),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| Some((entry.key.clone(), to_json(&entry.value)?)))
            .collect::<Option<_>>()
            .map(Value::Object),
        _ if node.is_null() => Some(Value::Null),
        Kind::Scalar(Scalar {
            text, plain: false, ..
        }) => Some(text.clone().into()),
        Kind::Scalar(Scalar { text, .. }) => Some(plain_scalar(text)),
    }
}

pub(super) fn plain_scalar(text: &str) -> Value {
    if let Some(truth) = to_bool(text) {
        return truth.into();
    }
    let digits = text.trim_start_matches(['+', '-']);
    // `nan` and `infinity` are numbers in Rust, but not in JSON or YAML 1.2 without a dot.
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        let positive = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = positive.parse::<u64>() {
            return number.into();
        }
        if let Ok(number) = positive.parse::<i64>() {
            return number.into();
        }
        let hexadecimal = digits
            .strip_prefix("0x")
            .map(|rest| u64::from_str_radix(rest, 16));
        if let (Some(Ok(number)), true) = (hexadecimal, digits.len() == text.len()) {
            return number.into();
        }
        if let Ok(number) = positive.parse::<f64>() {
            return number.into();
        }
    }
    text.into()
}

pub(super) fn to_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_read_by_the_rules_of_yaml_1_2() {
        for (text, expected) in [
            ("5", Value::from(5)),
            ("-5", Value::from(-5)),
            ("+5", Value::from(5)),
            ("0x1F", Value::from(31)),
            ("0.05", Value::from(0.05)),
            ("1e3", Value::from(1000.0)),
            (".5", Value::from(0.5)),
            ("18446744073709551615", Value::from(u64::MAX)),
            ("true", Value::from(true)),
            ("yes", Value::from("yes")),
            ("off", Value::from("off")),
            ("infinity", Value::from("infinity")),
            ("1.2.3", Value::from("1.2.3")),
            ("2026-01-31", Value::from("2026-01-31")),
        ] {
            assert_eq!(plain_scalar(text), expected, "{text}");
        }
    }
}
