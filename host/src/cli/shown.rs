//! Formats digests, times and text from elsewhere for a terminal.

/// The beginning of a digest, enough to distinguish two by eye.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A time in RFC 3339 to the second, without the time zone, which is UTC.
pub(super) fn moment(time: &str) -> &str {
    time.get(..19).unwrap_or(time)
}

/// Text with control characters escaped, which a terminal could interpret.
pub(super) fn readable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
