//! What makes two messages the same.

use fields::{DEPTH, Pointer};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use weir_sdk::Message;

/// The header that JetStream itself knows repeats by.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Bytes of the hash that are kept: enough that nobody finds two messages with the same.
const KEPT: usize = 16;

/// Where the value stands that makes messages the same.
pub enum By {
    Field(Pointer),
    Header(String),
    Payload,
}

impl By {
    /// Parses a JSON pointer (RFC 6901), `header:Name`, `message-id` or `payload`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Pointer::parse(text).map(Self::Field);
        }
        match (text, text.strip_prefix("header:")) {
            ("message-id", _) => Ok(Self::Header(MESSAGE_ID.to_owned())),
            ("payload", _) => Ok(Self::Payload),
            (_, Some(name)) => fields::header_name(name).map(Self::Header),
            _ => Err(format!(
                "unknown value `{text}`: {}, or `header:Name`, `message-id` or `payload`",
                Pointer::meant(text)
            )),
        }
    }

    /// The same for messages that are the same, and for no others; or what the message lacks.
    pub fn identity(&self, message: &Message) -> Result<String, String> {
        let mut hash = Sha256::new();
        // Of another place, the same value is another identity.
        hash.update(format!("{self}\0"));
        match self {
            Self::Field(pointer) => hash.update(field(pointer, &message.payload)?),
            Self::Header(name) => hash.update(message.header(name).ok_or_else(|| {
                format!("there is no {self}, or `headers:` of the operator does not name it")
            })?),
            Self::Payload => hash.update(&message.payload),
        }
        let mut identity = String::with_capacity(2 * KEPT);
        for byte in &hash.finalize()[..KEPT] {
            // Writing to a string does not fail.
            let _ = write!(identity, "{byte:02x}");
        }
        Ok(identity)
    }
}

/// The value of a field as JSON: the text `7` is not the number 7.
fn field(pointer: &Pointer, payload: &[u8]) -> Result<String, String> {
    let payload = fields::check(payload, DEPTH);
    let payload = payload.map_err(|error| format!("the payload is not JSON: {error}"))?;
    let unusable = || format!("the field {pointer} is neither text nor a whole number of 64 bits");
    match fields::find(payload.get(), pointer.steps()) {
        None | Some("null") => Err(format!("there is no field {pointer}")),
        Some(value @ ("true" | "false")) => Ok(value.to_owned()),
        Some(text) if text.starts_with('"') => {
            let text: Result<String, _> = serde_json::from_str(text);
            let text = text.and_then(|text| serde_json::to_string(&text));
            text.map_err(|error| error.to_string())
        }
        // Others are rounded by who reads them, and then two of them may be one.
        Some(number) => {
            let number: serde_json::Number =
                serde_json::from_str(number).map_err(|_| unusable())?;
            match number.is_f64() {
                true => Err(unusable()),
                false => Ok(number.to_string()),
            }
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(pointer) => write!(formatter, "field {pointer}"),
            Self::Header(name) => write!(formatter, "header {}", name.to_ascii_lowercase()),
            Self::Payload => formatter.write_str("payload"),
        }
    }
}
