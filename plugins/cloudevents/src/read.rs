//! Events that come, in either mode.

use crate::event::{Data, Event};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fields::Node;
use std::collections::BTreeSet;
use weir_sdk::Message;

/// The prefix of attributes in headers.
pub const PREFIX: &str = "ce-";
/// What the content type of events in the structured mode begins with.
const STRUCTURED: &str = "application/cloudevents";

pub fn event(message: &Message) -> Result<Event, String> {
    if is_structured(message) {
        return structured(&message.payload);
    }
    if message.header("ce-specversion").is_some() {
        return binary(message);
    }
    // The first versions of the binding know no headers, and `headers:` of the operator may not ask for them.
    structured(&message.payload).map_err(|error| {
        format!("the message is no event: it has neither `ce-specversion` nor the content type of one, and {error}")
    })
}

/// Whether it says that its payload is an event.
pub fn is_structured(message: &Message) -> bool {
    message.header("Content-Type").is_some_and(is_event)
}

/// Whether a content type is that of an event.
pub fn is_event(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().starts_with(STRUCTURED)
}

/// Of two values nobody can say which one is meant.
fn twice(name: &str) -> String {
    format!("the event has `{name}` twice")
}

fn structured(payload: &[u8]) -> Result<Event, String> {
    let mut payload = Node::read(payload)?;
    let Node::Object(members) = payload.open()? else {
        return Err("the payload is no object".into());
    };
    let mut event = Event {
        attributes: Vec::new(),
        data: Data(None),
    };
    let (mut json, mut bytes) = (None, None);
    let mut seen = BTreeSet::new();
    for (name, node) in members.drain(..) {
        if !seen.insert(name.clone()) {
            return Err(twice(&name));
        }
        match name.as_ref() {
            "data" => json = (!node.is_null()).then_some(node),
            "data_base64" => bytes = node.text()?.map(|text| STANDARD.decode(text.as_bytes())),
            name => match (node.text()?, node.raw()) {
                (Some(text), _) => event.attributes.push((name.to_owned(), text.into_owned())),
                (None, Some("null")) => {}
                (None, Some(raw)) if !raw.starts_with(['{', '[']) => {
                    event.attributes.push((name.to_owned(), raw.to_owned()));
                }
                _ => return Err(format!("the attribute `{name}` is no single value")),
            },
        }
    }
    event.data = Data(match (json, bytes) {
        (Some(_), Some(_)) => return Err("the event has both `data` and `data_base64`".into()),
        (None, Some(bytes)) => {
            Some(bytes.map_err(|error| format!("`data_base64` is no Base64: {error}"))?)
        }
        (Some(node), None) => Some(match node.text()? {
            Some(text) if !event.is_json() => text.into_owned().into_bytes(),
            _ => node.to_json(),
        }),
        (None, None) => None,
    });
    Ok(event)
}

fn binary(message: &Message) -> Result<Event, String> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for header in &message.headers {
        let name = header.name.to_ascii_lowercase();
        let Some(name) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if attributes.iter().any(|(other, _)| other == name) {
            return Err(twice(name));
        }
        let value = decoded(&unquoted(&header.value))
            .ok_or_else(|| format!("the header `{}` is not well encoded", header.name))?;
        attributes.push((name.to_owned(), value));
    }
    Ok(Event {
        attributes,
        data: Data::of_bytes(&message.payload),
    })
}

/// A value without the quotes that older versions of the binding put around it.
fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            character => text.push(character),
        }
    }
    text
}

/// One round of percent-decoding.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let digits = str::from_utf8(rest.get(..2)?).ok()?;
                let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                bytes.push(
                    u8::from_str_radix(digits, 16)
                        .ok()
                        .filter(|_| is_hexadecimal)?,
                );
                rest = rest.get(2..)?;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}
