//! What the parser says, in words of people.

use crate::wrong::Wrong;

/// The first error: the others are usually of the same mistake.
pub fn explain(source: &str, errors: &cel::ParseErrors) -> Wrong {
    let first = errors.errors.iter().min_by_key(|error| error.pos);
    let (pos, said) = first.map_or(((1, 1), ""), |error| (error.pos, error.msg.as_str()));
    let number = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    let (line, mut column) = (number(pos.0), number(pos.1));
    let parsers = said.strip_prefix("Syntax error: ");
    if parsers.is_none() {
        // Macros count bytes, the parser counts characters.
        let line = source.lines().nth(line - 1).unwrap_or_default();
        let before = line.get(..column - 1).unwrap_or(line);
        column = before.chars().count() + 1;
    }
    if let Some((before, escape)) = bad_escape(said) {
        return Wrong {
            at: (line, column + before),
            message: format!("there is no escape `{escape}`"),
            hint: Some(
                "write `\\\\` for a backslash, or `r\"...\"` for a text without escapes".to_owned(),
            ),
        };
    }
    let at = (line, column);
    let (message, hint) = words(parsers.unwrap_or(said));
    // The parser counts white space at the end.
    let written = source.trim_end();
    let last = written.rsplit('\n').next().unwrap_or_default();
    let end = (written.matches('\n').count() + 1, last.chars().count() + 1);
    let (at, message) = match message {
        _ if written.is_empty() => ((1, 1), "the expression is empty".to_owned()),
        message if message == ENDS => (end, message),
        message => (at, message),
    };
    Wrong { at, message, hint }
}

/// The escape that ends a text which the parser does not know, and how many characters of the text are before it.
fn bad_escape(said: &str) -> Option<(usize, String)> {
    let (_, text) = said.split_once("token recognition error at: '")?;
    let text = text.strip_suffix('\'').unwrap_or(text);
    let (before, letter) = text.rsplit_once('\\')?;
    let mut letters = letter.chars();
    let is_bad =
        |letter: char| !"abfnrtv\\?\"'`xXuU0123".contains(letter) && !letter.is_whitespace();
    let (letter, rest) = (letters.next().filter(|it| is_bad(*it))?, letters.next());
    let is_last = text.starts_with(['"', '\'']) && rest.is_none();
    is_last.then(|| (before.chars().count(), format!("\\{letter}")))
}

const ENDS: &str = "the expression ends too early";

/// The message and the hint.
fn words(said: &str) -> (String, Option<String>) {
    let quoted = |text: &str| text.split('\'').nth(1).map(str::to_owned);
    if said.contains("token recognition error") {
        let text = said.split_once("at: '").map_or("", |(_, text)| text);
        let text = text.strip_suffix('\'').unwrap_or(text);
        return match text.chars().next() {
            Some(quote @ ('"' | '\'')) => (
                "the text that begins here has no end".to_owned(),
                Some(format!("close it with `{quote}`")),
            ),
            Some('&') => (
                "there is no operator `&`".to_owned(),
                Some("write `&&` for and".to_owned()),
            ),
            Some('|') => (
                "there is no operator `|`".to_owned(),
                Some("write `||` for or".to_owned()),
            ),
            Some('=') => equals(),
            _ => (format!("`{text}` has no meaning here"), None),
        };
    }
    let missing = said
        .rsplit_once("expecting ")
        .map(|(_, expected)| expected)
        .filter(|expected| !expected.starts_with('{'))
        .and_then(quoted)
        .or_else(|| said.strip_prefix("missing ").and_then(quoted));
    let missing = missing.filter(|missing| missing != "<EOF>");
    if said.contains("'<EOF>' expecting") || said.contains("at '<EOF>'") {
        let hint = missing.map(|missing| format!("close it with `{missing}`"));
        return (ENDS.to_owned(), hint);
    }
    let found = [
        "mismatched input '",
        "extraneous input '",
        "no viable alternative at input '",
    ];
    let found = found.iter().find_map(|before| said.split_once(before));
    let found = found.and_then(|(_, rest)| {
        let end = rest.find("' expecting").or_else(|| rest.rfind('\''));
        rest.get(..end?)
    });
    match (found, missing) {
        (Some("="), _) => equals(),
        (Some(found), missing) => {
            let hint =
                missing.map(|missing| format!("there may be a `{missing}` missing before it"));
            let hint = hint.or_else(|| other_language(found));
            (format!("`{found}` is not expected here"), hint)
        }
        (None, Some(missing)) => (format!("a `{missing}` is missing"), None),
        (None, None) if said.contains("invalid argument to has()") => (
            "`has` takes a field of an object".to_owned(),
            Some("write `has(payload.name)`".to_owned()),
        ),
        (None, None) => match said.split_once("() ") {
            Some((name, _)) => (format!("`{name}` takes numbers"), None),
            None => match said.strip_prefix("reserved identifier: ") {
                Some(word) => (format!("`{word}` is a reserved word"), None),
                None => (said.to_owned(), None),
            },
        },
    }
}

fn equals() -> (String, Option<String>) {
    (
        "there is no operator `=`".to_owned(),
        Some("write `==` to compare".to_owned()),
    )
}

/// Words of other languages.
fn other_language(word: &str) -> Option<String> {
    let ours = match word {
        "and" => "&&",
        "or" => "||",
        "not" => "!",
        "is" => "==",
        "<>" => "!=",
        _ => return None,
    };
    Some(format!("write `{ours}`"))
}
