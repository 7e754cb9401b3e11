//! Compares results of windows by subject, window and pane.
//!
//! The grouping into batches decides whether a message or a timer emits a result, so message ids cannot
//! identify results. A version may also have other windows than the pipeline: then most results are on one
//! side only.

use crate::cli::differences::not_compared;
use crate::config::resolved::Pipeline;
use crate::headers::{Headers, PANE_INDEX, WINDOW_END, WINDOW_START};
use crate::jsonl::Line;
use crate::message::Message;
use crate::report::{count, escape};
use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Panes that are kept until the end.
const MOST: usize = 1_000_000;

/// A pane, in the order of the windows.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Place {
    #[serde(serialize_with = "as_text")]
    start: Timestamp,
    #[serde(serialize_with = "as_text")]
    end: Timestamp,
    subject: String,
    pane: String,
}

/// The payloads of its results, on both sides.
#[derive(Default)]
struct Pair {
    live: Vec<Bytes>,
    candidate: Vec<Bytes>,
}

/// What both sides have so far.
pub(super) struct Windows {
    /// Whether the pipeline has windows: otherwise the headers are those of others.
    has_windows: bool,
    /// Whether the replay goes on from a savepoint: the pipeline has windows that ended before.
    goes_on: bool,
    panes: BTreeMap<Place, Pair>,
    /// Results for which there was no room.
    beyond: u64,
}

/// Panes that are the same, and those that differ.
#[derive(Default, Serialize)]
pub(super) struct Found {
    same: u64,
    payload: u64,
    missing: u64,
    additional: u64,
    pub(super) not_compared: u64,
    #[serde(skip)]
    left: Left,
    samples: Vec<Sample>,
}

/// Panes that were not compared, by reason.
#[derive(Default)]
struct Left {
    /// The pipeline lacks them: its streams may have removed them, or it has ended no window as late.
    removed: u64,
    later: u64,
    /// The candidate lacks them: it has not come to the end of their windows, or began after it.
    unreached: u64,
    beyond: u64,
}

/// A pane that differs, with the payloads of both sides.
#[derive(Serialize)]
struct Sample {
    #[serde(flatten)]
    place: Place,
    differs: &'static str,
    live: Option<String>,
    candidate: Option<String>,
}

impl Windows {
    pub(super) fn of(pipeline: &Pipeline, goes_on: bool) -> Self {
        Self {
            has_windows: pipeline.has_windows(),
            goes_on,
            panes: BTreeMap::new(),
            beyond: 0,
        }
    }

    /// Takes an output of the version if it is the result of a window.
    pub(super) fn take_candidate(&mut self, line: &Line) -> bool {
        let Line::Message(record) = line else {
            return false;
        };
        let place = place(&record.subject, &record.headers);
        self.take(place, |pair| pair.candidate.push(record.payload.clone()))
    }

    /// The same for what the pipeline has published.
    pub(super) fn take_live(&mut self, message: &Message) -> bool {
        let place = place(&message.subject, &message.headers);
        self.take(place, |pair| pair.live.push(message.payload.clone()))
    }

    fn take(&mut self, place: Option<Place>, add: impl FnOnce(&mut Pair)) -> bool {
        let Some(place) = place.filter(|_| self.has_windows) else {
            return false;
        };
        match self.panes.len() < MOST || self.panes.contains_key(&place) {
            true => add(self.panes.entry(place).or_default()),
            false => self.beyond += 1,
        }
        true
    }

    /// Compares them; `most` samples of each kind are kept. What is behind the last window of a side is no difference:
    /// it has not come to that. The same for all that the pipeline lacks if its stream `forgets` results.
    pub(super) fn found(self, forgets: bool, most: usize) -> Found {
        let ends = |has: fn(&Pair) -> bool| {
            let panes = self.panes.iter().filter(move |(_, pair)| has(pair));
            panes.map(|(place, _)| place.end)
        };
        let last_live = ends(|pair| !pair.live.is_empty()).max();
        let of_candidate = || ends(|pair| !pair.candidate.is_empty());
        let (first, last) = (of_candidate().min(), of_candidate().max());
        let is_reached = |end| Some(end) <= last && !(self.goes_on && Some(end) < first);
        let mut found = Found::default();
        found.left.beyond = self.beyond;
        for (place, Pair { live, candidate }) in self.panes {
            let (count, differs) = match (live.is_empty(), candidate.is_empty()) {
                _ if live == candidate => {
                    found.same += 1;
                    continue;
                }
                (true, _) if forgets => (&mut found.left.removed, None),
                (true, _) if Some(place.end) > last_live => (&mut found.left.later, None),
                (_, true) if !is_reached(place.end) => (&mut found.left.unreached, None),
                (true, _) => (&mut found.additional, Some("additional")),
                (_, true) => (&mut found.missing, Some("missing")),
                _ => (&mut found.payload, Some("payload")),
            };
            *count += 1;
            if let Some(differs) = differs.filter(|_| *count <= most as u64) {
                found.samples.push(Sample {
                    place,
                    differs,
                    live: text(&live),
                    candidate: text(&candidate),
                });
            }
        }
        let Left {
            removed,
            later,
            unreached,
            beyond,
        } = found.left;
        found.not_compared = removed + later + unreached + beyond;
        found
    }
}

impl Found {
    pub(super) fn different(&self) -> u64 {
        self.payload + self.missing + self.additional
    }

    pub(super) fn compared(&self) -> u64 {
        self.same + self.different()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.compared() + self.not_compared == 0
    }
}

/// Of which pane a message is the result, if it is one of a window.
fn place(subject: &ByteString, headers: &Headers) -> Option<Place> {
    Some(Place {
        start: headers.get(WINDOW_START)?.parse().ok()?,
        end: headers.get(WINDOW_END)?.parse().ok()?,
        subject: subject.to_string(),
        pane: headers.get(PANE_INDEX)?.to_owned(),
    })
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn text(payloads: &[Bytes]) -> Option<String> {
    let payloads = payloads
        .iter()
        .map(|payload| String::from_utf8_lossy(payload));
    let payloads: Vec<_> = payloads.collect();
    (!payloads.is_empty()).then(|| payloads.join(" "))
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (same, different) = (self.same, self.different());
        writeln!(
            formatter,
            "\n{same} results of windows are the same, {different} differ"
        )?;
        for (count, what) in [
            (
                self.missing,
                "missing: the pipeline has published them, the candidate would not",
            ),
            (
                self.additional,
                "additional: the candidate would publish them, the pipeline has not",
            ),
            (self.payload, "with a different payload"),
        ] {
            if count > 0 {
                writeln!(formatter, "  {count} {what}")?;
            }
        }
        for (number, side, why, action) in [
            (
                self.left.removed,
                " that only the candidate has",
                "The streams no longer hold all results of the pipeline.",
                "Begin with a later message, or let the streams keep more.",
            ),
            (
                self.left.later,
                " that only the candidate has",
                "The pipeline has published no results of windows that end as late.",
                "Compare again when it has.",
            ),
            (
                self.left.unreached,
                " that only the pipeline has",
                "These windows end after the replayed messages, or before the savepoint.",
                "Replay more messages (`--from`, `--to`).",
            ),
            (
                self.left.beyond,
                "",
                "There were too many to keep.",
                "Replay fewer messages at once.",
            ),
        ] {
            let what = format!("{} of windows{side}", count(number, "result"));
            formatter.write_str(&not_compared(number, &what, why, action))?;
        }
        for sample in &self.samples {
            let Place {
                start,
                end,
                subject,
                pane,
            } = &sample.place;
            let side =
                |text: &Option<String>| escape::line(text.as_deref().unwrap_or("-")).into_owned();
            let (live, candidate) = (side(&sample.live), side(&sample.candidate));
            let (subject, differs) = (escape::line(subject), sample.differs);
            writeln!(
                formatter,
                "\n{subject}, window {start} to {end}, pane {pane}: {differs}"
            )?;
            writeln!(formatter, "  live       {live}\n  candidate  {candidate}")?;
        }
        Ok(())
    }
}
