//! CBOR (RFC 8949).

use crate::json::{self, View, view, within};
use ciborium::Value;
use ciborium::de::Error;
use ciborium::value::Integer;
use fields::{DEPTH, Node, too_deep};

pub fn decode(payload: &[u8]) -> Result<Node<'static>, String> {
    let mut rest = payload;
    let value: Value =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH).map_err(|error| {
            match error {
                Error::RecursionLimitExceeded => too_deep(),
                Error::Syntax(byte) => {
                    format!("the payload is not CBOR: no value begins at byte {byte}")
                }
                Error::Semantic(_, what) if what.starts_with("invalid type: break") => {
                    "the payload is not CBOR: a break ends nothing".to_owned()
                }
                Error::Semantic(Some(byte), what) => {
                    format!("the payload is not CBOR: {what} at byte {byte}")
                }
                Error::Semantic(None, what) => format!("the payload is not CBOR: {what}"),
                Error::Io(_) => "the payload is not CBOR: it ends within a value".to_owned(),
            }
        })?;
    match rest.len() {
        0 => node(value),
        more => Err(format!(
            "the payload is not one value of CBOR: {more} bytes come behind it"
        )),
    }
}

fn node(value: Value) -> Result<Node<'static>, String> {
    match value {
        Value::Null => json::value(&()),
        Value::Bool(value) => json::value(&value),
        Value::Integer(number) => json::digits(i128::from(number).to_string()),
        Value::Float(number) => json::double(number),
        Value::Text(text) => json::value(&text),
        Value::Bytes(bytes) => json::bytes(&bytes),
        Value::Array(elements) => {
            let elements = elements.into_iter().enumerate();
            let elements =
                elements.map(|(index, value)| node(value).map_err(|error| within(index, &error)));
            elements.collect::<Result<_, _>>().map(Node::Array)
        }
        Value::Map(entries) => {
            let fields = entries.into_iter().map(|(name, value)| {
                let name = self::name(name)?;
                let value = node(value).map_err(|error| within(&name, &error))?;
                Ok((name, value))
            });
            fields.collect::<Result<_, String>>().map(json::object)
        }
        // What a tag says about a value, JSON has no word for.
        Value::Tag(_, value) => node(*value),
        _ => Err("there is a value of a kind that is not known".into()),
    }
}

fn name(name: Value) -> Result<String, String> {
    match name {
        Value::Text(text) => Ok(text),
        Value::Integer(number) => Ok(i128::from(number).to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(format!("{other:?} cannot be the name of a field")),
    }
}

pub fn encode(payload: &mut Node<'_>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&value(payload)?, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn value(node: &mut Node<'_>) -> Result<Value, String> {
    Ok(match view(node)? {
        View::Null => Value::Null,
        View::Bool(value) => Value::Bool(value),
        View::Whole(number) => Integer::try_from(number)
            .map(Value::Integer)
            .map_err(|_| format!("number out of range: {number} has more than 64 bits"))?,
        View::Decimal(number) => Value::Float(number),
        View::Text(text) => Value::Text(text.into_owned()),
        View::Array(elements) => {
            let elements = elements.iter_mut().enumerate();
            let elements =
                elements.map(|(index, node)| value(node).map_err(|error| within(index, &error)));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        View::Object(fields) => {
            let entries = fields.iter_mut().map(|(name, node)| {
                let value = value(node).map_err(|error| within(&name, &error))?;
                Ok((Value::Text(name.to_string()), value))
            });
            Value::Map(entries.collect::<Result<_, String>>()?)
        }
    })
}
