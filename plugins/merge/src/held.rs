//! The messages of a key that wait.
//!
//! Each is a value of the key, and has a timer with the same name: its number in the order of arrival. Timers of one
//! time fire in the order of their names.

use serde::{Deserialize, Serialize};
use weir_sdk::timers::{self, Clock};
use weir_sdk::{Error, Message, Output, State, state};

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
    let key = fields::state_key(message)?;
    let Count { held, next } = COUNT.get(key)?.unwrap_or_default();
    // The digits of all that 64 bits can have.
    let name = format!("{next:020}");
    state::set(key, &name, &message.keep()?, None)?;
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
    Output::kept(&bytes).map(Some)
}
