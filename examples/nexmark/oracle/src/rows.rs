//! Rows of text, which results, the batch computation and the files of others are turned into to be compared.

use crate::{Query, Time};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of a query, as text.
pub type Row = Vec<String>;

/// How a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A whole number.
    Whole,
    /// A number with so many digits behind the point.
    Decimals(usize),
    Time,
}

impl Kind {
    /// The one way of writing what this text says.
    fn normal(self, text: &str) -> Option<String> {
        match self {
            Self::Text => Some(text.to_owned()),
            Self::Whole => text.parse::<u64>().ok().map(|whole| whole.to_string()),
            Self::Decimals(digits) => text.parse().ok().map(|number| decimals(number, digits)),
            Self::Time => Time::read(text).map(|time| time.to_string()),
        }
    }
}

pub(crate) fn decimals(number: f64, digits: usize) -> String {
    format!("{number:.digits$}")
}

/// The row of a result.
///
/// # Errors
/// What is wrong with the payload.
pub fn of_result(query: &Query, payload: &[u8]) -> Result<Row, String> {
    let result: Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let column = |(name, kind): &(&str, Kind)| {
        let text = match result.get(*name) {
            Some(Value::String(text)) => kind.normal(text),
            Some(Value::Number(number)) => kind.normal(&number.to_string()),
            _ => None,
        };
        text.ok_or_else(|| format!("no `{name}` in {result}"))
    };
    query.columns.iter().chain(query.more).map(column).collect()
}

/// The rows of a file in which columns are separated by tabs or by blanks.
///
/// # Errors
/// The line that has other columns.
pub fn of_text(query: &Query, text: &str) -> Result<Vec<Row>, String> {
    let row = |line: &str| {
        let mut words = match line.contains('\t') {
            true => line.split('\t').collect::<Vec<_>>(),
            false => line.split_whitespace().collect(),
        }
        .into_iter()
        .peekable();
        let mut column = |kind: Kind| {
            let word = words.next()?;
            // Between blanks, a time is two words.
            let time = words.next_if(|next| kind == Kind::Time && next.contains(':'));
            kind.normal(&time.map_or(word.to_owned(), |time| format!("{word} {time}")))
        };
        let row: Option<Row> = query
            .columns
            .iter()
            .map(|(_, kind)| column(*kind))
            .collect();
        row.filter(|_| words.next().is_none())
            .ok_or_else(|| format!("cannot read `{line}`"))
    };
    text.lines().map(row).collect()
}

/// One sentence for each row that differs. Where the expected rows are those of others, which print fewer columns, these
/// are compared. `published` has subject and payload of each result, in the order of the
/// stream. Where later results take the place of earlier ones, the last of each are compared, and none may be there
/// twice.
#[must_use]
pub fn differences(
    query: &Query,
    expected: &[Row],
    published: &[(String, Vec<u8>)],
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let columns = expected.first().map_or(usize::MAX, Vec::len);
    for (subject, payload) in published {
        match of_result(query, payload) {
            Ok(mut row) => {
                row.truncate(columns);
                found.push(row);
            }
            Err(error) => differences.push(format!("unreadable result on `{subject}`: {error}")),
        }
        if !query.key.is_empty() && !seen.insert(payload) {
            let text = String::from_utf8_lossy(payload);
            differences.push(format!("there twice on `{subject}`: {text}"));
        }
    }
    if !query.key.is_empty() {
        let key = |row: &Row| -> Vec<Option<String>> {
            let columns = query.key.iter();
            columns.map(|column| row.get(*column).cloned()).collect()
        };
        let last: BTreeMap<_, Row> = found.into_iter().map(|row| (key(&row), row)).collect();
        found = last.into_values().collect();
    }
    let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
    for row in expected {
        *counts.entry(row).or_default() += 1;
    }
    for row in &found {
        *counts.entry(row).or_default() -= 1;
    }
    for (row, count) in counts {
        match count {
            0 => {}
            1.. => differences.push(format!("missing {count} times: {row:?}")),
            _ => differences.push(format!("not expected {} times: {row:?}", -count)),
        }
    }
    differences
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
mod tests {
    use super::*;
    use crate::QUERIES;

    fn query(name: &str) -> &'static Query {
        QUERIES.iter().find(|query| query.name == name).unwrap()
    }

    fn result(payload: &str) -> (String, Vec<u8>) {
        ("nexmark.a".to_owned(), payload.as_bytes().to_vec())
    }

    #[test]
    fn a_row_that_is_missing_or_there_too_often_is_a_difference() {
        let q2 = query("q2");
        let (one, two) = (
            result(r#"{"auction":1007,"price":5}"#),
            result(r#"{"price":6,"auction":1007}"#),
        );
        let row = |price: &str| vec!["1007".to_owned(), price.to_owned()];
        let expected = [row("5"), row("6"), row("5")];
        let differ = |published: &[_]| differences(q2, &expected, published).len();
        assert_eq!(differ(&[two.clone(), one.clone(), one.clone()]), 0);
        assert_eq!(differ(&[two.clone(), one.clone()]), 1);
        assert_eq!(differ(&[two.clone(), two, one.clone()]), 2);
        assert_eq!(differ(&[one.clone(), one, result("{}")]), 2);
    }

    #[test]
    fn of_results_that_are_replaced_the_last_counts_and_none_may_come_twice() {
        let q4 = query("q4");
        let first = result(r#"{"category":10,"average":5.0,"auctions":1}"#);
        let last = result(r#"{"category":10,"average":7.126,"auctions":2}"#);
        let expected = of_text(q4, "10\t7.1262").unwrap();
        let differ = |published: &[_]| differences(q4, &expected, published).len();
        assert_eq!(differ(&[first.clone(), last.clone()]), 0);
        assert_eq!(differ(&[last.clone(), first.clone()]), 2);
        assert_eq!(differ(&[first, last.clone(), last]), 1);
    }

    #[test]
    fn columns_are_read_between_tabs_and_between_blanks() {
        let q0 = query("q0");
        let row = ["1", "2", "3", "2015-07-15T00:00:00.010Z"].map(str::to_owned);
        for text in [
            "1\t2\t3\t2015-07-15 00:00:00.010",
            "1 2  3 2015-07-15 00:00:00.01",
        ] {
            assert_eq!(of_text(q0, text), Ok(vec![row.to_vec()]));
        }
        assert!(of_text(q0, "1 2 3").is_err());
        assert!(of_text(q0, "1 2 3 2015-07-15 00:00:01 4").is_err());
    }
}
