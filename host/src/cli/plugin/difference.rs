//! Compares expected and actual output of a plugin, line by line and field by field.
//!
//! JSON values are compared by meaning: the order of keys and the notation of numbers do not matter. Pure.

use crate::jsonl::Line;
use serde_json::{Map, Value, json};
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Number of equal lines that are shown around a difference.
const CONTEXT: usize = 2;

/// Number of fields that are listed under a pair of lines.
const FIELDS: usize = 5;

/// Two lists of lines and their differences.
pub(super) struct Differences {
    expected: Vec<Value>,
    got: Vec<Value>,
    steps: Vec<DiffOp>,
}

/// Compares the fields that `expected` uses.
pub(super) fn compare(expected: &[Line], got: &[Line]) -> Differences {
    let expected: Vec<Value> = expected.iter().map(value).collect();
    let mut used: BTreeSet<(&str, String)> = BTreeSet::new();
    for line in &expected {
        let fields = line.as_object().into_iter().flat_map(Map::keys);
        used.extend(fields.map(|field| (kind(line), field.clone())));
    }
    let got: Vec<Value> = got
        .iter()
        .map(|line| {
            let mut line = value(line);
            let kind = kind(&line);
            if let Some(fields) = line.as_object_mut() {
                fields.retain(|field, _| is_always(field) || used.contains(&(kind, field.clone())));
            }
            line
        })
        .collect();
    let texts = |lines: &[Value]| lines.iter().map(sorted).collect::<Vec<_>>();
    let steps = capture_diff_slices(Algorithm::Myers, &texts(&expected), &texts(&got));
    Differences {
        expected,
        got,
        steps,
    }
}

/// The payload is always compared, whichever field it is in.
fn is_always(field: &str) -> bool {
    matches!(
        field,
        "subject" | "payload" | "text" | "base64" | "reject" | "retry"
    )
}

fn value(line: &Line) -> Value {
    // A line prints as JSON; if it did not, its text would still tell.
    serde_json::from_str(&line.to_string()).unwrap_or_else(|_| Value::String(line.to_string()))
}

fn kind(line: &Value) -> &'static str {
    ["reject", "retry"]
        .into_iter()
        .find(|field| line.get(field).is_some())
        .unwrap_or("message")
}

/// Text that is equal for values with the same meaning.
fn sorted(value: &Value) -> String {
    fn sort(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(sort).collect(),
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().map(|(k, v)| (k.clone(), sort(v))).collect();
                fields.sort_by(|(one, _), (other, _)| one.cmp(other));
                Value::Object(fields.into_iter().collect())
            }
            // 1.50 and 1.5 are read as one number already; 1.0 and 1 are not.
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                    json!(float as i64)
                }
                _ => value.clone(),
            },
            other => other.clone(),
        }
    }
    sort(value).to_string()
}

impl Differences {
    /// Whether there are no differences.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.tag() == DiffTag::Equal)
    }

    /// `{"expected": line, "got": line}`, each `null` if there is none.
    pub(super) fn pairs(&self) -> Vec<Value> {
        let different = self
            .steps
            .iter()
            .filter(|step| step.tag() != DiffTag::Equal);
        let pairs = different.flat_map(|step| self.changed(step));
        pairs
            .map(|(expected, got)| json!({"expected": expected, "got": got}))
            .collect()
    }

    /// The lines of a step, paired while both sides have lines.
    fn changed(&self, step: &DiffOp) -> Vec<(Option<&Value>, Option<&Value>)> {
        let expected = self.expected.get(step.old_range()).unwrap_or_default();
        let got = self.got.get(step.new_range()).unwrap_or_default();
        let longer = expected.len().max(got.len());
        (0..longer)
            .map(|operator_path| (expected.get(operator_path), got.get(operator_path)))
            .collect()
    }

    /// For people: `-` expected, `+` actual, the fields that differ, and the number of differences.
    pub(super) fn text(&self, file: &str) -> String {
        let mut out = format!("- {file}\n+ what became of the messages\n");
        let mut counts = [0_usize; 3];
        for group in group_diff_ops(self.steps.clone(), CONTEXT) {
            let first = group.first().map_or(0, |step| step.old_range().start);
            // Writing to a string does not fail.
            let _ = writeln!(out, "\nline {}", first + 1);
            for step in &group {
                for (expected, got) in self.changed(step) {
                    match (step.tag(), expected, got) {
                        (DiffTag::Equal, Some(line), _) => {
                            let _ = writeln!(out, "  {line}");
                        }
                        (_, Some(expected), Some(got)) => {
                            counts[0] += 1;
                            let _ = writeln!(out, "- {expected}\n+ {got}");
                            for field in fields(expected, got).iter().take(FIELDS) {
                                let _ = writeln!(out, "    {field}");
                            }
                        }
                        (_, Some(expected), None) => {
                            counts[1] += 1;
                            let _ = writeln!(out, "- {expected}");
                        }
                        (_, None, Some(got)) => {
                            counts[2] += 1;
                            let _ = writeln!(out, "+ {got}");
                        }
                        _ => {}
                    }
                }
            }
        }
        let [changed, missing, unexpected] = counts;
        let _ = writeln!(
            out,
            "\ndifferent: {changed} changed, {missing} missing, {unexpected} unexpected"
        );
        out
    }
}

/// The fields in which two lines differ: `payload.cents: expected 5, got 6`.
fn fields(expected: &Value, got: &Value) -> Vec<String> {
    fn walk(path: &str, expected: Option<&Value>, got: Option<&Value>, out: &mut Vec<String>) {
        match (expected, got) {
            (Some(Value::Object(expected)), Some(Value::Object(got))) => {
                let added = got.keys().filter(|key| !expected.contains_key(*key));
                for key in expected.keys().chain(added) {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    walk(&path, expected.get(key), got.get(key), out);
                }
            }
            (Some(expected), Some(got)) if sorted(expected) == sorted(got) => {}
            (expected, got) => {
                let show =
                    |side: Option<&Value>| side.map_or("nothing".to_owned(), Value::to_string);
                out.push(format!(
                    "{path}: expected {}, got {}",
                    show(expected),
                    show(got)
                ));
            }
        }
    }
    let mut out = Vec::new();
    walk("", Some(expected), Some(got), &mut out);
    out
}

#[cfg(test)]
mod tests;
