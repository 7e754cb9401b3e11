//! Values as the JSON that they were written as: numbers keep their digits.

use crate::number::Decimal;
use fields::Node;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value that is kept.
pub type Kept = Box<RawValue>;

/// A result: figures, and the fields of a group, by their names.
pub type Named = BTreeMap<String, Node<'static>>;

/// Digits of a number that is compared as a double: no two of them are the same double.
const SHORT: usize = 15;

pub fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

pub fn is_text(json: &str) -> bool {
    json.starts_with('"')
}

/// The number in a field.
pub fn number(field: &str, json: &str) -> Result<Decimal, String> {
    match is_number(json) {
        true => Decimal::read(json).map_err(|why| format!("{field}: {why}")),
        false => Err(format!("{field} is not a number")),
    }
}

/// Refuses what is no number, and one that cannot be compared.
pub fn is_readable(field: &str, value: &str) -> Result<(), String> {
    // A number of few digits is within the range.
    match is_number(value) && value.len() < 300 && !value.contains(['e', 'E']) {
        true => Ok(()),
        false => number(field, value).map(drop),
    }
}

/// Levels of nesting of a value that is kept: a result has up to three more, and readers of JSON take 127.
const DEEPEST: usize = 124;

/// A value to be kept, without the space in it.
///
/// # Errors
/// Nobody could read a result with it: it is nested too deep, or has text that is not Unicode.
pub fn kept(json: &str) -> Result<Kept, String> {
    if json.starts_with(['{', '[', '"']) {
        fields::check(json.as_bytes(), DEEPEST)
            .map_err(|error| format!("a value that results show has {error}"))?;
    }
    let text = match json.starts_with(['{', '[']) {
        true => compact(json),
        false => json.to_owned(),
    };
    RawValue::from_string(text).map_err(|error| error.to_string())
}

/// JSON without space between its parts.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let is_part = |character: &char| {
        let is_space = !in_text && character.is_ascii_whitespace();
        match character {
            '"' if !escaped => in_text = !in_text,
            _ => {}
        }
        escaped = *character == '\\' && !escaped;
        !is_space
    };
    json.chars().filter(is_part).collect()
}

/// The same text for equal values, and for no others: numbers are compared as numbers, and fields of objects have no order.
///
/// # Errors
/// A number that is out of range.
pub fn canonical(json: &str) -> Result<Cow<'_, str>, String> {
    if is_number(json) {
        let is_whole = json.len() <= SHORT && json.bytes().all(|byte| byte.is_ascii_digit());
        return Ok(match is_whole {
            true => json.into(),
            false => Decimal::read(json)?.exact().into(),
        });
    }
    if !json.starts_with(['{', '[']) && !json.contains('\\') {
        return Ok(json.into());
    }
    let mut node = Node::read(json.as_bytes())?;
    let node = node.open()?;
    let inner = |node: &Node<'_>| canonical(node.raw().unwrap_or("null")).map(Cow::into_owned);
    let quoted = |text: &str| serde_json::to_string(text).map_err(|error| error.to_string());
    Ok(match node {
        Node::Array(elements) => {
            let elements = elements.iter().map(inner);
            format!("[{}]", elements.collect::<Result<Vec<_>, _>>()?.join(",")).into()
        }
        Node::Object(fields) => {
            // Of several with the same name the last one counts.
            let fields = fields.iter().map(|(name, node)| (&**name, node));
            let fields = fields.collect::<BTreeMap<_, _>>().into_iter();
            let fields =
                fields.map(|(name, node)| Ok(format!("{}:{}", quoted(name)?, inner(node)?)));
            format!(
                "{{{}}}",
                fields.collect::<Result<Vec<_>, String>>()?.join(",")
            )
            .into()
        }
        text => quoted(&text.text()?.unwrap_or_default())?.into(),
    })
}

/// Numbers before texts.
pub fn compared(one: &str, other: &str) -> Ordering {
    match (is_number(one), is_number(other)) {
        (true, true) => numbers(one, other),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => text(one).cmp(&text(other)),
    }
}

fn numbers(one: &str, other: &str) -> Ordering {
    // The longer one of whole numbers without a sign is the greater.
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain(one) && is_plain(other) {
        return one.len().cmp(&other.len()).then_with(|| one.cmp(other));
    }
    let is_short = |text: &str| text.len() <= SHORT && !text.contains(['e', 'E']);
    if is_short(one) && is_short(other) {
        let [one, other] = [one, other].map(|text| text.parse::<f64>().unwrap_or_default());
        return one.partial_cmp(&other).unwrap_or(Ordering::Equal);
    }
    // What is compared was read before.
    let [one, other] = [one, other].map(|text| Decimal::read(text).unwrap_or_default());
    one.partial_cmp(&other).unwrap_or(Ordering::Equal)
}

/// The content of a text; none of other values.
fn text(json: &str) -> Option<Cow<'_, str>> {
    let content = json.strip_prefix('"')?.strip_suffix('"')?;
    match content.contains('\\') {
        true => serde_json::from_str(json).ok().map(Cow::Owned),
        false => Some(content.into()),
    }
}

/// A result that says nothing.
pub fn null() -> Node<'static> {
    Node::New(RawValue::NULL.to_owned())
}

/// Something as a part of a result; null if JSON has no word for it.
pub fn node(value: &(impl serde::Serialize + ?Sized)) -> Node<'static> {
    Node::new(value).unwrap_or_else(|_| null())
}

/// A number of these digits; null if it is none.
pub fn digits(text: String) -> Node<'static> {
    Node::digits(text).unwrap_or_else(|_| null())
}
