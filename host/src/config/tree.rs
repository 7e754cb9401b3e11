//! From YAML text to a tree in which every key and value has a location.
//!
//! Built from the events of serde-saphyr's parser, because serde stops at its first error and a user wants
//! to see all of them. The tree knows no schema; `shape.rs` compares it with one. References to the
//! environment are already replaced in it.

use super::interpolate::{Environment, interpolate};
use super::syntax;
use crate::report::findings::{Collector, Location};
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Span, options};
use std::collections::HashMap;

/// Maximum bytes of the values of one file, with aliases counted as often as they are used. Protects
/// against files that expand endlessly.
const MAX_WEIGHT: usize = 16 << 20;

/// What one value counts in addition to its text.
const NODE_WEIGHT: usize = 64;

/// Maximum nesting depth, including values behind aliases, because everything that reads the tree
/// recurses. The parser's own limit is about the same but does not consider aliases.
const MAX_DEPTH: usize = 256;

/// A value and its location.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) location: Location,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Invalid; this has been reported.
    Broken,
}

#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Without quotes, so that `5` is a number and `true` a boolean.
    pub(super) plain: bool,
    /// Contained a reference to the environment: its text is then never read as null.
    pub(super) interpolated: bool,
    pub(super) style: ScalarStyle,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_location: Location,
    pub(super) value: Node,
}

impl Node {
    /// The entry under `key`, if this is a map that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Whether this is null: an empty value, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(Scalar { text, plain: true, interpolated: false, .. })
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// The non-empty documents of a file, in order. A document with a syntax error yields a finding and no
/// tree; later documents are still read.
pub(super) fn parse(
    text: &str,
    environment: &Environment<'_>,
    findings: &mut Collector,
) -> Vec<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = options! { emit_comments: false, emit_unresolved_aliases: true };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::new(environment, findings);
    let mut documents = Vec::new();
    loop {
        match parser.next() {
            None => return documents,
            Some(Ok((event, span))) => {
                if let Some(document) = builder.event(event, span) {
                    documents.push(document);
                }
                if builder.weight > MAX_WEIGHT {
                    builder.findings.add_hint(
                        location(span.start),
                        "up to here the file expands to more than 16MiB",
                        "look for aliases of values that contain aliases",
                    );
                    return documents;
                }
            }
            Some(Err(error)) => {
                syntax::report(text, &error, builder.findings);
                builder.abandon();
                if !parser.proceed_next_document().unwrap_or(false) {
                    return documents;
                }
            }
        }
    }
}

/// Builds a tree from events. A document is returned when it ends.
struct Builder<'b, 'e> {
    environment: &'b Environment<'e>,
    findings: &'b mut Collector,
    /// The open collections, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    weight: usize,
    document: Option<Node>,
}

struct Open {
    location: Location,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<Node>),
}

impl<'b, 'e> Builder<'b, 'e> {
    fn new(environment: &'b Environment<'e>, findings: &'b mut Collector) -> Self {
        Self {
            environment,
            findings,
            open: Vec::new(),
            anchors: HashMap::new(),
            weight: 0,
            document: None,
        }
    }

    fn abandon(&mut self) {
        self.open.clear();
        self.anchors.clear();
        self.document = None;
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Option<Node> {
        let location = location(span.start);
        match event {
            Event::DocumentEnd => {
                let document = self.document.take();
                self.abandon();
                return document.filter(|document| !document.is_null());
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text_tag = tag
                    .as_ref()
                    .is_some_and(|tag| tag.core_suffix() == Some("str"));
                if tag.is_some() && !is_text_tag {
                    self.refuse_tag(span);
                }
                let plain = style == ScalarStyle::Plain && !is_text_tag;
                let kind = self.scalar(&text, style, plain, location);
                self.finish(Node { location, kind }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Items::List(Vec::new()), anchor, tag.is_some(), span);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Items::Map(Vec::new(), None), anchor, tag.is_some(), span);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let kind = match open.items {
                        Items::List(items) => Kind::List(items),
                        Items::Map(entries, _) => Kind::Map(entries),
                    };
                    let location = open.location;
                    self.finish(Node { location, kind }, open.anchor);
                }
            }
            Event::Alias(anchor) => {
                let kind = self.alias(anchor, location);
                self.finish(Node { location, kind }, 0);
            }
            Event::UnresolvedAlias(name) => {
                self.findings.add_hint(
                    location,
                    format!("there is no anchor `&{name}` before the alias `*{name}`"),
                    format!("quote it if it is meant as text: `\"*{name}\"`"),
                );
                let kind = Kind::Broken;
                self.finish(Node { location, kind }, 0);
            }
            _ => {}
        }
        None
    }

    /// Begins a list or a map.
    fn open(&mut self, items: Items, anchor: usize, tagged: bool, span: Span) {
        if tagged {
            self.refuse_tag(span);
        }
        self.open.push(Open {
            location: location(span.start),
            anchor,
            items,
        });
    }

    /// Adds a finished value to the open collection.
    fn finish(&mut self, node: Node, anchor: usize) {
        self.weight += own_weight(&node);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.document = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map(_, key @ None)) => *key = Some(node),
            Some(Items::Map(entries, key)) => {
                let Some(Node {
                    location: key_location,
                    kind,
                }) = key.take()
                else {
                    return;
                };
                let Kind::Scalar(Scalar { text: key, .. }) = kind else {
                    if !matches!(kind, Kind::Broken) {
                        self.findings.add_hint(
                            key_location,
                            "a key must be plain text",
                            "quote it if it is meant as text",
                        );
                    }
                    return;
                };
                match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => self.findings.add(
                        key_location,
                        format!(
                            "duplicate key `{key}`, first given on line {}",
                            first.key_location.line
                        ),
                    ),
                    None => entries.push(Entry {
                        key,
                        key_location,
                        value: node,
                    }),
                }
            }
        }
    }

    /// The value of an alias.
    fn alias(&mut self, anchor: usize, location: Location) -> Kind {
        let Some(node) = self.anchors.get(&anchor) else {
            self.findings
                .add(location, "an alias cannot be inside its own anchor");
            return Kind::Broken;
        };
        let (weight, depth) = measure(node);
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            // The limit of the whole file, which is reported where events are read.
            return Kind::Broken;
        }
        if self.open.len() + depth > MAX_DEPTH {
            let message = format!("the alias nests values more than {MAX_DEPTH} deep");
            self.findings.add(location, message);
            return Kind::Broken;
        }
        node.kind.clone()
    }

    /// A scalar with its references replaced; keys are literal.
    fn scalar(&mut self, text: &str, style: ScalarStyle, plain: bool, location: Location) -> Kind {
        let is_key = matches!(
            self.open.last(),
            Some(Open {
                items: Items::Map(_, None),
                ..
            })
        );
        if is_key {
            return Kind::Scalar(Scalar {
                text: text.to_owned(),
                plain,
                interpolated: false,
                style,
            });
        }
        match interpolate(text, self.environment) {
            Ok(done) => Kind::Scalar(Scalar {
                plain,
                style,
                interpolated: done != text,
                text: done.into_owned(),
            }),
            Err(wrong) => {
                for (message, hint) in wrong {
                    self.findings.add_hint(location, message, hint);
                }
                Kind::Broken
            }
        }
    }

    fn refuse_tag(&mut self, span: Span) {
        let location = location(span.tag_start().unwrap_or(span.start));
        self.findings.add_hint(
            location,
            "a YAML tag has no meaning here",
            "remove it, or quote the value if the text begins with `!`",
        );
    }
}

pub(super) fn location(marker: Marker) -> Location {
    Location {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

fn own_weight(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(scalar) => NODE_WEIGHT + scalar.text.len(),
        _ => NODE_WEIGHT,
    }
}

/// The weight and the depth of a value, including everything in it.
fn measure(node: &Node) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match &node.kind {
        Kind::List(items) => items.iter().map(measure).collect(),
        Kind::Map(entries) => entries.iter().map(|entry| measure(&entry.value)).collect(),
        _ => Vec::new(),
    };
    let weight: usize = inner.iter().map(|(weight, _)| weight).sum();
    let depth = inner
        .iter()
        .map(|(_, depth)| *depth)
        .max()
        .unwrap_or_default();
    (own_weight(node) + weight, 1 + depth)
}
