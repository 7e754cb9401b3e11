//! The messages of a key that wait.
//!
//! Each is a value of the key, and has a timer with the same name: its number in the order of arrival. Timers of one
//! time fire in the order of their names.

use serde::{Deserialize, Serialize};
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Output, State, state};

/// What a message has besides its payload. Its key and event time are those of the timer.
#[derive(Serialize, Deserialize)]
struct Head {
    subject: String,
    headers: Vec<(String, String)>,
}

/// Of a key.
#[derive(Default, Serialize, Deserialize)]
struct Count {
    /// How many messages wait. The value is gone with the last of them.
    held: u64,
    /// The number of the next one.
    next: u64,
}

const COUNT: State<Count> = State::new("count");

/// Lets a message wait until the watermark has reached its event time.
pub fn hold(message: &Message) -> Result<(), Error> {
    let key = message.state_key();
    let Count { held, next } = COUNT.get(key)?.unwrap_or_default();
    // The digits of all that 64 bits can have.
    let name = format!("{next:020}");
    state::set(key, &name, &write(message)?, None)?;
    let (held, next) = (held + 1, next + 1);
    COUNT.set(key, &Count { held, next })?;
    timers::set(key, &name, Clock::EventTime, message.event_time)
}

/// The one of a name, which does not wait any more; none if it has expired.
pub fn take(key: &str, name: &str) -> Result<Option<Output>, Error> {
    let Some(bytes) = state::get(key, name) else {
        return Ok(None);
    };
    state::delete(key, name);
    match COUNT.get(key)? {
        Some(Count { held, next }) if held > 1 => {
            let held = held - 1;
            COUNT.set(key, &Count { held, next })?;
        }
        _ => COUNT.delete(key),
    }
    read(&bytes).map(Some)
}

/// The head as a line of JSON, and the payload behind it.
fn write(message: &Message) -> Result<Vec<u8>, Error> {
    let headers = message.headers.iter();
    let headers = headers.filter(|header| !is_of_the_host(&header.name));
    let head = Head {
        subject: message.subject.clone(),
        headers: headers
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
    };
    let mut bytes = serde_json::to_vec(&head)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&message.payload);
    Ok(bytes)
}

fn read(bytes: &[u8]) -> Result<Output, Error> {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let head: Head = serde_json::from_slice(parts.next().unwrap_or_default())?;
    let output = Output::new(parts.next().unwrap_or_default()).subject(head.subject);
    let headers = head.headers.into_iter();
    Ok(headers.fold(output, |output, (name, value)| output.header(name, value)))
}

/// Whether it is a header of the server or of weir. The host passes none of them on from an input, and refuses them
/// in an output.
fn is_of_the_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_kept = name.starts_with("weir-kept-");
    name.starts_with("nats-") || (name.starts_with("weir-") && !is_kept)
}
