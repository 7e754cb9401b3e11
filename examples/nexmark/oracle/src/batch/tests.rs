//! The oracle against rows that others have computed: `tests/golden/nexmark`.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use crate::rows::{differences, of_text};
use crate::{QUERIES, golden};
use std::collections::BTreeMap;

#[test]
fn the_rows_of_each_query_are_those_that_others_have_computed() {
    let events = golden::events().unwrap();
    let mut compared = 0;
    for query in &QUERIES {
        let Some(text) = golden::rows(query) else {
            continue;
        };
        compared += 1;
        let count = |rows: Vec<Vec<String>>| {
            let mut counts = BTreeMap::<_, u64>::new();
            for row in rows {
                *counts.entry(row).or_default() += 1;
            }
            counts
        };
        let (found, expected) = ((query.rows)(&events), of_text(query, &text).unwrap());
        assert_eq!(count(found), count(expected), "{}", query.name);
        assert!(!differences(query, &(query.rows)(&events), &[]).is_empty());
    }
    assert_eq!(compared, 10);
}
