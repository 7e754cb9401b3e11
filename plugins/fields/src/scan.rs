//! Reads JSON (RFC 8259) without making values of it. It is as strict as who reads all of it: text is UTF-8 whose escapes
//! are characters, and nesting is bounded. A number may have any size: whether it can be read is up to who reads it.

use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What is wrong with a text that has more levels than it may have.
const DEEP: &str = "too many levels of nesting";

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJson {
    what: Cow<'static, str>,
    line: usize,
    /// In bytes, from 1.
    column: usize,
}

impl fmt::Display for NotJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column } = self;
        write!(formatter, "{what} at line {line} column {column}")
    }
}

impl std::error::Error for NotJson {}

impl NotJson {
    /// The same error, which says how many levels there may be if there are more.
    pub(crate) fn deeper_than(self, levels: usize) -> Self {
        match &*self.what {
            DEEP => Self {
                what: format!("more than {levels} levels of nesting").into(),
                ..self
            },
            _ => self,
        }
    }
}

/// The one value that a text is, if it is JSON with at most so many levels of nesting.
///
/// # Errors
/// What else it is.
pub fn check(json: &[u8], levels: usize) -> Result<&RawValue, NotJson> {
    let text = Scanner::new(json)?.whole(|scanner| scanner.value(levels));
    let text = text.map_err(|error| error.deeper_than(levels))?;
    // It has been looked at, so this does not fail.
    serde_json::from_str(text).map_err(|error| NotJson {
        what: error.to_string().into(),
        line: error.line(),
        column: error.column(),
    })
}

/// What the steps of a JSON pointer lead to in a value that is JSON; of several fields with a name the last.
#[must_use]
pub fn find<'j>(value: &'j str, steps: &[String]) -> Option<&'j str> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    let mut scanner = Scanner { text: value, at: 0 };
    let mut found = None;
    match value.as_bytes().first()? {
        b'{' => scanner.object(usize::MAX, |name, value| {
            if name == *step {
                found = Some(value);
            }
        }),
        b'[' => {
            let mut wanted = crate::pointer::index(step)?;
            scanner.array(usize::MAX, |value| match wanted {
                0 => {
                    found.get_or_insert(value);
                }
                _ => wanted -= 1,
            })
        }
        _ => return None,
    }
    .ok()?;
    find(found?, rest)
}

/// A place in a text that is to be JSON.
pub(crate) struct Scanner<'j> {
    text: &'j str,
    at: usize,
}

impl<'j> Scanner<'j> {
    pub fn new(json: &'j [u8]) -> Result<Self, NotJson> {
        match str::from_utf8(json) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(error) => Err(wrong(
                json,
                error.valid_up_to(),
                "invalid unicode code point",
            )),
        }
    }

    /// Reads one value with nothing behind it.
    pub fn whole<T>(
        mut self,
        read: impl FnOnce(&mut Self) -> Result<T, NotJson>,
    ) -> Result<T, NotJson> {
        let value = read(&mut self)?;
        match self.space() {
            None => Ok(value),
            Some(_) => Err(self.wrong("trailing characters")),
        }
    }

    fn wrong(&self, what: impl Into<Cow<'static, str>>) -> NotJson {
        wrong(self.text.as_bytes(), self.at, what)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What follows behind space.
    pub fn space(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Reads a value with at most so many levels of nesting.
    pub fn value(&mut self, levels: usize) -> Result<&'j str, NotJson> {
        let first = self.space();
        let begin = self.at;
        match first {
            Some(b'"') => drop(self.string()?),
            Some(b'{') => self.object(levels, |_, _| {})?,
            Some(b'[') => self.array(levels, |_| {})?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'n') => self.word("null")?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(_) => return Err(self.wrong("expected value")),
            None => return Err(self.wrong("EOF while parsing a value")),
        }
        Ok(&self.text[begin..self.at])
    }

    /// Reads an object, and calls with the name and the text of each field.
    pub fn object(
        &mut self,
        levels: usize,
        mut each: impl FnMut(Cow<'j, str>, &'j str),
    ) -> Result<(), NotJson> {
        const END: &str = "EOF while parsing an object";
        let inner = self.deeper(levels)?;
        self.at += 1;
        if self.space() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = match self.space() {
                Some(b'"') => self.string()?,
                Some(b'}') => return Err(self.wrong("trailing comma")),
                Some(_) => return Err(self.wrong("key must be a string")),
                None => return Err(self.wrong(END)),
            };
            match self.space() {
                Some(b':') => self.at += 1,
                Some(_) => return Err(self.wrong("expected `:`")),
                None => return Err(self.wrong(END)),
            }
            let value = self.value(inner)?;
            each(name, value);
            match self.space() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) => return Err(self.wrong("expected `,` or `}`")),
                None => return Err(self.wrong(END)),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an array, and calls with the text of each element.
    fn array(&mut self, levels: usize, mut each: impl FnMut(&'j str)) -> Result<(), NotJson> {
        const END: &str = "EOF while parsing a list";
        let inner = self.deeper(levels)?;
        self.at += 1;
        if self.space() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            match self.space() {
                Some(b']') => return Err(self.wrong("trailing comma")),
                Some(_) => each(self.value(inner)?),
                None => return Err(self.wrong(END)),
            }
            match self.space() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) => return Err(self.wrong("expected `,` or `]`")),
                None => return Err(self.wrong(END)),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn deeper(&self, levels: usize) -> Result<usize, NotJson> {
        let inner = levels.checked_sub(1);
        inner.ok_or_else(|| self.wrong(DEEP))
    }

    fn word(&mut self, word: &str) -> Result<(), NotJson> {
        for expected in word.bytes() {
            match self.peek() {
                Some(byte) if byte == expected => self.at += 1,
                Some(_) => return Err(self.wrong("expected ident")),
                None => return Err(self.wrong("EOF while parsing a value")),
            }
        }
        Ok(())
    }

    /// Digits; how many.
    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    fn number(&mut self) -> Result<(), NotJson> {
        let invalid = |scanner: &Self| match scanner.peek() {
            Some(_) => scanner.wrong("invalid number"),
            None => scanner.wrong("EOF while parsing a value"),
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let is_zero = self.peek() == Some(b'0');
        let begin = self.at;
        match self.digits() {
            0 => return Err(invalid(self)),
            2.. if is_zero => {
                self.at = begin + 1;
                return Err(self.wrong("invalid number"));
            }
            _ => {}
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(invalid(self));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(invalid(self));
            }
        }
        Ok(())
    }

    /// Reads a string; its content.
    fn string(&mut self) -> Result<Cow<'j, str>, NotJson> {
        let begin = self.at;
        self.at += 1;
        let mut any_escape = false;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    any_escape = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => {
                    let what = "control character (\\u0000-\\u001F) found while parsing a string";
                    return Err(self.wrong(what));
                }
                None => return Err(self.wrong("EOF while parsing a string")),
            }
        }
        self.at += 1;
        let raw = &self.text[begin..self.at];
        match any_escape {
            // It has been looked at, so this does not fail.
            true => serde_json::from_str(raw)
                .map(Cow::Owned)
                .map_err(|error| self.wrong(error.to_string())),
            false => Ok(Cow::Borrowed(&raw[1..raw.len() - 1])),
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), NotJson> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                let lone = |scanner: &Self| scanner.wrong("lone leading surrogate in hex escape");
                match self.hex()? {
                    0xdc00..=0xdfff => return Err(lone(self)),
                    0xd800..=0xdbff if !self.text[self.at..].starts_with("\\u") => {
                        return Err(lone(self));
                    }
                    0xd800..=0xdbff => {
                        self.at += 2;
                        if !(0xdc00..=0xdfff).contains(&self.hex()?) {
                            return Err(lone(self));
                        }
                    }
                    _ => {}
                }
            }
            Some(_) => return Err(self.wrong("invalid escape")),
            None => return Err(self.wrong("EOF while parsing a string")),
        }
        Ok(())
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Result<u32, NotJson> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.ok_or_else(|| match self.peek() {
                Some(_) => self.wrong("invalid escape"),
                None => self.wrong("EOF while parsing a string"),
            })?;
            number = number * 16 + digit;
            self.at += 1;
        }
        Ok(number)
    }
}

/// How many bytes of a string come before the next quote, backslash or control character: eight at a time.
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The highest bit of a byte is set where the byte is zero, or one above such a byte.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (chunks, _) = text.as_chunks::<8>();
    let found = chunks.iter().position(|chunk| {
        let word = u64::from_le_bytes(*chunk);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quotes = zero(word ^ (ONES * u64::from(b'"')));
        controls | quotes | zero(word ^ (ONES * u64::from(b'\\'))) != 0
    });
    let begin = found.unwrap_or(chunks.len()) * 8;
    let rest = &text[begin..];
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    begin + rest.iter().position(special).unwrap_or(rest.len())
}

fn wrong(json: &[u8], at: usize, what: impl Into<Cow<'static, str>>) -> NotJson {
    let read = &json[..json.len().min(at + 1)];
    // A line break itself is the end of its line.
    let lines = &read[..read.len().saturating_sub(1)];
    let begin = lines.iter().rposition(|byte| *byte == b'\n');
    NotJson {
        what: what.into(),
        line: 1 + lines.iter().filter(|byte| **byte == b'\n').count(),
        column: read.len() - begin.map_or(0, |place| place + 1),
    }
}

#[cfg(test)]
mod tests;
