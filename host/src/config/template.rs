//! Text with placeholders: the sink's subject, and the rule for a message's key.
//!
//! Compiled when the configuration is read, rendered for each message. A placeholder is
//! `{subject}`, `{subject[1]}` (a token of the subject, counted from 0), `{subject[2..]}` (that token and those
//! behind it), `{header:Name}`, `{key}` (in a sink) or `{payload:/json/pointer}` (in a key). Everything else is
//! literal. There is no escape, because neither subjects nor keys need braces.

mod key;

pub use key::SAME_KEY;

use super::pointer::Pointer;
use super::subject::bucket;
pub use super::subject::{SubjectFilter, check_free, check_subject, is_under};
use crate::message::Message;
use bytes::BytesMut;
use bytestring::ByteString;
use std::borrow::Cow;

/// The memory for subjects is taken in pieces of this many bytes, and when less is left than most are long.
const SUBJECTS: usize = 4096;
const SHORT: usize = 128;

/// For where no inboxes of a connection are known: that of no subject.
const NO_PREFIX: &str = " ";

/// The subject that each result is published on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: ByteString,
    parts: Box<[Part]>,
}

/// The rule that computes the key of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    text: ByteString,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Subject,
    SubjectToken(usize),
    SubjectFrom(usize),
    Key,
    Header(Box<str>),
    Payload(Pointer),
}

impl Template {
    /// Parses a subject template.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong: an unknown or unclosed placeholder, or literal text
    /// that no subject may contain.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = parse_parts(
            text,
            "{subject}, {subject[N]}, {subject[N..]}, {key} and {header:Name}",
        )?;
        if parts.iter().any(|part| matches!(part, Part::Payload(_))) {
            return Err(
                "a subject cannot contain `{payload:...}`; put it into `key` and write `{key}`"
                    .to_owned(),
            );
        }
        // Every placeholder yields at least one character, so one letter represents it.
        let sample: String = parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal,
                _ => "x",
            })
            .collect();
        check_subject(&sample)?;
        let template = Self {
            text: text.into(),
            parts,
        };
        template.check_free(&sample, NO_PREFIX)?;
        Ok(template)
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The subject for one message; not a copy if the template is literal or `{subject}`.
    ///
    /// # Errors
    ///
    /// Says in one sentence what the message lacks, or why the rendered text is not a subject. A retry
    /// does not help: such a message is a dead letter.
    pub fn render(&self, message: &Message) -> Result<ByteString, String> {
        self.render_in(message, &mut BytesMut::new())
    }

    /// As [`render`](Self::render), in memory that many subjects share.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn render_in(
        &self,
        message: &Message,
        memory: &mut BytesMut,
    ) -> Result<ByteString, String> {
        let subject = match &*self.parts {
            [Part::Literal(_)] => return Ok(self.text.clone()),
            [Part::Subject] if message.foreign.is_none() => message.subject.clone(),
            parts => {
                // One that failed may have left something.
                memory.clear();
                if memory.capacity() < SHORT {
                    memory.reserve(SUBJECTS);
                }
                for part in parts {
                    memory.extend_from_slice(part.value(message)?.as_bytes());
                }
                let subject = ByteString::try_from(memory.split().freeze());
                subject.map_err(|error| error.to_string())?
            }
        };
        check_subject(&subject)
            .and_then(|()| self.check_free(&subject, NO_PREFIX))
            .map_err(|why| format!("`{}` cannot be rendered: {why}", self.text))?;
        Ok(subject)
    }

    /// The key-value bucket whose keys are its subjects, if it names one.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Literal(text)) => bucket(text),
            _ => None,
        }
    }

    /// Whether a subject that it has rendered is one that results may go to, on a connection whose inboxes
    /// begin with `inbox_prefix`.
    ///
    /// # Errors
    ///
    /// Says in one sentence whose subject it is.
    pub fn check_free(&self, subject: &str, inbox_prefix: &str) -> Result<(), String> {
        match self.bucket() {
            // Its subjects are keys of that bucket, whatever the data.
            Some(_) => Ok(()),
            None => check_free(subject, inbox_prefix),
        }
    }

    /// Whether a rendered subject could match `filter` for some message. After a placeholder that can span
    /// several tokens the answer is always yes.
    #[must_use]
    pub fn overlaps(&self, filter: &SubjectFilter) -> bool {
        self.reach().is_none_or(|reach| reach.overlaps(filter))
    }

    /// The narrowest filter that matches every rendered subject. `None` if it would be `>`: the template
    /// begins with a placeholder.
    #[must_use]
    pub fn reach(&self) -> Option<SubjectFilter> {
        // Placeholders become wildcards; `\u{1}` and `\u{2}` cannot occur in a checked literal.
        let marked: String = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal,
                Part::SubjectToken(_) => "\u{1}",
                _ => "\u{2}",
            })
            .collect();
        let mut tokens = Vec::new();
        for token in marked.split('.') {
            if token.contains('\u{2}') {
                tokens.push(">");
                break;
            }
            tokens.push(if token.contains('\u{1}') { "*" } else { token });
        }
        let reach = tokens.join(".");
        (reach != ">")
            .then(|| SubjectFilter::parse(&reach).ok())
            .flatten()
    }

    /// Whether a rendered subject has the key of its message.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.parts.contains(&Part::Key)
    }

    /// Whether a rendered subject has anything of the subject of its message.
    #[must_use]
    pub fn has_subject(&self) -> bool {
        self.parts.iter().any(Part::is_of_subject)
    }

    /// Whether the template begins with the message's subject.
    #[must_use]
    pub fn begins_with_subject(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Subject))
    }
}

impl Part {
    fn is_of_subject(&self) -> bool {
        matches!(
            self,
            Self::Subject | Self::SubjectToken(_) | Self::SubjectFrom(_)
        )
    }

    /// The value of this part for one message; empty values count as missing.
    fn value<'m>(&'m self, message: &'m Message) -> Result<Cow<'m, str>, String> {
        let foreign = message.foreign.as_deref();
        let found = match self {
            Self::Literal(literal) => return Ok(Cow::Borrowed(literal)),
            Self::Subject | Self::SubjectToken(_) | Self::SubjectFrom(_)
                if let Some(foreign) = foreign
                    && foreign.subject.is_some() =>
            {
                return Err(foreign.words());
            }
            Self::Subject => Some(Cow::Borrowed(&*message.subject)),
            Self::SubjectToken(n) => message.subject.split('.').nth(*n).map(Cow::Borrowed),
            Self::SubjectFrom(n) => message
                .subject
                .splitn(n + 1, '.')
                .nth(*n)
                .map(Cow::Borrowed),
            Self::Key => message.key.as_deref().map(Cow::Borrowed),
            Self::Header(name) => message.headers.get(name).map(Cow::Borrowed),
            Self::Payload(pointer) => pointer.find(&message.payload),
        };
        found
            .filter(|value| !value.is_empty())
            .ok_or_else(|| match self {
                Self::SubjectToken(n) | Self::SubjectFrom(n) => {
                    format!("the subject `{}` has no token {n}", message.subject)
                }
                Self::Key => "the message has no key".to_owned(),
                Self::Header(name) => format!("the message has no header `{name}`"),
                Self::Payload(pointer) => {
                    format!(
                        "the payload has no text or number at `{}`",
                        pointer.as_str()
                    )
                }
                Self::Literal(_) | Self::Subject => "the message has no subject".to_owned(),
            })
    }
}

/// `known` lists the valid placeholders.
fn parse_parts(text: &str, known: &str) -> Result<Box<[Part]>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        push_literal(&mut parts, literal)?;
        let Some((placeholder, after)) = after.split_once('}') else {
            return Err(format!("the placeholder `{{{after}` is not closed"));
        };
        parts.push(parse_placeholder(placeholder, known)?);
        rest = after;
    }
    push_literal(&mut parts, rest)?;
    Ok(parts.into())
}

fn push_literal(parts: &mut Vec<Part>, literal: &str) -> Result<(), String> {
    if literal.contains('}') {
        return Err("`}` without `{`".to_owned());
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(())
}

fn parse_placeholder(text: &str, known: &str) -> Result<Part, String> {
    if let Some(name) = text.strip_prefix("header:") {
        return check_header_name(name).map(|()| Part::Header(name.into()));
    }
    if let Some(pointer) = text.strip_prefix("payload:") {
        return Pointer::parse(pointer).map(Part::Payload);
    }
    if let Some(index) = text
        .strip_prefix("subject[")
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let (number, part): (_, fn(usize) -> Part) = match index.strip_suffix("..") {
            Some(number) => (number, Part::SubjectFrom),
            None => (index, Part::SubjectToken),
        };
        return number
            .parse()
            .map(part)
            .map_err(|_| format!("`{index}` is not the number of a token; the first token is 0"));
    }
    match text {
        "subject" => Ok(Part::Subject),
        "key" => Ok(Part::Key),
        other => Err(format!("unknown placeholder `{{{other}}}`; use {known}")),
    }
}

/// Whether `name` is a valid header name.
///
/// # Errors
///
/// Says in one sentence why not.
pub fn check_header_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a header name cannot be empty".to_owned());
    }
    match name.chars().find(|c| !c.is_ascii_graphic() || *c == ':') {
        None => Ok(()),
        Some(found) => Err(format!("a header name cannot contain {found:?}")),
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
mod tests;
