//! A cursor into the tree, which walks it together with the typed model so that every finding has a location.

use super::tree::{Kind, Node};
use crate::report::findings::Location;

/// One value of a document, or the location where it would be.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'t> {
    node: Option<&'t Node>,
    /// Of the key, or of the nearest key above that exists.
    key: Location,
    /// Of the value, or of the nearest key above that exists.
    value: Location,
    /// `operators[0].limits.memory`; empty for the document.
    path: String,
}

impl<'t> Cursor<'t> {
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
        let path = join(&self.path, name);
        match self.node.and_then(|node| node.entry(name)) {
            Some(entry) => Self {
                node: Some(&entry.value),
                key: entry.key_location,
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

    /// The value, if the file has one here.
    pub(super) fn node(&self) -> Option<&'t Node> {
        self.node
    }

    /// Whether the file has a value here, valid or not.
    pub(super) fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// This place, or another if nothing is given here.
    pub(super) fn or(self, other: Self) -> Self {
        if self.is_given() { self } else { other }
    }

    /// Whether the file has a mapping here.
    pub(super) fn is_map(&self) -> bool {
        self.node
            .is_some_and(|node| matches!(node.kind, Kind::Map(_)))
    }

    /// Whether the file has `text` here. It does not if the value had the wrong type: that has been
    /// reported, and an empty value replaces it.
    pub(super) fn is_text(&self, text: &str) -> bool {
        match self.node.map(|node| &node.kind) {
            None => true,
            Some(Kind::Scalar(scalar)) => scalar.text == text,
            Some(_) => false,
        }
    }

    /// The location for a finding about the value.
    pub(super) fn location(&self) -> Location {
        self.value
    }

    /// The location for a finding about the key.
    pub(super) fn key_location(&self) -> Location {
        self.key
    }

    /// The path from the document to this value, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// The path of a field within the one at `path`, which is empty for the document.
pub(super) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}
