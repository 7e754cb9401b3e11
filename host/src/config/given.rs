//! The configuration of a plugin as its author wrote it. Finds the places of mistakes that a plugin reports.
//!
//! A refusal of `configure` may have a line for each mistake: the JSON pointer of the value in the
//! configuration, a colon, and the problem; the pointer of the whole is empty. If the value is a text in a language
//! of its own, the line and the column in that text can stand between pointer and problem. A line `  hint: ...` below
//! says what to do.
//!
//! ```text
//! /fields/total:1:3: unknown variable `paylod`
//!   hint: did you mean `payload`?
//! /keep/0: it is no JSON pointer
//! ```

mod characters;

use super::cursor::join;
use super::interpolate::unchanged;
use super::shape::{self, Mistaken};
use super::tree::{self, Kind, Node};
use crate::report::findings::{Collector, Excerpt, Finding, Findings, Location};
use crate::report::secrets::hide;
use characters::characters;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Most characters of a line that a finding shows on each side of its place.
const SHOWN: usize = 60;

/// The configuration of one operator.
#[derive(Clone, Debug)]
pub struct Given {
    /// Of the whole file, without a byte order mark.
    text: Arc<str>,
    /// `None` if there is no `config:`.
    node: Option<Node>,
    /// `operators[0].config`.
    path: String,
    /// The paths of the mistakes that the schema of the plugin has found.
    mistaken: Vec<String>,
}

/// One line of a refusal, with its hint.
struct Mistake<'r> {
    keys: Vec<String>,
    /// The line and the column in the value, from 1.
    within: Option<(usize, usize)>,
    message: &'r str,
    hint: Option<&'r str>,
}

impl Given {
    pub(super) fn new(
        text: Arc<str>,
        node: Option<Node>,
        path: String,
        mistaken: Vec<String>,
    ) -> Self {
        Self {
            text,
            node,
            path,
            mistaken,
        }
    }

    /// A configuration from the command line, of the option or the file `name`, compared with the schema of its plugin
    /// if there is one: what the schema refuses, and what the plugin can be started with nevertheless.
    #[must_use]
    pub fn of_json(text: &str, name: &Path, schema: Option<Value>) -> (Self, String, Findings) {
        let mut collector = Collector::new(name);
        // JSON is YAML.
        let documents = tree::parse(text, &unchanged, &mut collector);
        let node = documents.into_iter().next();
        let path = "config".to_owned();
        let mistaken = schema
            .and_then(super::schema::of_plugin)
            .and_then(|schema| {
                let place = (&*path, Location::START);
                shape::check_config(node.as_ref(), place, &schema, &mut collector)
            });
        let (sound, mistaken) = match mistaken {
            Some(Mistaken { sound, paths }) => (sound.to_string(), paths),
            None => (text.to_owned(), Vec::new()),
        };
        let mut findings = Findings::default();
        findings.append(collector.into_findings());
        (
            Self::new(text.into(), node, path, mistaken),
            sound,
            findings,
        )
    }

    /// Whether the schema of the plugin refuses it.
    #[must_use]
    pub fn is_mistaken(&self) -> bool {
        !self.mistaken.is_empty()
    }

    /// The mistakes in a refusal of `configure`, each at its place in the file, without those that the schema has found
    /// and what follows from them. `None` if the refusal names no places.
    #[must_use]
    pub fn findings(&self, file: &Path, refusal: &str) -> Option<Vec<Finding>> {
        let node = self.node.as_ref()?;
        let mut mistakes: Vec<Mistake<'_>> = Vec::new();
        for line in refusal.lines() {
            match (line.strip_prefix("  hint: "), mistakes.last_mut()) {
                (Some(hint), Some(of)) => of.hint = Some(hint),
                _ => mistakes.push(mistake(line, node)?),
            }
        }
        let found = mistakes
            .iter()
            .filter_map(|mistake| self.finding(file, mistake, node));
        Some(found.collect())
    }

    fn finding(&self, file: &Path, mistake: &Mistake<'_>, node: &Node) -> Option<Finding> {
        let (value, _) = walk(node, &mistake.keys);
        let mut path = self.path.clone();
        let mut at = Some(node);
        for key in &mistake.keys {
            path = match at.map(|node| &node.kind) {
                Some(Kind::List(_)) => format!("{path}[{key}]"),
                _ => join(&path, key),
            };
            at = at.and_then(|node| step(node, key));
        }
        let is_told = |told: &String| is_in(told, &path) || is_in(&path, told);
        if self.mistaken.iter().any(is_told) {
            return None;
        }
        let within = mistake.within.and_then(|within| self.within(value, within));
        let (location, excerpt) = within.unwrap_or((value.location, None));
        Some(Finding {
            file: file.to_owned(),
            location,
            message: hide(&format!("`{path}`: {}", mistake.message)).into_owned(),
            hint: mistake.hint.map(|hint| hide(hint).into_owned()),
            excerpt,
        })
    }

    /// Where a line and a column of a text are in the file, and that line of the text. `None` if the text is not written
    /// as it is, as behind an alias or with references to the environment before that place.
    fn within(
        &self,
        value: &Node,
        (line, column): (usize, usize),
    ) -> Option<(Location, Option<Excerpt>)> {
        let Kind::Scalar(scalar) = &value.kind else {
            return None;
        };
        let before = scalar
            .text
            .split_inclusive('\n')
            .take(line.saturating_sub(1));
        let before: usize = before.map(|line| line.chars().count()).sum();
        let wanted = before + column.saturating_sub(1);
        let length = scalar.text.chars().count();
        let written = characters(&self.text, value.location, scalar.style, length + 1);
        let same = written.iter().zip(scalar.text.chars());
        let same = same.take_while(|((found, ..), own)| found == own).count();
        if wanted > same {
            return None;
        }
        let here = written.get(wanted).map(|(_, location, _)| *location);
        let last = wanted.checked_sub(1).and_then(|last| written.get(last));
        // Behind the end is behind the last character, and not where the file goes on.
        let behind = last.map(|(_, location, columns)| Location {
            column: location.column + columns,
            ..*location
        });
        let location = match wanted == length {
            true => behind.or(here),
            false => here,
        }?;
        let on_line = written.iter().take(length);
        let on_line = on_line.filter(|(_, own, _)| own.line == location.line);
        let columns = on_line.map(|(_, own, columns)| (own.column, own.column + columns - 1));
        let (first, last) = (
            columns.clone().map(|(first, _)| first).min(),
            columns.map(|(_, last)| last).max(),
        );
        let excerpt = first.zip(last).filter(|_| same == length);
        let excerpt = excerpt.and_then(|(first, last)| self.excerpt(location, first, last));
        Some((location, excerpt))
    }

    /// The columns of a line that belong to the text, around a place.
    fn excerpt(&self, at: Location, first: usize, last: usize) -> Option<Excerpt> {
        let line: Vec<char> = self
            .text
            .lines()
            .nth(at.line.checked_sub(1)?)?
            .chars()
            .collect();
        let first = first.max(at.column.saturating_sub(SHOWN));
        let last = last.min(at.column + SHOWN).min(line.len());
        let text: String = line.get(first.checked_sub(1)?..last)?.iter().collect();
        // A secret that is hidden would move the mark.
        (hide(&text) == text).then(|| Excerpt {
            caret: at.column.saturating_sub(first),
            text: text.replace('\t', " "),
        })
    }
}

/// Whether a path is that of a value, or of one in it.
fn is_in(path: &str, value: &str) -> bool {
    let rest = path.strip_prefix(value);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A line of a refusal. A key may have a colon in it, so the pointer is the first that leads to a value.
fn mistake<'r>(line: &'r str, node: &Node) -> Option<Mistake<'r>> {
    let colons = line.match_indices(':').filter_map(|(at, _)| {
        let (pointer, rest) = (line.get(..at)?, line.get(at + 1..)?);
        let keys = match pointer {
            "" => None,
            _ => Some(pointer.strip_prefix('/')?.split('/')),
        };
        let keys = keys.into_iter().flatten();
        let keys = keys.map(|key| key.replace("~1", "/").replace("~0", "~"));
        let (within, message) = within(rest)?;
        Some(Mistake {
            keys: keys.collect(),
            within,
            message,
            hint: None,
        })
    });
    let mut possible: Vec<_> = colons.collect();
    let leads = |mistake: &Mistake<'_>| walk(node, &mistake.keys).1;
    let found = possible.iter().position(leads).unwrap_or_default();
    (found < possible.len()).then(|| possible.swap_remove(found))
}

/// ` what is wrong`, or `LINE:COLUMN: what is wrong`.
fn within(rest: &str) -> Option<(Option<(usize, usize)>, &str)> {
    if let Some(message) = rest.strip_prefix(' ') {
        return Some((None, message));
    }
    let (line, rest) = rest.split_once(':')?;
    let (column, message) = rest.split_once(": ")?;
    let within = (line.parse().ok()?, column.parse().ok()?);
    Some((Some(within), message))
}

/// The value that keys lead to, and whether all of them are there.
fn walk<'n>(node: &'n Node, keys: &[String]) -> (&'n Node, bool) {
    let mut at = node;
    for key in keys {
        match step(at, key) {
            Some(inner) => at = inner,
            None => return (at, false),
        }
    }
    (at, true)
}

fn step<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.kind {
        Kind::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => node.entry(key).map(|entry| &entry.value),
    }
}

#[cfg(test)]
mod tests;
