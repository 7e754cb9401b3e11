//! `require-signature:`: public keys, or the files that hold them.

use super::values::Context;
use crate::config::at::At;
use crate::signature::Key;

pub(super) fn keys(texts: &[String], at: &At<'_>, context: &mut Context<'_>) -> Option<Vec<Key>> {
    let mut keys = Vec::with_capacity(texts.len());
    let mut sound = true;
    for (index, text) in texts.iter().enumerate() {
        let at = at.item(index);
        let key = match at.is_text(text) {
            true => key(text, &at, context),
            false => None,
        };
        sound &= key.is_some();
        keys.extend(key);
    }
    sound.then_some(keys)
}

fn key(text: &str, at: &At<'_>, context: &mut Context<'_>) -> Option<Key> {
    if let Some(key) = Key::of_text(text) {
        return Some(key);
    }
    let otherwise = "correct the path, or give the key itself, which begins with `RW`";
    context.existing_file(text, otherwise, at).map(Key::File)
}
