//! The files of the repository, and Rust text without its comments and strings.

use std::path::Path;

use crate::harness::guests::repository;

/// One file: its path from the root of the repository, with `/`, and its text.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// A file that exists only in a test of a rule.
    #[cfg(test)]
    pub fn example(path: &str, text: &str) -> Self {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether the file is `folder` itself or lies below it.
    pub fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The code, line by line with its number from 1: comments and the insides of strings are
    /// blank, so that a rule about code is not broken by words about it.
    pub fn code(&self) -> Vec<(usize, String)> {
        numbered(&strip(&self.text, Strings::Blank))
    }

    /// As [`File::code`], with what the strings say.
    pub fn code_and_strings(&self) -> Vec<(usize, String)> {
        numbered(&strip(&self.text, Strings::Kept))
    }
}

/// Every file whose path ends with `ending`, without what git ignores.
pub fn files(ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    collect(&repository(), &mut found);
    found.sort();
    let ends = |path: &String| {
        path.ends_with(ending) && (ending.starts_with('.') || has_name(path, ending))
    };
    found
        .into_iter()
        .filter(ends)
        .map(|path| File {
            text: read(&path),
            path,
        })
        .collect()
}

/// Whether the path ends with whole names: `Cargo.toml`, but not `NotCargo.toml`.
fn has_name(path: &str, ending: &str) -> bool {
    path == ending || path.ends_with(&format!("/{ending}"))
}

/// The text of a file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Whether a path of the repository exists.
pub fn exists(path: &str) -> bool {
    repository().join(path).exists()
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                collect(&path, found);
            }
        } else {
            let path = path.strip_prefix(repository()).unwrap();
            found.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
}

fn numbered(text: &str) -> Vec<(usize, String)> {
    (1..).zip(text.lines().map(str::to_owned)).collect()
}

/// What becomes of the insides of string literals.
#[derive(Clone, Copy, PartialEq)]
enum Strings {
    Blank,
    Kept,
}

/// The text with comments blanked, line by line as before. Enough of Rust's lexer to know strings,
/// raw strings, characters and nested comments; not a parser.
fn strip(text: &str, strings: Strings) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let (length, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = string(rest, after_word) {
            (length, strings == Strings::Kept)
        } else {
            (character(rest), true)
        };
        let (token, after) = rest.split_at(length);
        for c in token.chars() {
            out.push(if kept || c == '\n' { c } else { ' ' });
        }
        after_word = first.is_alphanumeric() || first == '_';
        rest = after;
    }
    out
}

/// The length of a comment between `/*` and its own `*/`.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a string literal, raw or not, if the text begins with one.
fn string(text: &str, after_word: bool) -> Option<usize> {
    if let Some(inside) = text.strip_prefix('"') {
        return Some(1 + quoted(inside));
    }
    if after_word {
        return None; // the `r` of `for"` is no prefix
    }
    let raw = text.strip_prefix("br").or(text.strip_prefix('r'))?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let inside = raw[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    Some(
        inside
            .find(&end)
            .map_or(text.len(), |at| start + at + end.len()),
    )
}

/// The length up to and with the closing quote, past escapes.
fn quoted(inside: &str) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

/// The length of one character of code; a character literal counts as one, so that `'"'` opens
/// no string, and a lifetime does not count as the start of a literal.
fn character(text: &str) -> usize {
    let one = text.chars().next().map_or(0, char::len_utf8);
    let Some(inside) = text.strip_prefix('\'') else {
        return one;
    };
    let content = match inside.strip_prefix('\\') {
        Some(escaped) => 1 + escaped.chars().next().map_or(0, char::len_utf8),
        None => inside.chars().next().map_or(0, char::len_utf8),
    };
    match inside.get(content..) {
        Some(after) if after.starts_with('\'') => 1 + content + 1,
        _ => one,
    }
}

#[test]
fn comments_and_the_insides_of_strings_are_not_code() {
    let text = "a // b \"c\n/* d /* e */ f */ g \"h \\\" i\" j r#\"k \" l\"# 'm' '\"' n";
    let code = strip(text, Strings::Blank);
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "g", "j", "'m'", "'\"'", "n"]);
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn strings_are_kept_when_asked_for_and_lifetimes_are_no_literals() {
    let kept = strip("f::<'a>(b\"+ACK\") // no", Strings::Kept);
    assert_eq!(kept.trim_end(), "f::<'a>(b\"+ACK\")");
    let blank = strip("fn f<'a>(x: &'a str) { \"y\" }", Strings::Blank);
    assert!(blank.starts_with("fn f<'a>(x: &'a str) {") && !blank.contains('y'));
}
