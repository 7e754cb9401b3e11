//! The key under which a plugin keeps something of a message.

use weir_sdk::{Error, Message};

/// Most bytes of a key in the state. The host lets a plugin trap that asks for a longer one.
pub const LONGEST_KEY: usize = 64 << 10;

/// The key that the state of a message belongs to.
///
/// # Errors
/// A rejection if it is longer than [`LONGEST_KEY`].
pub fn state_key(message: &Message) -> Result<&str, Error> {
    let key = message.state_key();
    match key.len() {
        ..=LONGEST_KEY => Ok(key),
        bytes => Err(Error::reject(format!(
            "the key has {bytes} bytes, and a key in the state at most {LONGEST_KEY}"
        ))),
    }
}
