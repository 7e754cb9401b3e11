//! Makes text from others (messages, headers, plugins, servers) harmless for a terminal and for a log.
//!
//! It escapes what a terminal could obey, and what hides or reorders the text around it: control characters
//! and direction marks. Pure.

use std::borrow::Cow;

/// Text of several lines: line breaks and tabs stay.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| {
        is_unsafe(character) && !matches!(character, '\n' | '\t')
    })
}

/// Text that is a part of one line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe)
}

/// At most so many bytes of a text, ending between characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// JSON with the characters escaped that its own rules leave as they are.
#[must_use]
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_unsafe(character) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => shown.push(character),
        }
    }
    shown
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_unsafe(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// All of these are in the basic plane, so that JSON has four digits for them.
fn is_unsafe(character: char) -> bool {
    let marks = ['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}'];
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || marks.contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_could_obey_is_escaped_and_all_other_text_is_as_it_was() {
        let text = "Zoë\n\u{1b}[31m\t\u{9b}2J\r\u{202e}x";
        assert_eq!(lines(text), "Zoë\n\\u{1b}[31m\t\\u{9b}2J\\r\\u{202e}x");
        assert_eq!(line(text), "Zoë\\n\\u{1b}[31m\\t\\u{9b}2J\\r\\u{202e}x");
        assert!(matches!(line("plain \u{1f600}"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{7f}\u{202e}ü\"\\" });
        let text = json(&value.to_string());
        assert!(!text.chars().any(is_unsafe), "{text:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).ok(),
            Some(value)
        );
    }
}
