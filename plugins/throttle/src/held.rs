//! The message of a key that waits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use weir_sdk::{Error, Message, Output, State};

/// What an output for a timer does not take over by itself.
#[derive(Serialize, Deserialize)]
struct Held {
    subject: String,
    /// Base64: a payload need not be text.
    payload: String,
    headers: Vec<(String, String)>,
}

const HELD: State<Held> = State::new("held");

/// Lets a message wait, in the place of the one that does. Whether there was one.
pub fn hold(message: &Message) -> Result<bool, Error> {
    let key = message.state_key();
    let headers = message.headers.iter();
    let held = Held {
        subject: message.subject.clone(),
        payload: STANDARD.encode(&message.payload),
        headers: headers
            .map(|it| (it.name.clone(), it.value.clone()))
            .collect(),
    };
    let before = HELD.get(key)?.is_some();
    HELD.set(key, &held)?;
    Ok(before)
}

/// The one that waits, which does not any more.
pub fn take(key: &str) -> Result<Option<Output>, Error> {
    let Some(held) = HELD.get(key)? else {
        return Ok(None);
    };
    HELD.delete(key);
    let payload = STANDARD.decode(held.payload);
    let payload = payload.map_err(|error| Error::reject(error.to_string()))?;
    let output = Output::new(payload).subject(held.subject);
    let headers = held.headers.into_iter();
    Ok(Some(headers.fold(output, |output, (name, value)| {
        output.header(name, value)
    })))
}
