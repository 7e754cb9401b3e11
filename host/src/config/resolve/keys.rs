//! `require-signature:`: public keys, or the files that hold them.

use super::values::Context;
use crate::config::cursor::Cursor;
use crate::signature::Key;

pub(super) fn keys(
    texts: &[String],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<Key>> {
    context.each(texts, at, |context, text, at| {
        let otherwise = "correct the path, or give the key itself, which begins with `RW`";
        Key::of_text(text).or_else(|| context.existing_file(text, otherwise, at).map(Key::File))
    })
}
