//! The comparison of results in JSON with those that are expected: by subject, each once and in order.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Differences that are shown of a stream.
const SHOWN: usize = 10;

/// Results of each subject, in the order of their stream.
pub type Results = BTreeMap<String, Vec<Value>>;

/// How many results there are.
#[must_use]
pub fn count(results: &Results) -> u64 {
    let each = results.values().map(|of_subject| of_subject.len() as u64);
    each.sum()
}

/// What was published on subjects that begin with `prefix`. What is no JSON stands there as text.
#[must_use]
pub fn results(published: &[(String, Vec<u8>)], prefix: &str) -> Results {
    let mut results = Results::new();
    for (subject, payload) in published {
        if subject.starts_with(prefix) {
            let value = serde_json::from_slice(payload);
            let text = || Value::from(String::from_utf8_lossy(payload));
            let of_subject = results.entry(subject.clone()).or_default();
            of_subject.push(value.unwrap_or_else(|_| text()));
        }
    }
    results
}

/// The streams of these results, which stand between the stream and its prefix, and how many each has.
#[must_use]
pub fn counts(expected: &[(&str, &str, Results)]) -> Vec<(String, u64)> {
    let expected = expected.iter();
    let counts = expected.map(|(stream, _, results)| ((*stream).to_owned(), count(results)));
    counts.collect()
}

/// Prints how many results there are of a prefix, and how they differ. True if they do not.
#[must_use]
pub fn show(prefix: &str, expected: &Results, found: &Results) -> bool {
    let counts = (count(expected), count(found));
    shown(prefix, counts, &differences(expected, found))
}

/// Prints how many results were expected and found of a prefix, and differences. True if there are none.
#[must_use]
pub fn shown(prefix: &str, (expected, found): (u64, u64), differences: &[String]) -> bool {
    let name = format!("{prefix}>");
    println!("{name:<18} expected {expected:>7}, found {found:>7}");
    for difference in differences.iter().take(SHOWN) {
        println!("- {difference}");
    }
    differences.is_empty()
}

/// One sentence for each subject whose results differ, with the first that does.
#[must_use]
pub fn differences(expected: &Results, found: &Results) -> Vec<String> {
    let subjects: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let difference = |subject: &String| {
        let of = |results: &Results| results.get(subject).cloned().unwrap_or_default();
        let (expected, found) = (of(expected), of(found));
        let same = expected
            .iter()
            .zip(&found)
            .take_while(|(one, other)| is_same(one, other));
        let at = same.count();
        let is_all = at == expected.len() && at == found.len();
        let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        (!is_all).then(|| {
            format!(
                "`{subject}` has {} results, expected {}; the first that differs is number {}: {}, expected {}",
                found.len(),
                expected.len(),
                at + 1,
                shown(found.get(at)),
                shown(expected.get(at)),
            )
        })
    };
    subjects.into_iter().filter_map(difference).collect()
}

/// Whether two values are the same, where a fraction may differ in the last of its digits.
#[must_use]
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let is_there =
                |(name, value)| other.get(name).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(is_there)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Number(left), Value::Number(right)) if left.is_f64() || right.is_f64() => {
            let of = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
            let (left, right) = (of(left), of(right));
            (left - right).abs() <= left.abs() * 1e-14
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_that_is_missing_repeated_out_of_order_or_other_is_a_difference() {
        let value = |number: u64| json!({ "n": number, "third": number as f64 / 3.0 });
        let of = |numbers: &[u64]| {
            let published = numbers
                .iter()
                .map(|number| ("a.b".to_owned(), value(*number).to_string().into_bytes()));
            results(&published.collect::<Vec<_>>(), "a.")
        };
        let expected = of(&[1, 2]);
        assert_eq!(count(&expected), 2);
        assert_eq!(differences(&expected, &of(&[1, 2])), Vec::<String>::new());
        for other in [&[1][..], &[1, 2, 2], &[2, 1], &[1, 3], &[]] {
            assert_eq!(differences(&expected, &of(other)).len(), 1, "{other:?}");
        }
        assert_eq!(differences(&Results::new(), &expected).len(), 1);
    }

    #[test]
    fn whole_numbers_are_compared_exactly_and_fractions_to_their_last_digit() {
        assert!(is_same(&json!([0.1 + 0.2]), &json!([0.3])));
        assert!(is_same(&json!(2), &json!(2.0)));
        assert!(!is_same(
            &json!(9_007_199_254_740_992_u64),
            &json!(9_007_199_254_740_993_u64)
        ));
        assert!(!is_same(&json!(0.3), &json!(0.300_000_1)));
        assert!(!is_same(&json!({ "a": 1 }), &json!({ "b": 1 })));
        assert!(!is_same(&json!({ "a": 1 }), &json!({ "a": 1, "b": 1 })));
    }
}
