//! Values of a message, named in one line of text.
//!
//! `/shop/city` is a field of the JSON payload (a JSON pointer, RFC 6901), `header:Name` a header, `key` the
//! key, `subject` the subject, `subject[1]` one token of it, from 0, and `sequence` the sequence in the stream.

use crate::{Node, Pointer, header_name};
use std::borrow::Cow;
use std::fmt;
use weir_sdk::Message;

/// A message, and its payload once it has been read.
pub struct Fields<'m> {
    message: &'m Message,
    payload: Option<Result<Node<'m>, String>>,
}

impl<'m> Fields<'m> {
    /// Those of a message; nothing is read yet.
    #[must_use]
    pub fn of(message: &'m Message) -> Self {
        Self {
            message,
            payload: None,
        }
    }

    /// The payload.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn payload(&mut self) -> Result<&mut Node<'m>, String> {
        let message = self.message;
        self.payload
            .get_or_insert_with(|| Node::read(&message.payload))
            .as_mut()
            .map_err(|error| error.clone())
    }
}

/// Where a value comes from. Displays as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field of the payload.
    Field(Pointer),
    /// A header that the operator's `headers:` asks for.
    Header(String),
    /// The key.
    Key,
    /// The whole subject.
    Subject,
    /// One token of the subject, from 0.
    Token(usize),
    /// The sequence in the stream.
    Sequence,
}

impl Source {
    /// Parses a name.
    ///
    /// # Errors
    /// If there is no such value; says which there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Pointer::parse(text).map(Self::Field);
        }
        let token = text
            .strip_prefix("subject[")
            .and_then(|rest| rest.strip_suffix(']'));
        match (text, text.strip_prefix("header:"), token) {
            ("key", ..) => Ok(Self::Key),
            ("subject", ..) => Ok(Self::Subject),
            ("sequence", ..) => Ok(Self::Sequence),
            (_, Some(name), _) => header_name(name).map(Self::Header),
            (_, _, Some(index)) if index.parse::<usize>().is_ok() => {
                Ok(Self::Token(index.parse().unwrap_or(0)))
            }
            _ => Err(format!(
                "unknown value `{text}`: {}, or `header:Name`, `key`, `subject`, `subject[0]` or `sequence`",
                Pointer::meant(text)
            )),
        }
    }

    /// The value as text, a string without its quotes; `None` if the message has none, or `null`.
    ///
    /// # Errors
    /// If the payload is not JSON, or the field is neither text nor a number nor a boolean.
    pub fn find<'f>(&self, fields: &'f mut Fields<'_>) -> Result<Option<Cow<'f, str>>, String> {
        let message = fields.message;
        Ok(match self {
            Self::Field(pointer) => match fields.payload()?.get(pointer)? {
                None => None,
                Some(node) => match (node.text()?, node.raw()) {
                    (Some(text), _) => Some(text),
                    (None, Some("null")) => None,
                    (None, Some(raw)) if !raw.starts_with(['{', '[']) => Some(raw.into()),
                    _ => return Err(format!("{self} is neither text nor a number")),
                },
            },
            Self::Header(name) => message.header(name).map(Cow::Borrowed),
            Self::Key => message.key.as_deref().map(Cow::Borrowed),
            Self::Subject => Some(Cow::Borrowed(message.subject.as_str())),
            Self::Token(index) => message.token(*index).map(Cow::Borrowed),
            Self::Sequence => Some(Cow::Owned(message.sequence.to_string())),
        })
    }

    /// As [`Source::find`], for a value that must be there.
    ///
    /// # Errors
    /// If it is not there, too.
    pub fn value<'f>(&self, fields: &'f mut Fields<'_>) -> Result<Cow<'f, str>, String> {
        self.find(fields)?
            .ok_or_else(|| format!("the message has no {self}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(pointer) => write!(formatter, "{{{pointer}}}"),
            Self::Header(name) => write!(formatter, "{{header:{name}}}"),
            Self::Key => formatter.write_str("{key}"),
            Self::Subject => formatter.write_str("{subject}"),
            Self::Token(index) => write!(formatter, "{{subject[{index}]}}"),
            Self::Sequence => formatter.write_str("{sequence}"),
        }
    }
}
