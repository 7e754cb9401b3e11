//! JSON values: what is to be written is looked at, what was read is made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fields::Node;
use std::borrow::Cow;
use std::fmt::Display;

/// What a JSON value is.
pub enum View<'v, 'a> {
    Null,
    Bool(bool),
    /// A number without a decimal point and an exponent.
    Whole(i128),
    Decimal(f64),
    Text(Cow<'v, str>),
    Array(&'v mut Vec<Node<'a>>),
    Object(&'v mut Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Looks at a value.
pub fn view<'v, 'a>(node: &'v mut Node<'a>) -> Result<View<'v, 'a>, String> {
    let node = node.open()?;
    let is_text = node.raw().is_some_and(|raw| raw.starts_with('"'));
    if is_text {
        return Ok(View::Text(node.text()?.unwrap_or_default()));
    }
    Ok(match node {
        Node::Array(elements) => View::Array(elements),
        Node::Object(fields) => View::Object(fields),
        leaf => match leaf.raw().unwrap_or_default() {
            "null" => View::Null,
            "true" => View::Bool(true),
            "false" => View::Bool(false),
            number => self::number(number)?,
        },
    })
}

fn number<'v, 'a>(text: &str) -> Result<View<'v, 'a>, String> {
    if !text.contains(['.', 'e', 'E']) {
        let whole = text.parse().map(View::Whole);
        return whole.map_err(|_| format!("number out of range: {}", shortened(text)));
    }
    match text.parse::<f64>() {
        Ok(decimal) if decimal.is_finite() => Ok(View::Decimal(decimal)),
        _ => Err(format!("number out of range: {}", shortened(text))),
    }
}

/// The text that a value is called by in an error: at most 40 characters of it.
pub fn excerpt(node: &Node<'_>) -> String {
    shortened(&String::from_utf8_lossy(&node.to_json()))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An error in the element or field `step` of a value, with its place.
pub fn within(step: impl Display, error: &str) -> String {
    match error.starts_with('/') {
        true => format!("/{step}{error}"),
        false => format!("/{step}: {error}"),
    }
}

/// A text, a boolean or a whole number.
pub fn value(value: &(impl serde::Serialize + ?Sized)) -> Result<Node<'static>, String> {
    Node::new(value)
}

/// A number by its digits.
pub fn digits(text: String) -> Result<Node<'static>, String> {
    Node::digits(text)
}

/// A decimal number of 64 bits.
pub fn double(number: f64) -> Result<Node<'static>, String> {
    finite(number, number.is_finite())
}

/// One of 32 bits, in its own digits: `0.1` and not `0.10000000149011612`.
pub fn float(number: f32) -> Result<Node<'static>, String> {
    finite(number, number.is_finite())
}

fn finite(
    number: impl serde::Serialize + std::fmt::Display,
    is_finite: bool,
) -> Result<Node<'static>, String> {
    match is_finite {
        true => Node::new(&number),
        false => Err(format!(
            "there is a number {number}, which JSON has no word for"
        )),
    }
}

/// Bytes, in Base64.
pub fn bytes(bytes: &[u8]) -> Result<Node<'static>, String> {
    Node::new(&STANDARD.encode(bytes))
}

/// Bytes that a text has in Base64.
pub fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text)
        .map_err(|error| format!("no Base64: {error}"))
}

/// An object.
pub fn object(fields: Vec<(String, Node<'static>)>) -> Node<'static> {
    let fields = fields.into_iter();
    Node::Object(
        fields
            .map(|(name, node)| (Cow::Owned(name), node))
            .collect(),
    )
}
