//! MessagePack.

use crate::json::{self, View, view, within};
use fields::{DEPTH, Node, too_deep};
use rmpv::Value;
use rmpv::decode::Error;

/// How deep `rmpv` may recurse: it counts two for an array or a map, and three for a text.
const RECURSION: usize = 2 * DEPTH + 3;

pub fn decode(payload: &[u8]) -> Result<Node<'static>, String> {
    let mut rest = payload;
    let value =
        rmpv::decode::read_value_with_max_depth(&mut rest, RECURSION).map_err(
            |error| match error {
                Error::DepthLimitExceeded => too_deep(),
                error => format!("the payload is not MessagePack: {error}"),
            },
        )?;
    match rest.len() {
        0 => node(value),
        more => Err(format!(
            "the payload is not one value of MessagePack: {more} bytes come behind it"
        )),
    }
}

fn node(value: Value) -> Result<Node<'static>, String> {
    match value {
        Value::Nil => json::value(&()),
        Value::Boolean(value) => json::value(&value),
        Value::Integer(number) => json::digits(number.to_string()),
        Value::F32(number) => json::float(number),
        Value::F64(number) => json::double(number),
        Value::String(text) => json::value(text.as_str().ok_or("a text is not UTF-8")?),
        Value::Binary(bytes) => json::bytes(&bytes),
        Value::Array(elements) => {
            let elements = elements.into_iter().enumerate();
            let elements =
                elements.map(|(index, value)| node(value).map_err(|error| within(index, &error)));
            elements.collect::<Result<_, _>>().map(Node::Array)
        }
        Value::Map(entries) => {
            let fields = entries.into_iter().map(|(name, value)| {
                let name = self::name(&name)?;
                let value = node(value).map_err(|error| within(&name, &error))?;
                Ok((name, value))
            });
            fields.collect::<Result<_, String>>().map(json::object)
        }
        Value::Ext(kind, _) => Err(format!("there is a value of the extension type {kind}")),
    }
}

fn name(name: &Value) -> Result<String, String> {
    match name {
        Value::String(text) => Ok(text.as_str().ok_or("a name is not UTF-8")?.to_owned()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(value) => Ok(value.to_string()),
        other => Err(format!("{other} cannot be the name of a field")),
    }
}

pub fn encode(payload: &mut Node<'_>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &value(payload)?).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn value(node: &mut Node<'_>) -> Result<Value, String> {
    Ok(match view(node)? {
        View::Null => Value::Nil,
        View::Bool(value) => Value::Boolean(value),
        View::Whole(number) => match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => {
                return Err(format!(
                    "number out of range: {number} has more than 64 bits"
                ));
            }
        },
        View::Decimal(number) => Value::F64(number),
        View::Text(text) => text.into_owned().into(),
        View::Array(elements) => {
            let elements = elements.iter_mut().enumerate();
            let elements =
                elements.map(|(index, node)| value(node).map_err(|error| within(index, &error)));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        View::Object(fields) => {
            let entries = fields.iter_mut().map(|(name, node)| {
                let value = value(node).map_err(|error| within(&name, &error))?;
                Ok((name.as_ref().into(), value))
            });
            Value::Map(entries.collect::<Result<_, String>>()?)
        }
    })
}
