//! Which groups of a window have a result: those with the greatest or the least of some figures.

use crate::config::{count, text, ties};
use crate::rank::{first, ranks};
use crate::value::compared;
use fields::Node;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use weir_sdk::Refusal;

/// What a group has under the names of [`Only::by`].
pub type Values = Vec<Node<'static>>;

/// What stands under `only:`.
#[derive(Debug)]
pub struct Only {
    /// Names of a result: of those that are equal in the first, the second decides, and so on.
    pub by: Vec<String>,
    highest: bool,
    most: usize,
    /// Whether those that are equal to the last one are kept, too.
    ties: bool,
    /// What the rank is called in a result, if it has one.
    pub rank: Option<String>,
}

impl Only {
    /// Reads it from JSON. `is_there` says whether a result has something of this name.
    pub fn read(
        refusal: &mut Refusal,
        value: &Value,
        is_there: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let empty = Map::new();
        let parts = value.as_object().unwrap_or(&empty);
        let known = ["highest", "lowest", "most", "rank", "ties"];
        for key in parts.keys().filter(|key| !known.contains(&key.as_str())) {
            refusal.add(
                &[key],
                format!("unknown key: there are {}", known.join(", ")),
            );
        }
        let rank = parts.get("rank").and_then(|rank| text(refusal, rank));
        if let Some(name) = rank.as_ref().filter(|name| is_there(name)) {
            refusal.add(
                &["rank"],
                format!("`{name}` stands under `by` or `results`, and is to be the rank"),
            );
        }
        let most = parts
            .get("most")
            .and_then(|most| count(refusal, &["most"], most));
        let ties = parts.get("ties").and_then(|it| ties(refusal, it));
        let (key, names) = match (parts.get("highest"), parts.get("lowest")) {
            (Some(names), None) => ("highest", names),
            (None, Some(names)) => ("lowest", names),
            _ => ("", &Value::Null),
        };
        let names = match names {
            Value::Null => &[],
            Value::Array(names) => names.as_slice(),
            name => std::slice::from_ref(name),
        };
        if names.is_empty() {
            refusal.add(
                &[],
                "it needs either `highest` or `lowest`, such as `only: { highest: orders, most: 3 }`",
            );
            return None;
        }
        let mut by = Vec::new();
        for name in names {
            match name.as_str() {
                Some(name) if is_there(name) => by.push(name.to_owned()),
                _ => refusal.add(&[key], format!("{name} is no name under `by` or `results`")),
            }
        }
        Some(Self {
            by,
            rank,
            highest: key == "highest",
            most: most.unwrap_or(1),
            ties: ties.unwrap_or(false),
        })
    }

    /// The places of the groups that are wanted, the first ones first, with their ranks.
    pub fn choose(&self, values: &[Values]) -> Vec<(usize, usize)> {
        let mut sorted: Vec<(usize, &Values)> = values.iter().enumerate().collect();
        // Equal ones stay in the order in which they came: that of the groups as text.
        sorted.sort_by(|one, other| self.compared(one.1, other.1));
        let is_equal = |one: &(usize, _), other: &(usize, _)| self.compared(one.1, other.1).is_eq();
        sorted.truncate(first(&sorted, self.most, self.ties, is_equal));
        let ranks = ranks(&sorted, self.ties, is_equal);
        let places = sorted.iter().map(|(place, _)| *place);
        places.zip(ranks).collect()
    }

    fn compared(&self, one: &Values, other: &Values) -> Ordering {
        let figure = |(one, other)| match (value(one), value(other)) {
            // What there is nothing of comes last, whatever is wanted.
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(one), Some(other)) if self.highest => compared(other, one),
            (Some(one), Some(other)) => compared(one, other),
        };
        let figures = one.iter().zip(other).map(figure);
        figures.fold(Ordering::Equal, Ordering::then)
    }
}

/// Of an array there is nothing to compare.
fn value<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    node.raw().filter(|json| *json != "null")
}
