//! How a text is redacted.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt::Write;

pub enum Method {
    /// Nothing stays, not even the field.
    Remove,
    /// A `*` for each character but so many at the end.
    Mask(usize),
    /// This text instead.
    Replace(String),
    /// HMAC-SHA256 in hexadecimal: the same for the same text, and nobody without the key can find out which text
    /// it was by trying all.
    Hash(Box<Hmac<Sha256>>),
}

impl Method {
    pub fn hash(key: &str) -> Self {
        // Keys of every length are taken.
        let hmac = Hmac::new_from_slice(key.as_bytes());
        hmac.map_or(Self::Remove, |hmac| Self::Hash(Box::new(hmac)))
    }

    /// What stands in place of a text.
    pub fn of(&self, text: &str) -> String {
        match self {
            Self::Remove => String::new(),
            Self::Mask(keep) => mask(text, *keep),
            Self::Replace(with) => with.clone(),
            Self::Hash(hmac) => {
                let mut hmac = hmac.clone();
                hmac.update(text.as_bytes());
                let bytes = hmac.finalize().into_bytes();
                bytes.iter().fold(String::new(), |mut hex, byte| {
                    // Writing to a string does not fail.
                    let _ = write!(hex, "{byte:02x}");
                    hex
                })
            }
        }
    }
}

/// Masks a text. Of one with less than twice as many characters as are to stay, none stays.
fn mask(text: &str, keep: usize) -> String {
    let length = text.chars().count();
    let keep = if length < keep.saturating_mul(2) {
        0
    } else {
        keep
    };
    let hidden = length - keep;
    let characters = text.chars().enumerate();
    characters
        .map(|(index, character)| if index < hidden { '*' } else { character })
        .collect()
}
