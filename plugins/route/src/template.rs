//! Subject templates: text with values of the message between braces.
//!
//! `{/shop/city}` is a field of the JSON payload (a JSON pointer, RFC 6901), `{header:Name}` a
//! header, `{key}` the key, `{subject}` the subject and `{subject[1]}` one token of it, from 0. A
//! value takes the place of exactly one token, except for `{subject}`: one with a dot or a space in
//! it would end in a subject that nobody listens to, and is an error instead.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use weir_sdk::Message;

/// A message, and its payload once it has been read.
pub struct Fields<'m> {
    message: &'m Message,
    payload: Option<Result<Value, String>>,
}

impl<'m> Fields<'m> {
    pub fn of(message: &'m Message) -> Self {
        Self {
            message,
            payload: None,
        }
    }

    fn payload(&mut self) -> Result<&Value, String> {
        let message = self.message;
        let read = || {
            serde_json::from_slice(&message.payload)
                .map_err(|error| format!("the payload is not JSON: {error}"))
        };
        self.payload
            .get_or_insert_with(read)
            .as_ref()
            .map_err(Clone::clone)
    }
}

/// Where a value comes from. Displays as it is written.
pub enum Source {
    Field(String),
    Header(String),
    Key,
    Subject,
    Token(usize),
}

impl Source {
    /// Parses what stands between braces.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Field(text.to_owned()));
        }
        let token = text
            .strip_prefix("subject[")
            .and_then(|rest| rest.strip_suffix(']'));
        match (text, text.strip_prefix("header:"), token) {
            ("key", ..) => Ok(Self::Key),
            ("subject", ..) => Ok(Self::Subject),
            (_, Some(name), _) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
            (_, _, Some(index)) if index.parse::<usize>().is_ok() => {
                Ok(Self::Token(index.parse().unwrap_or(0)))
            }
            _ => Err(format!(
                "unknown value `{text}`: there are `/field/of/the/payload`, `header:Name`, `key`, \
                 `subject` and `subject[0]`"
            )),
        }
    }

    /// The value as text; a string without its quotes.
    pub fn value<'f>(&self, fields: &'f mut Fields<'_>) -> Result<Cow<'f, str>, String> {
        let message = fields.message;
        let found = match self {
            Self::Field(pointer) => match fields.payload()?.pointer(pointer) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(Cow::Borrowed(text.as_str())),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => {
                    Some(Cow::Owned(value.to_string()))
                }
                Some(Value::Array(_) | Value::Object(_)) => {
                    return Err(format!("{self} is neither text nor a number"));
                }
            },
            Self::Header(name) => message.header(name).map(Cow::Borrowed),
            Self::Key => message.key.as_deref().map(Cow::Borrowed),
            Self::Subject => Some(Cow::Borrowed(message.subject.as_str())),
            Self::Token(index) => message.token(*index).map(Cow::Borrowed),
        };
        found.ok_or_else(|| format!("the message has no {self}"))
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
        }
    }
}

enum Part {
    Text(String),
    Value(Source),
}

pub struct Template(Vec<Part>);

impl Template {
    /// Parses a template. What it will render is checked as far as it can be without a message.
    pub fn parse(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (source, after) = after.split_once('}').ok_or("a `{` is not closed by `}`")?;
            parts.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
            parts.push(Part::Value(Source::parse(source)?));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        let template = Self(parts);
        let sample: String = template.0.iter().map(Part::sample).collect();
        if sample.split('.').all(is_token) {
            Ok(template)
        } else {
            Err(illegal(&sample))
        }
    }

    pub fn render(&self, fields: &mut Fields<'_>) -> Result<String, String> {
        let mut subject = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => subject.push_str(text),
                Part::Value(source) => {
                    let value = source.value(fields)?;
                    let whole_subject = matches!(source, Source::Subject);
                    if !is_token(&value) && !whole_subject {
                        return Err(format!(
                            "{source} = `{value}` cannot be a token of a subject"
                        ));
                    }
                    subject.push_str(&value);
                }
            }
        }
        Ok(subject)
    }
}

impl Part {
    fn sample(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Value(_) => "x",
        }
    }
}

/// Whether NATS takes it as one token of a subject to publish on.
fn is_token(text: &str) -> bool {
    let forbidden = |character: char| {
        matches!(character, '.' | '*' | '>') || character.is_whitespace() || character.is_control()
    };
    !text.is_empty() && !text.contains(forbidden)
}

fn illegal(subject: &str) -> String {
    format!(
        "`{subject}` cannot be a subject: it is made of tokens with dots between them, without \
         wildcards or white space"
    )
}
