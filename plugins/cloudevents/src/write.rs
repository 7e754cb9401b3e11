//! Events that go, in either mode, and their data alone.

use crate::event::{Data, Event};
use crate::read::{PREFIX, is_event};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fields::Node;
use std::borrow::Cow;
use std::fmt::Write;
use weir_sdk::{Header, Message, Output};

/// The content type of events in the structured mode.
const CONTENT_TYPE: &str = "application/cloudevents+json";

pub fn structured(event: Event, message: &Message) -> Result<Output, String> {
    let (is_json, is_text) = (event.is_json(), event.is_text());
    let mut members = Vec::with_capacity(event.attributes.len() + 1);
    for (name, value) in event.attributes {
        members.push((Cow::Owned(name), Node::new(&value)?));
    }
    let Data(data) = event.data;
    let data = data.unwrap_or_default();
    let text = str::from_utf8(&data).ok().filter(|_| is_text);
    match (data.is_empty(), text) {
        (true, _) => {}
        (false, Some(text)) => members.push(("data".into(), Node::new(text)?)),
        (false, None) if is_json => members.push(("data".into(), Node::read(&data)?)),
        (false, None) => {
            members.push(("data_base64".into(), Node::new(&STANDARD.encode(&data))?));
        }
    }
    let output = Output {
        payload: Some(Node::Object(members).to_json()),
        headers: Some(headers(message, true)),
        ..Output::pass()
    };
    Ok(output.header("Content-Type", CONTENT_TYPE))
}

pub fn binary(event: Event, message: &Message) -> Output {
    let attributes = event.attributes.into_iter().map(|(name, value)| Header {
        name: format!("{PREFIX}{name}"),
        value: encoded(&value),
    });
    Output {
        payload: Some(event.data.0.unwrap_or_default()),
        headers: Some(
            headers(message, false)
                .into_iter()
                .chain(attributes)
                .collect(),
        ),
        ..Output::pass()
    }
}

pub fn data(event: Event, message: &Message) -> Output {
    Output {
        payload: Some(event.data.0.unwrap_or_default()),
        headers: Some(headers(message, false)),
        ..Output::pass()
    }
}

/// Those of the message that say nothing about an event; with a content type of its own, only where there is one.
fn headers(message: &Message, is_structured: bool) -> Vec<Header> {
    let mut headers = fields::headers_of(message);
    headers.retain(|header| {
        let name = header.name.to_ascii_lowercase();
        let is_type = name == "content-type" && (is_structured || is_event(&header.value));
        !name.starts_with(PREFIX) && !is_type
    });
    headers
}

/// A value as the binding writes it into a header.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'"' | b'%' => {}
            byte if byte.is_ascii_graphic() => {
                text.push(char::from(byte));
                return text;
            }
            _ => {}
        }
        // Writing to a string does not fail.
        let _ = write!(text, "%{byte:02X}");
        text
    })
}
