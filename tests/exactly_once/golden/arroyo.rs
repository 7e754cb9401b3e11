//! The cases of arroyo.

use super::{Case, Job, lines};
use crate::harness::replaced;
use serde_json::Value;

/// All rides have one key.
const ALL: &str = "key: \"{subject[1]}\"\nevent-time: { payload: /timestamp }\nwatermark: ";
/// Of the results of the job before, as of the begin of their windows.
const NEXT: &str = "key: \"{subject[1]}\"\nevent-time: { payload: /start }";

/// Subjects and payloads of a file.
fn messages(input: &str) -> Vec<(String, Value)> {
    let messages = lines(&format!("arroyo/{input}")).into_iter();
    let message = |mut message: Value| {
        let counter = message["counter"].as_i64().unwrap_or_default();
        message["user"] = if counter % 10 == 0 { 0 } else { counter }.into();
        ("in.all".to_owned(), message)
    };
    messages.map(message).collect()
}

fn expected(name: &str) -> Vec<Value> {
    lines(&format!("arroyo/{name}.expected.jsonl"))
}

/// The same from a file of changes.
fn after(name: &str) -> Vec<Value> {
    let changes = expected(name).into_iter();
    changes.map(|change| change["after"].clone()).collect()
}

/// A case of one job.
fn holds(
    input: &str,
    more: &str,
    operators: &[(&str, &str)],
    expected: Vec<Value>,
    last_of: Option<&str>,
) {
    let jobs = &[Job { more, operators }];
    let case = Case {
        messages: messages(input),
        jobs,
        expected,
        last_of,
    };
    case.holds();
}

/// The same of one job with the plugin `aggregate`.
fn aggregates(input: &str, more: &str, window: &str, config: &str, rows: &str) {
    let operator = format!("window: {window}, config: {{ {config} }}");
    let operators = [("aggregate", &*operator)];
    holds(input, more, &operators, expected(rows), None);
}

#[test]
fn rides_of_each_hour_count_though_they_are_behind_the_watermark() {
    aggregates(
        "cars.jsonl",
        &format!("{ALL}{{ bound: 0s }}"),
        "{ tumbling: 1h }",
        "results: { count: count, timestamp: window-end }",
        "tumbling-exact-watermark",
    );
}

#[test]
fn rides_of_each_hour_by_their_kind() {
    let key = ("{subject[1]}", "{payload:/event_type}");
    aggregates(
        "cars.jsonl",
        &replaced(&format!("{ALL}{{ bound: 1s }}"), &[key]),
        "{ tumbling: 1h }",
        "by: { event_type: /event_type }, results: { count: count, hour: window-start }",
        "tumbling-keyed",
    );
}

#[test]
fn thirty_days_begin_with_the_epoch_and_not_with_a_month() {
    aggregates(
        "cars.jsonl",
        &format!("{ALL}{{ bound: 1m }}"),
        "{ tumbling: 30d }",
        "results: { count: count, month: window-start }",
        "tumbling-30-days",
    );
}

#[test]
fn windows_of_ten_seconds_begin_every_two_and_before_the_first_message() {
    aggregates(
        "impulse.jsonl",
        &format!("{ALL}{{ bound: 1s }}"),
        "{ hopping: { size: 10s, every: 2s } }",
        "results: { count: count, min: { min: /counter }, max: { max: /counter }, \
         start: window-start, end: window-end }",
        "hopping-10s-2s",
    );
}

#[test]
fn the_driver_with_most_rides_of_an_hour_each_minute() {
    let window = "window: { hopping: { size: 1h, every: 1m } }";
    let results = "results: { count: count, start: window-start, end: window-end }";
    let operator = format!(
        "{window}, config: {{ by: {{ driver_id: /driver_id }}, {results}, only: {{ highest: [count, driver_id] }} }}"
    );
    let mut expected = expected("hopping-1h-1min-top1");
    for row in &mut expected {
        // There is one of each window.
        row.as_object_mut().unwrap().remove("row_number");
    }
    holds(
        "cars.jsonl",
        &format!("{ALL}{{ bound: 1h }}"),
        &[("aggregate", &operator)],
        expected,
        None,
    );
}

#[test]
fn a_session_of_each_user() {
    let key = ("{subject[1]}", "{payload:/user}");
    aggregates(
        "impulse.jsonl",
        &replaced(&format!("{ALL}{{ bound: 1s }}"), &[key]),
        "{ session: { gap: 20s } }",
        "by: { user_id: /user }, results: { rows: count, start: window-start, end: window-end }",
        "session-keyed",
    );
}

#[test]
fn drivers_who_dropped_somebody_off_in_an_hour_and_those_who_picked_somebody_up_in_it() {
    let sides = "config: { query: \". + (if .event_type == \\\"dropoff\\\" then { off: .driver_id } \
                 else { up: .driver_id } end)\" }";
    let hours = "window: { tumbling: 1h }, config: { results: { hour: window-start, \
                 drivers: { distinct: /off }, pickups: { distinct: /up } } }";
    let both = "config: { when: payload.drivers > 0 && payload.pickups > 0 }";
    holds(
        "cars.jsonl",
        &format!("{ALL}{{ bound: 1m }}"),
        &[("jq", sides), ("aggregate", hours), ("filter", both)],
        expected("window-inner-join"),
        None,
    );
}

#[test]
fn how_many_drivers_had_more_than_two_pickups_in_each_hour() {
    let pickups = "config: { when: payload.event_type == 'pickup' }";
    let drivers = "window: { tumbling: 1h }, config: { by: { driver: /driver_id }, \
                   results: { pickups: count, start: window-start } }";
    let hours = "window: { tumbling: 1h }, config: { results: { drivers: count, start: window-start, end: window-end } }";
    let case = Case {
        messages: messages("cars.jsonl"),
        jobs: &[
            Job {
                more: &format!("{ALL}{{ bound: 1m }}"),
                operators: &[("filter", pickups), ("aggregate", drivers)],
            },
            Job {
                more: NEXT,
                operators: &[
                    ("filter", "config: { when: payload.pickups > 2 }"),
                    ("aggregate", hours),
                ],
            },
        ],
        expected: expected("window-of-window"),
        last_of: None,
    };
    case.holds();
}

#[test]
fn how_many_drivers_had_more_than_85_rides() {
    let drivers = "window: { tumbling: 365d }, config: { by: { driver: /driver_id }, \
                   results: { rides: count, start: window-start } }";
    let all = "window: { tumbling: 365d }, config: { results: { drivers: count } }";
    let case = Case {
        messages: messages("cars.jsonl"),
        jobs: &[
            Job {
                more: &format!("{ALL}{{ bound: 1m }}"),
                operators: &[("aggregate", drivers)],
            },
            Job {
                more: NEXT,
                operators: &[
                    ("filter", "config: { when: payload.rides > 85 }"),
                    ("aggregate", all),
                ],
            },
        ],
        expected: after("active-drivers-having"),
        last_of: None,
    };
    case.holds();
}

/// Results before the end are told apart by being replaced.
#[test]
fn figures_that_are_said_again_and_again_are_right_in_the_end() {
    let modulo = "config: { query: \". + { counter_mod: (.counter % 5) }\" }";
    let figures = "window: { tumbling: 365d, early: { count: 7 } }, config: { by: { counter_mod: /counter_mod }, \
                   results: { min: { min: /counter }, max: { max: /counter }, sum: { sum: /counter }, \
                   count: count, avg: { average: /counter } } }";
    holds(
        "impulse.jsonl",
        &format!("{ALL}{{ bound: 1s }}"),
        &[("jq", modulo), ("aggregate", figures)],
        after("updating-aggregates"),
        Some("counter_mod"),
    );
}

#[test]
fn every_figure_is_that_of_another_engine() {
    const FIGURES: [(&str, &str); 9] = [
        ("avg_driver", "average"),
        ("max_driver", "max"),
        ("min_driver", "min"),
        ("sum_driver", "sum"),
        ("stddev_driver", "stddev"),
        ("stddev_pop_driver", "population-stddev"),
        ("var_driver", "variance"),
        ("var_pop_driver", "population-variance"),
        ("approx_distinct_driver", "distinct-estimated"),
    ];
    let figures = FIGURES.map(|(name, figure)| format!("{name}: {{ {figure}: /driver_id }}"));
    let operator = format!(
        "window: {{ tumbling: 365d, early: {{ count: 500 }} }}, config: {{ by: {{ event_type: /event_type }}, \
         results: {{ cnt: count, {} }} }}",
        figures.join(", ")
    );
    let mut expected = after("every-aggregate");
    for row in &mut expected {
        let is_offered = |name: &str| FIGURES.iter().any(|(figure, _)| *figure == name);
        let row = row.as_object_mut().unwrap();
        row.retain(|name, _| is_offered(name) || name == "event_type" || name == "cnt");
    }
    holds(
        "cars.jsonl",
        &format!("{ALL}{{ bound: 1m }}"),
        &[("aggregate", &operator)],
        expected,
        Some("event_type"),
    );
}
