//! The rule for a key: the key of a message, of a result in a view, or of a state value in a view.

use super::{KeyRule, Part, parse_parts};
use crate::config::pointer::Pointer;
use crate::message::Message;
use bytes::Bytes;
use bytestring::ByteString;
use std::borrow::Cow;

/// Why a rule without a placeholder is none.
pub const SAME_KEY: &str = "a key without a placeholder is the same for every message";

impl KeyRule {
    /// Parses a key rule: the same placeholders as a template, with `{payload:/pointer}` instead of
    /// `{key}`.
    ///
    /// # Errors
    ///
    /// Says in one sentence what is wrong. A rule without a placeholder is refused, because it would give
    /// all messages the same key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = Self::of_any(
            text,
            "{subject}, {subject[N]}, {subject[N..]}, {header:Name} and {payload:/pointer}",
        )?;
        if rule.parts.contains(&Part::Key) {
            return Err("a key cannot contain `{key}`".to_owned());
        }
        Ok(rule)
    }

    /// Parses a rule for the key of a result in a view: the same placeholders, and `{key}`.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn of_result(text: &str) -> Result<Self, String> {
        Self::of_any(
            text,
            "{key}, {subject}, {subject[N]}, {subject[N..]}, {header:Name} and {payload:/pointer}",
        )
    }

    /// Parses a rule for the key of a value of the state in a view: `{key}`, and text around it.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn of_state(text: &str) -> Result<Self, String> {
        let rule = Self::of_any(text, "{key}")?;
        let is_known = |part: &Part| matches!(part, Part::Literal(_) | Part::Key);
        match rule.parts.iter().all(is_known) {
            true => Ok(rule),
            false => Err("a value of the state has no message: use {key}, its key".to_owned()),
        }
    }

    fn of_any(text: &str, known: &str) -> Result<Self, String> {
        let parts = parse_parts(text, known)?;
        if parts.iter().all(|part| matches!(part, Part::Literal(_))) {
            return Err(SAME_KEY.to_owned());
        }
        let text = text.into();
        Ok(Self { text, parts })
    }

    /// The key that a change of a key-value bucket has there: its subject is `$KV.<bucket>.<key>`.
    #[must_use]
    pub fn of_bucket() -> Self {
        let parts = [Part::SubjectFrom(2)].into();
        let text = ByteString::from_static("{subject[2..]}");
        Self { text, parts }
    }

    /// The rule as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key of one message; `None` if the message lacks a part of it. Any text can be a key.
    #[must_use]
    pub fn extract(&self, message: &Message) -> Option<ByteString> {
        if let Some(pointer) = self.pointer() {
            return Self::read(pointer.find(&message.payload), &message.payload);
        }
        if let [part @ (Part::Subject | Part::SubjectToken(_) | Part::SubjectFrom(_))] =
            &*self.parts
            && let Cow::Borrowed(value) = part.value(message).ok()?
        {
            // In the memory of the subject.
            return Some(message.subject.slice_ref(value));
        }
        let mut key = String::new();
        for part in &self.parts {
            key.push_str(&part.value(message).ok()?);
        }
        Some(key.into())
    }

    /// Where it is in the payload, if it is that and nothing else.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        match &*self.parts {
            [Part::Payload(pointer)] => Some(pointer),
            _ => None,
        }
    }

    /// The key of what was found there, in the memory of the payload if it is a part of it.
    #[must_use]
    pub fn read(found: Option<Cow<'_, str>>, payload: &Bytes) -> Option<ByteString> {
        match found.filter(|found| !found.is_empty())? {
            Cow::Borrowed(text) => payload.slice_ref(text.as_bytes()).try_into().ok(),
            Cow::Owned(text) => Some(text.into()),
        }
    }

    /// The rule for such a key, where it is made of nothing else; `None` if it needs more, or the key is empty.
    #[must_use]
    pub fn of_key(&self, key: &str) -> Option<String> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(literal) => Some(&**literal),
            Part::Key => Some(key).filter(|key| !key.is_empty()),
            _ => None,
        });
        parts.collect()
    }

    /// Whether it has the key of a result.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.parts.contains(&Part::Key)
    }

    /// Whether it has anything of the subject.
    #[must_use]
    pub fn has_subject(&self) -> bool {
        self.parts.iter().any(Part::is_of_subject)
    }

    /// Whether it has something of the payload.
    #[must_use]
    pub fn reads_payload(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Payload(_)))
    }

    /// The highest subject token it reads, counted from 0.
    #[must_use]
    pub fn highest_token(&self) -> Option<usize> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::SubjectToken(n) | Part::SubjectFrom(n) => Some(*n),
                _ => None,
            })
            .max()
    }
}
