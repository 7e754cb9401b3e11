//! The oracle: what the pipelines must make of the events.
//!
//! Each event counts once. Impressions and clicks stand in arrays that are joined by the number of the impression, and
//! a burst is a run of an array of the clicks of a user.

use crate::events::{Click, Event, Impression};
use example_streams::compare::Results;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOUR: u64 = 3_600_000;
/// As `after` of `pipeline.yaml`.
const COUNTS: u64 = HOUR / 2;
/// As the gap of `pipeline-bursts.yaml`.
const GAP: u64 = 10_000;
/// As the least number of clicks there.
const MANY: usize = 10;

/// What each stream must have on subjects that begin so. The pairs of a campaign are in no order: [`sorted`] has them
/// in one.
#[must_use]
pub fn expected(events: &[Event]) -> Vec<(&'static str, &'static str, Results)> {
    vec![
        ("JOINED", "joined.", joined(events)),
        ("BURSTS", "bursts.", bursts(events)),
        ("RATES", "rates.", rates(events)),
    ]
}

/// The last hour of each campaign, as the view `rates` has it.
#[must_use]
pub fn current(events: &[Event]) -> BTreeMap<String, Value> {
    let last = rates(events).into_iter().filter_map(|(subject, hours)| {
        let campaign = subject.strip_prefix("rates.")?.to_owned();
        Some((campaign, hours.last()?.clone()))
    });
    last.collect()
}

/// The results of `pipeline.yaml`, which has them in the order in which matches were found, in one that does not depend
/// on it.
#[must_use]
pub fn sorted(mut results: Results) -> Results {
    for (subject, of_subject) in &mut results {
        if subject.starts_with("joined.") {
            let id = |pair: &Value, side: &str| pair.pointer(side).map(Value::to_string);
            of_subject
                .sort_by_cached_key(|pair| (id(pair, "/impression/id"), id(pair, "/click/id")));
        }
    }
    results
}

/// An impression and the clicks on it that count.
type Pairs = Vec<(Impression, Vec<Click>)>;

fn pairs(events: &[Event]) -> Pairs {
    let mut clicks: BTreeMap<u64, Vec<Click>> = BTreeMap::new();
    for click in distinct_clicks(events) {
        clicks.entry(click.impression).or_default().push(click);
    }
    let impressions = events.iter().filter_map(|event| match event {
        Event::Impression(impression) => Some((impression.number, impression.clone())),
        Event::Click(_) => None,
    });
    // The second of two that are the same takes the place of the first.
    let impressions: BTreeMap<u64, Impression> = impressions.collect();
    let with_clicks = |impression: Impression| {
        let times = impression.time..=impression.time + COUNTS;
        let mut clicks = clicks.get(&impression.number).cloned().unwrap_or_default();
        clicks.retain(|click| times.contains(&click.time));
        (impression, clicks)
    };
    impressions.into_values().map(with_clicks).collect()
}

fn distinct_clicks(events: &[Event]) -> Vec<Click> {
    let clicks = events.iter().filter_map(|event| match event {
        Event::Impression(_) => None,
        Event::Click(click) => Some(click.clone()),
    });
    let mut clicks: Vec<Click> = clicks.collect();
    clicks.sort_by(|one, next| {
        (&one.user, one.time, &one.id).cmp(&(&next.user, next.time, &next.id))
    });
    clicks.dedup();
    clicks
}

/// What `pipeline.yaml` must find.
fn joined(events: &[Event]) -> Results {
    let mut results = Results::new();
    for (impression, clicks) in pairs(events) {
        let campaign = format!("joined.{}", impression.campaign_name());
        let of_campaign = results.entry(campaign).or_default();
        let mut add = |click: Value| {
            of_campaign.push(json!({ "impression": impression.json(), "click": click }))
        };
        match &*clicks {
            [] => add(Value::Null),
            clicks => clicks.iter().for_each(|click| add(click.json())),
        }
    }
    sorted(results)
}

/// What `pipeline-rates.yaml` must find.
fn rates(events: &[Event]) -> Results {
    let mut hours: BTreeMap<(String, u64), (usize, usize)> = BTreeMap::new();
    for (impression, clicks) in pairs(events) {
        let hour = (impression.campaign_name(), impression.time / HOUR);
        let (impressions, clicked) = hours.entry(hour).or_default();
        *impressions += 1;
        *clicked += clicks.len();
    }
    let mut results = Results::new();
    for ((campaign, hour), (impressions, clicks)) in hours {
        let begin = i64::try_from(hour * HOUR).ok();
        let begin = begin.and_then(|begin| Timestamp::from_millisecond(begin).ok());
        let of_campaign = results.entry(format!("rates.{campaign}")).or_default();
        of_campaign.push(json!({
            "campaign": campaign, "hour": begin.map(|begin| begin.to_string()),
            "impressions": impressions, "clicks": clicks,
            "rate": clicks as f64 / impressions as f64,
        }));
    }
    results
}

/// What `pipeline-bursts.yaml` must find.
fn bursts(events: &[Event]) -> Results {
    let mut results = Results::new();
    let follows = |one: &Click, next: &Click| one.user == next.user && next.time - one.time < GAP;
    for burst in distinct_clicks(events).chunk_by(follows) {
        let (Some(first), Some(last)) = (burst.first(), burst.last()) else {
            continue;
        };
        if burst.len() >= MANY {
            let of_user = results.entry(format!("bursts.{}", first.user)).or_default();
            of_user.push(json!({
                "user": first.user, "clicks": burst.len(), "from": first.time, "to": last.time,
            }));
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::events;
    use example_streams::compare::count;

    #[test]
    fn each_impression_is_in_a_pair_and_in_an_hour() {
        let all = events(4, 8000);
        let pairs = joined(&all);
        let is_alone = |pair: &&Value| pair.get("click").is_some_and(Value::is_null);
        let alone = pairs.values().flatten().filter(is_alone).count();
        assert!((4000..7500).contains(&alone), "{alone}");
        assert!(count(&pairs) > 8000);
        let rates = rates(&all);
        let hours = rates.values().flatten();
        let impressions = hours.filter_map(|hour| hour.get("impressions")?.as_u64());
        assert_eq!(impressions.sum::<u64>(), 8000);
        // Three hours of five campaigns have begun.
        assert_eq!((count(&rates), current(&all).len()), (15, 5));
    }

    #[test]
    fn planted_bursts_are_found_where_they_are_long_enough() {
        let all = events(4, 30_000);
        let found = count(&bursts(&all));
        // Of 100 three quarters have ten clicks or more.
        assert!((60..90).contains(&found), "{found}");
        let robot = |click: &Click| click.user.starts_with('r');
        assert!(
            distinct_clicks(&all)
                .iter()
                .filter(|click| robot(click))
                .count()
                > 1000
        );
    }
}
