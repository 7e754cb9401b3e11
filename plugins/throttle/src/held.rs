//! The message of a key that waits.

use weir_sdk::{Error, Message, Output, state};

/// What it is under in the state of its key.
const HELD: &str = "held";

/// Lets a message wait, in the place of the one that does. Whether there was one.
pub fn hold(message: &Message) -> Result<bool, Error> {
    let key = message.state_key();
    let before = state::get(key, HELD).is_some();
    state::set(key, HELD, &message.keep()?, None)?;
    Ok(before)
}

/// The one that waits, which does not any more.
pub fn take(key: &str) -> Result<Option<Output>, Error> {
    let held = state::get(key, HELD);
    state::delete(key, HELD);
    held.map(|held| Output::kept(&held)).transpose()
}
