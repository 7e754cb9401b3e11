//! Where something is redacted.

use crate::method::Method;
use fields::{Node, Pattern};
use regex_lite::{Captures, Regex};
use std::borrow::Cow;
use weir_sdk::Header;

pub struct Rule {
    pub place: Place,
    /// Only the parts of texts that it matches; else all.
    pub pattern: Option<Regex>,
    pub method: Method,
}

pub enum Place {
    Fields(Vec<Pattern>),
    Headers(Vec<String>),
    /// All texts and numbers of the payload.
    Payload,
}

/// How many values were redacted.
#[derive(Default)]
pub struct Found {
    pub count: u64,
}

impl Rule {
    pub fn is_of_payload(&self) -> bool {
        !self.is_of_headers()
    }

    pub fn is_of_headers(&self) -> bool {
        matches!(self.place, Place::Headers(_))
    }

    /// Redacts a payload.
    pub fn redact(&self, payload: &mut Node<'_>, found: &mut Found) -> Result<(), String> {
        match &self.place {
            Place::Headers(_) => Ok(()),
            Place::Payload => payload.each_leaf(&mut |leaf| self.redact_leaf(leaf, found)),
            Place::Fields(patterns) => patterns.iter().try_for_each(|pattern| {
                if matches!((&self.method, &self.pattern), (Method::Remove, None)) {
                    found.count += payload.remove(pattern)?;
                    return Ok(());
                }
                // Of an array or an object, everything in it.
                payload.each(pattern, &mut |node| {
                    node.each_leaf(&mut |leaf| self.redact_leaf(leaf, found))
                })
            }),
        }
    }

    /// A text, or a number or a boolean as it is written, which becomes a text.
    fn redact_leaf(&self, leaf: &mut Node<'_>, found: &mut Found) -> Result<(), String> {
        let text = match leaf.text()? {
            Some(text) => text,
            None if leaf.is_null() => return Ok(()),
            None => Cow::Borrowed(leaf.raw().unwrap_or_default()),
        };
        if let Some(redacted) = self.redact_text(&text, found) {
            *leaf = Node::new(&redacted)?;
        }
        Ok(())
    }

    /// What becomes of a text, if something of it is redacted.
    pub fn redact_text(&self, text: &str, found: &mut Found) -> Option<String> {
        let redacted = match &self.pattern {
            None => self.method.of(text),
            Some(regex) if !regex.is_match(text) => return None,
            Some(regex) => {
                let method = |found: &Captures<'_>| self.method.of(&found[0]);
                regex.replace_all(text, method).into_owned()
            }
        };
        found.count += 1;
        Some(redacted)
    }

    /// Redacts headers, all of a name.
    pub fn redact_headers(&self, headers: &mut Vec<Header>, found: &mut Found) {
        let Place::Headers(names) = &self.place else {
            return;
        };
        let is_meant = |header: &Header| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&header.name))
        };
        if matches!((&self.method, &self.pattern), (Method::Remove, None)) {
            let before = headers.len();
            headers.retain(|header| !is_meant(header));
            found.count += (before - headers.len()) as u64;
            return;
        }
        for header in headers.iter_mut().filter(|header| is_meant(header)) {
            if let Some(redacted) = self.redact_text(&header.value, found) {
                header.value = redacted;
            }
        }
    }
}
