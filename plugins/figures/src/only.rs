//! Which groups of a window have a result: those with the greatest or the least of some figures.

use crate::config::{count, text, ties};
use crate::rank::{first, ranks};
use crate::value::{Named, compared, node};
use fields::Node;
use serde_json::Value;
use std::cmp::Ordering;

/// What stands under `only:`.
#[derive(Debug)]
pub struct Only {
    /// Names of a result: of those that are equal in the first, the second decides, and so on.
    by: Vec<String>,
    highest: bool,
    most: usize,
    /// Whether those that are equal to the last one are kept, too.
    ties: bool,
    /// What the rank is called in a result, if it has one.
    rank: Option<String>,
}

impl Only {
    /// Reads it from JSON. `is_there` says whether a result has something of this name.
    pub fn read(value: &Value, is_there: impl Fn(&str) -> bool) -> Result<Self, String> {
        let refusal = || {
            "`only` needs either `highest` or `lowest`, such as `only: { highest: orders, most: 3 }`"
                .to_owned()
        };
        let parts = value.as_object().ok_or_else(refusal)?;
        let known = ["highest", "lowest", "most", "rank", "ties"];
        if let Some(key) = parts.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!(
                "`only`: there is no `{key}`, but {}",
                known.join(", ")
            ));
        }
        let (names, highest) = match (parts.get("highest"), parts.get("lowest")) {
            (Some(names), None) => (names, true),
            (None, Some(names)) => (names, false),
            _ => return Err(refusal()),
        };
        let names = match names {
            Value::Array(names) => names.as_slice(),
            name => std::slice::from_ref(name),
        };
        let name = |name: &Value| match name.as_str() {
            Some(name) if is_there(name) => Ok(name.to_owned()),
            _ => Err(format!("`only`: {name} is no name under `by` or `results`")),
        };
        let by = names.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        if by.is_empty() {
            return Err(refusal());
        }
        let rank = parts.get("rank").map(|rank| text("only", "rank", rank));
        let rank = rank.transpose()?;
        if let Some(name) = rank.as_ref().filter(|name| is_there(name)) {
            return Err(format!(
                "`only`: `{name}` stands under `by` or `results`, and is to be the rank"
            ));
        }
        Ok(Self {
            by,
            rank,
            highest,
            most: parts
                .get("most")
                .map_or(Ok(1), |most| count("only", most))?,
            ties: parts.get("ties").map_or(Ok(false), |it| ties("only", it))?,
        })
    }

    /// Leaves the results that are wanted, the first ones first.
    pub fn choose(&self, results: &mut Vec<Named>) {
        // Equal ones stay in the order in which they came: that of the groups as text.
        results.sort_by(|one, other| self.compared(one, other));
        let is_equal = |one: &_, other: &_| self.compared(one, other).is_eq();
        results.truncate(first(results, self.most, self.ties, is_equal));
        let Some(name) = &self.rank else { return };
        let ranks = ranks(results, self.ties, is_equal);
        for (result, rank) in results.iter_mut().zip(ranks) {
            result.insert(name.clone(), node(&rank));
        }
    }

    fn compared(&self, one: &Named, other: &Named) -> Ordering {
        // Of an array there is nothing to compare.
        let is_value = |json: &&str| *json != "null";
        let [one, other] = [one, other]
            .map(|of| move |name: &str| of.get(name).and_then(Node::raw).filter(is_value));
        let figure = |name: &String| match (one(name), other(name)) {
            // What there is nothing of comes last, whatever is wanted.
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(one), Some(other)) if self.highest => compared(other, one),
            (Some(one), Some(other)) => compared(one, other),
        };
        let figures = self.by.iter().map(figure);
        figures.fold(Ordering::Equal, Ordering::then)
    }
}
