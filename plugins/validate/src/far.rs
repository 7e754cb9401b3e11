//! Payloads with numbers that are out of the range of doubles.

use fields::{DEPTH, Node};
use serde_json::Value;

/// The value of a payload. A number out of range is the greatest that there is, or the least: it is a number for the
/// schema, and beyond any bound in it.
///
/// # Errors
/// If the payload is not JSON.
pub fn value(payload: &[u8]) -> Result<Value, String> {
    let payload = fields::check(payload, DEPTH);
    let payload = payload.map_err(|error| format!("the payload is not JSON: {error}"))?;
    around(Node::Raw(payload))
}

fn around(mut node: Node<'_>) -> Result<Value, String> {
    let json = node.raw().unwrap_or_default();
    if let Ok(value) = serde_json::from_str(json) {
        return Ok(value);
    }
    let bound = f64::MAX.copysign(if json.starts_with('-') { -1.0 } else { 1.0 });
    Ok(match node.open()? {
        Node::Array(elements) => {
            let elements = std::mem::take(elements).into_iter().map(around);
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        Node::Object(fields) => {
            let fields = std::mem::take(fields).into_iter();
            let fields = fields.map(|(name, node)| Ok((name.into_owned(), around(node)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        _ => bound.into(),
    })
}

/// Whether a value may stand for a number out of range.
pub fn is_bound(value: &Value) -> bool {
    value
        .as_f64()
        .is_some_and(|number| number.abs() == f64::MAX)
}
