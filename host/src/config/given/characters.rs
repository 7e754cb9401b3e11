//! The characters of a YAML scalar with their places in the file.
//!
//! The parser returns the text of a scalar and the place where it begins. Quotes, escapes, folded lines and
//! indentation separate the text from the file. The caller compares the characters with the text, so a form
//! that this file does not understand does no harm.

use crate::report::findings::Location;
use serde_saphyr::granit_parser::ScalarStyle;

/// A character, where it is written, and in how many columns.
type Placed = (char, Location, usize);

/// At most so many characters of the scalar that begins at `start`; a block begins with its first line that is not empty.
pub(super) fn characters(
    text: &str,
    start: Location,
    style: ScalarStyle,
    most: usize,
) -> Vec<Placed> {
    let lines = text.lines().map(|line| line.chars().collect());
    let mut scalar = Scalar {
        lines: lines.collect(),
        line: start.line.saturating_sub(1),
        column: start.column.saturating_sub(1),
        most,
        found: Vec::new(),
    };
    match style {
        ScalarStyle::Literal => scalar.block(false),
        ScalarStyle::Folded => scalar.block(true),
        ScalarStyle::SingleQuoted => scalar.quoted('\''),
        ScalarStyle::DoubleQuoted => scalar.quoted('"'),
        ScalarStyle::Plain => scalar.flow(None),
    }
    scalar.found
}

struct Scalar {
    lines: Vec<Vec<char>>,
    /// The place of the next character, from 0.
    line: usize,
    column: usize,
    most: usize,
    found: Vec<Placed>,
}

impl Scalar {
    fn here(&self) -> Option<char> {
        self.lines.get(self.line)?.get(self.column).copied()
    }

    /// Adds a character that stands here.
    fn push(&mut self, character: char) {
        self.push_wide(character, 1);
    }

    fn push_wide(&mut self, character: char, columns: usize) {
        let location = Location {
            line: self.line + 1,
            column: self.column + 1,
        };
        self.found.push((character, location, columns));
    }

    fn is_done(&self) -> bool {
        self.found.len() >= self.most || self.line >= self.lines.len()
    }

    fn quoted(&mut self, quote: char) {
        self.column += 1;
        self.flow(Some(quote));
    }

    /// Plain or between quotes.
    fn flow(&mut self, quote: Option<char>) {
        while !self.is_done() {
            match (self.here(), quote) {
                (None, _) => self.fold(),
                (Some('\''), Some('\'')) => {
                    self.column += 1;
                    if self.here() != Some('\'') {
                        return;
                    }
                    self.column -= 1;
                    self.push_wide('\'', 2);
                    self.column += 2;
                }
                (Some('"'), Some('"')) => return,
                (Some('\\'), Some('"')) => self.escape(),
                (Some(character), _) => {
                    self.push(character);
                    self.column += 1;
                }
            }
        }
    }

    /// The end of a line between words: a space, or a line break for each empty line that follows.
    fn fold(&mut self) {
        let here = self.line + 1;
        while self
            .found
            .last()
            .is_some_and(|(last, location, _)| matches!(last, ' ' | '\t') && location.line == here)
        {
            self.found.pop();
        }
        let empty = |line: &Vec<char>| line.iter().all(|character| character.is_whitespace());
        let following = self.lines.iter().skip(self.line + 1);
        let breaks = following.take_while(|line| empty(line)).count();
        match breaks {
            0 => self.push(' '),
            breaks => (0..breaks).for_each(|_| self.push('\n')),
        }
        self.begin(self.line + 1 + breaks);
    }

    /// Goes to the first character of a line that is no white space.
    fn begin(&mut self, line: usize) {
        self.line = line;
        let characters = self.lines.get(line).into_iter().flatten();
        self.column = characters
            .take_while(|character| character.is_whitespace())
            .count();
    }

    /// What stands behind a backslash.
    fn escape(&mut self) {
        let line = self.lines.get(self.line).into_iter().flatten();
        let code: Vec<char> = line.skip(self.column + 1).take(9).copied().collect();
        let Some((kind, digits)) = code.split_first() else {
            // The line goes on with the next.
            return self.begin(self.line + 1);
        };
        let length = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let digits: String = digits.iter().take(length).collect();
        let character = match kind {
            'x' | 'u' | 'U' => u32::from_str_radix(&digits, 16)
                .ok()
                .and_then(char::from_u32),
            '0' => Some('\0'),
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            't' => Some('\t'),
            'n' => Some('\n'),
            'v' => Some('\u{b}'),
            'f' => Some('\u{c}'),
            'r' => Some('\r'),
            'e' => Some('\u{1b}'),
            'N' => Some('\u{85}'),
            '_' => Some('\u{a0}'),
            'L' => Some('\u{2028}'),
            'P' => Some('\u{2029}'),
            other => Some(*other),
        };
        self.push_wide(character.unwrap_or(char::REPLACEMENT_CHARACTER), 2 + length);
        self.column += 2 + length;
    }

    /// Lines behind `|`, or behind `>` with breaks that are spaces.
    fn block(&mut self, is_folded: bool) {
        let base = self.column;
        let indent = |line: &[char]| line.iter().take_while(|it| **it == ' ').count();
        let is_empty = |line: &[char]| indent(line) == line.len();
        // Empty lines at its beginning belong to it.
        let above = self.lines.iter().take(self.line).rev();
        let first = self.line - above.take_while(|line| is_empty(line)).count();
        // Whether the line before has more indentation, and the line breaks since.
        let mut before: Option<bool> = None;
        let mut breaks = 0;
        for index in first..self.lines.len() {
            let Some(line) = self.lines.get(index).cloned() else {
                break;
            };
            if self.found.len() >= self.most || (!is_empty(&line) && indent(&line) < base) {
                break;
            }
            let content = line.get(base..).unwrap_or_default();
            if content.is_empty() {
                breaks += 1;
                continue;
            }
            let is_deeper = content.starts_with(&[' ']) || content.starts_with(&['\t']);
            match before {
                Some(deeper) if is_folded && !deeper && !is_deeper => match breaks {
                    0 => self.push(' '),
                    breaks => (0..breaks).for_each(|_| self.push('\n')),
                },
                Some(_) => (0..=breaks).for_each(|_| self.push('\n')),
                None => (0..breaks).for_each(|_| self.push('\n')),
            }
            (self.line, self.column) = (index, base);
            for character in content {
                self.push(*character);
                self.column += 1;
            }
            (before, breaks) = (Some(is_deeper), 0);
        }
        self.push('\n');
    }
}
