//! The comparison of the alerts that were published with those of the oracle: each once, and those of a key in
//! the order of its payments.

use crate::batch::Alerts;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is compared of an alert.
#[derive(Deserialize)]
struct Published {
    rule: String,
    payment: u64,
}

/// How many alerts there are.
#[must_use]
pub fn count(alerts: &Alerts) -> u64 {
    alerts.values().map(|of_key| of_key.len() as u64).sum()
}

/// One sentence for each key whose alerts differ. `published` has subject and payload of each, in the order of
/// the stream; a subject is `prefix` and the key.
#[must_use]
pub fn differences(
    expected: &Alerts,
    prefix: &str,
    published: &[(String, Vec<u8>)],
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut found: BTreeMap<&str, Vec<(u64, String)>> = BTreeMap::new();
    for (subject, payload) in published {
        let alert = serde_json::from_slice::<Published>(payload);
        match (subject.strip_prefix(prefix), alert) {
            (Some(key), Ok(alert)) => {
                let of_key = found.entry(key).or_default();
                of_key.push((alert.payment, alert.rule));
            }
            (_, Ok(_)) => differences.push(format!("an alert was published on `{subject}`")),
            (_, Err(error)) => {
                differences.push(format!("unreadable alert on `{subject}`: {error}"))
            }
        }
    }
    let mut keys: Vec<&str> = expected.keys().map(String::as_str).collect();
    keys.extend(found.keys());
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let wanted = expected.get(key).into_iter().flatten();
        let wanted: Vec<_> = wanted
            .map(|(number, rule)| (*number, (*rule).to_owned()))
            .collect();
        let found = found.remove(key).unwrap_or_default();
        if found != wanted {
            differences.push(format!("`{key}` has {found:?}, expected {wanted:?}"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_is_missing_repeated_or_out_of_order_is_a_difference() {
        let expected = Alerts::from([("c-1".to_owned(), vec![(3, "travel"), (7, "device")])]);
        let alert = |rule: &str, payment: u64| {
            let payload = format!(r#"{{"rule":"{rule}","payment":{payment},"text":"x"}}"#);
            ("fraud.c-1".to_owned(), payload.into_bytes())
        };
        let (first, second) = (alert("travel", 3), alert("device", 7));
        let differ = |published: &[_]| differences(&expected, "fraud.", published).len();
        assert_eq!(differ(&[first.clone(), second.clone()]), 0);
        assert_eq!(differ(&[second.clone(), first.clone()]), 1);
        assert_eq!(differ(&[first.clone(), first.clone(), second]), 1);
        assert_eq!(differ(&[first]), 1);
        assert_eq!(differ(&[alert("travel", 4)]), 1);
        assert_eq!(count(&expected), 2);
    }
}
