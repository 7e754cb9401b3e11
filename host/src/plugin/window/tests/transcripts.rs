//! Beam's transcripts of panes: what came, how far the watermark was, and what was emitted.
//!
//! Beam counts at the end of an input; here a pane comes with exactly the message that makes it due, and there is one
//! for each late message. Where that makes a difference, the messages of the panes are compared, not the panes.

use super::job::{Job, Seen, windows};
use crate::time::windows::{Early, Kind, Panes, Timing, Windows};
use serde::Deserialize;
use std::collections::BTreeMap;

const TRANSCRIPTS: &str = include_str!("../../../../../tests/golden/panes/transcripts.yaml");

#[derive(Deserialize)]
struct Transcript {
    name: String,
    window_fn: String,
    trigger_fn: String,
    #[serde(default)]
    accumulation_mode: String,
    transcript: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Input(Vec<i64>),
    Watermark(i64),
    Expect(Vec<Expected>),
}

#[derive(Deserialize)]
struct Expected {
    /// Both ends belong to it.
    window: [i64; 2],
    values: Vec<u64>,
    index: Option<u32>,
    #[serde(default)]
    early: bool,
    late: Option<bool>,
}

impl Transcript {
    fn rules(&self) -> Windows {
        let kind = match &*self.window_fn {
            "FixedWindows(10)" => Kind::Tumbling { size: 10 },
            "Sessions(10)" => Kind::Session { gap: 10 },
            other => panic!("{other}"),
        };
        Windows {
            early: Early {
                count: self.trigger_fn.contains("early=AfterCount(2)").then_some(2),
                interval: None,
            },
            // Beam keeps a window forever by default.
            allowed_lateness: 1_000,
            panes: match &*self.accumulation_mode {
                "discarding" => Panes::Discarding,
                _ => Panes::Accumulating,
            },
            ..windows(kind)
        }
    }
}

/// What a window has had in the end.
fn total(panes: Panes, emitted: &[(i64, Vec<u64>)]) -> BTreeMap<i64, Vec<u64>> {
    let mut total: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for (start, values) in emitted {
        let all = total.entry(*start).or_default();
        if panes == Panes::Accumulating {
            all.clear();
        }
        all.extend(values);
        all.sort();
    }
    total
}

fn is(seen: &Seen, expected: &Expected) -> bool {
    let [start, last] = expected.window;
    let timing = match expected {
        Expected { early: true, .. } => Timing::Early,
        Expected {
            late: Some(true), ..
        } => Timing::Late,
        _ => Timing::OnTime,
    };
    (seen.window.start, seen.window.end) == (start, last + 1)
        && seen.values == expected.values
        && seen.timing == timing
        && expected.index.is_none_or(|index| index == seen.index)
}

#[test]
fn panes_are_those_of_beams_transcripts() {
    let mut exact = Vec::new();
    for text in TRANSCRIPTS.split("\n---\n") {
        let transcript: Transcript = serde_saphyr::from_str(text).unwrap();
        let rules = transcript.rules();
        let mut job = Job::new(rules.clone(), 1_000);
        let (mut expected, mut inputs) = (Vec::new(), Vec::new());
        for step in &transcript.transcript {
            match step {
                Step::Input(times) => {
                    job.times(times);
                    inputs.push(times);
                }
                Step::Watermark(mark) => job.watermark(*mark),
                Step::Expect(panes) => expected.extend(panes),
            }
        }
        // Windows that had several messages at once, which Beam counts together.
        let is_counted = rules.early.count.is_some();
        let is_counted = |pane: &&&Expected| {
            let [start, last] = pane.window;
            let of = |times: &&Vec<i64>| {
                times
                    .iter()
                    .filter(|time| (start..=last).contains(*time))
                    .count()
            };
            is_counted && inputs.iter().any(|times| of(times) > 1)
        };
        for pane in expected.iter().filter(|pane| !is_counted(pane)) {
            assert!(
                job.panes.iter().any(|seen| is(seen, pane)),
                "{}: {:?} of {:?}",
                transcript.name,
                pane.values,
                job.panes
            );
            exact.push(transcript.name.clone());
        }
        let seen = job.panes.iter();
        let seen: Vec<_> = seen
            .map(|pane| (pane.window.start, pane.values.clone()))
            .collect();
        let expected = expected.iter();
        let expected: Vec<_> = expected
            .map(|pane| (pane.window[0], pane.values.clone()))
            .collect();
        let name = &transcript.name;
        assert_eq!(
            total(rules.panes, &seen),
            total(rules.panes, &expected),
            "{name}"
        );
    }
    exact.dedup();
    let most = [
        "fixed_default",
        "fixed_default_late_data",
        "discarding_early_fixed",
        "known_late_data_watermark",
    ];
    assert_eq!(exact, most);
}
