//! A position in the tree, walked in step with the typed model so that every finding has a location.

use super::tree::{Kind, Node};
use crate::report::findings::Location;

/// One value of a document, or the place where it would stand.
#[derive(Clone, Debug)]
pub(super) struct At<'t> {
    node: Option<&'t Node>,
    /// Of the key, or of the nearest key above that is written.
    key: Location,
    /// Of the value, or of the nearest key above that is written.
    value: Location,
    /// `operators[0].limits.memory`; empty for the document.
    path: String,
}

impl<'t> At<'t> {
    pub(super) fn document(node: &'t Node) -> Self {
        Self {
            node: Some(node),
            key: node.location,
            value: node.location,
            path: String::new(),
        }
    }

    /// The value under a key of this map.
    pub(super) fn field(&self, name: &str) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match self.node.and_then(|node| node.entry(name)) {
            Some(entry) => Self {
                node: Some(&entry.value),
                key: entry.key_place,
                value: entry.value.location,
                path,
            },
            None => Self {
                node: None,
                key: self.key,
                value: self.key,
                path,
            },
        }
    }

    /// One item of this list.
    pub(super) fn item(&self, index: usize) -> Self {
        let path = format!("{}[{index}]", self.path);
        let node = match self.node.map(|node| &node.kind) {
            Some(Kind::List(items)) => items.get(index),
            _ => None,
        };
        let location = node.map_or(self.value, |node| node.location);
        Self {
            node,
            key: location,
            value: location,
            path,
        }
    }

    /// Whether something is written here, be it right or wrong.
    pub(super) fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// Whether `text` is what is written here. It is not where the shape was wrong, which has been
    /// reported, and something empty stands in for it.
    pub(super) fn is_text(&self, text: &str) -> bool {
        match self.node.map(|node| &node.kind) {
            None => true,
            Some(Kind::Scalar(scalar)) => scalar.text == text,
            Some(_) => false,
        }
    }

    /// Where a finding about the value stands.
    pub(super) fn location(&self) -> Location {
        self.value
    }

    /// Where a finding about the key stands.
    pub(super) fn key_place(&self) -> Location {
        self.key
    }

    /// The way here from the document, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}
