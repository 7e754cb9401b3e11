//! An event, and what CloudEvents 1.0 asks of it.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

/// An event, of whatever mode.
pub struct Event {
    /// With their values as text, in the order in which they are written.
    pub attributes: Vec<(String, String)>,
    pub data: Data,
}

/// What an event is about.
pub struct Data(pub Option<Vec<u8>>);

impl Data {
    /// That of a payload: an empty one has none.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self((!bytes.is_empty()).then(|| bytes.to_vec()))
    }
}

impl Event {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether its data is JSON, which it is if nothing else is said.
    pub fn is_json(&self) -> bool {
        let kind = self.attribute("datacontenttype").map(media_type);
        kind.is_none_or(|kind| kind.ends_with("/json") || kind.ends_with("+json"))
    }

    /// Whether its data is text.
    pub fn is_text(&self) -> bool {
        let kind = self.attribute("datacontenttype").map(media_type);
        kind.is_some_and(|kind| {
            kind.starts_with("text/") || kind.ends_with("/xml") || kind.ends_with("+xml")
        })
    }

    /// Whether it is an event.
    pub fn check(&self) -> Result<(), String> {
        for name in ["specversion", "id", "source", "type"] {
            match self.attribute(name) {
                None => return Err(format!("the event has no attribute `{name}`")),
                Some("") => return Err(format!("the attribute `{name}` is empty")),
                Some(_) => {}
            }
        }
        for (name, value) in &self.attributes {
            let wrong = |what: &str| Err(format!("the attribute `{name}` = `{value}` {what}"));
            if !is_attribute(name) {
                return Err(format!(
                    "`{name}` cannot be the name of an attribute: it has lower-case letters and digits"
                ));
            }
            if value.chars().any(char::is_control) {
                return wrong("has control characters");
            }
            match name.as_str() {
                "specversion" if value != "1.0" => return wrong("is a version that is not known"),
                "source" if !is_reference(value) => return wrong("is no URI reference"),
                "dataschema" if !is_reference(value) || !value.contains(':') => {
                    return wrong("is no absolute URI");
                }
                "datacontenttype" if !value.contains('/') => return wrong("is no media type"),
                "time" if !is_time(value) => {
                    return wrong("is no time in the format of RFC 3339");
                }
                "subject" if value.is_empty() => return wrong("is empty"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A media type without its parameters, in lower case.
fn media_type(text: &str) -> String {
    let kind = text.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// Whether it can be the name of an attribute.
pub fn is_attribute(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether it is a time in RFC 3339. `jiff::Timestamp` ends on 9999-12-30, and many systems have the end of 9999 for
/// "without end".
fn is_time(text: &str) -> bool {
    let has_offset =
        |pieces: Pieces<'_>| pieces.time().is_some() && pieces.to_numeric_offset().is_some();
    text.parse::<Timestamp>().is_ok() || Pieces::parse(text).is_ok_and(has_offset)
}

/// Whether it has no character that a URI never has (RFC 3986).
fn is_reference(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
