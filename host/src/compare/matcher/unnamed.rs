//! Compares outputs that name no input: results of timers, and all results if the order of inputs is unknown.
//!
//! It compares the outputs of one subject as a set, by their payloads. Headers often come from whichever
//! message was last, so they are ignored. Equal outputs are removed at once. When both sides are complete,
//! the remaining outputs are differences: pairs of one output from each side with the same [`Cause`], and then those
//! that only one side has.

use super::{Kind, Matcher, Print, Waiting, Why, differing};
use crate::compare::Outputs;
use crate::headers::{PANE_INDEX, WINDOW_END, WINDOW_START};
use crate::jsonl::Line;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What waits of both sides, by subject.
#[derive(Default)]
pub(super) struct Unnamed {
    subjects: BTreeMap<String, Pair>,
    /// How many wait, and how many of them are of the candidate.
    outputs: usize,
    pub(super) of_candidate: usize,
    /// Bytes that are kept for samples.
    bytes: usize,
    /// How many have come.
    come: u64,
    /// Something was left out, because there was no room: what waits and has no counterpart is no difference.
    overflowed: bool,
}

#[derive(Default)]
struct Pair {
    live: Entries,
    candidate: Entries,
}

type Entries = HashMap<Print, VecDeque<Entry>>;

struct Entry {
    output: Waiting,
    cause: Cause,
    /// Its place among all.
    place: u64,
    /// Whether the other side has it as well, if both do the same.
    is_certain: bool,
    /// How often it was asked for what is over since it came.
    rounds: u32,
}

/// What an output comes of. Outputs of different causes are not two forms of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Cause {
    /// A message: in which source, and where.
    Message(usize, u64),
    /// A timer. Its results do not say which one.
    Timer,
    /// A window, whichever message or timer has ended it: start, end and pane.
    Window([String; 3]),
}

impl Cause {
    fn of(line: &Line, message: Option<(usize, u64)>) -> Self {
        let window = match line {
            Line::Message(record) => {
                let names = [WINDOW_START, WINDOW_END, PANE_INDEX];
                let [start, end, pane] = names.map(|name| record.headers.get(name));
                start.zip(end).zip(pane)
            }
            _ => None,
        };
        match (window, message) {
            (Some(((start, end), pane)), _) => Self::Window([start, end, pane].map(str::to_owned)),
            (None, Some((source, sequence))) => Self::Message(source, sequence),
            (None, None) => Self::Timer,
        }
    }
}

/// A side that has an output which the other does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlySide {
    Live,
    Candidate,
}

impl Matcher {
    /// The candidate has an output of a timer.
    pub fn answered_unnamed(&mut self, line: Line) {
        self.take_unnamed(OnlySide::Candidate, line, None, true);
    }

    /// The candidate has answered a message, of this source and with this sequence, that names none of its outputs.
    pub fn answered_any(&mut self, message: (usize, u64), outputs: Outputs) {
        self.report.inputs += 1;
        for (_, line) in outputs {
            let line = line.without_sequence();
            self.take_unnamed(OnlySide::Candidate, line, Some(message), true);
        }
    }

    /// The live pipeline has one, of a message or of a timer. If that is not certain to be of what the candidate was
    /// given, its absence there is no difference.
    pub fn published_unnamed(
        &mut self,
        line: Line,
        message: Option<(usize, u64)>,
        is_certain: bool,
    ) {
        self.take_unnamed(OnlySide::Live, line, message, is_certain);
    }

    /// Whether such outputs of the candidate wait for those of the live pipeline.
    #[must_use]
    pub fn waits_unnamed(&self) -> bool {
        self.unnamed.of_candidate > 0
    }

    fn take_unnamed(
        &mut self,
        side: OnlySide,
        line: Line,
        message: Option<(usize, u64)>,
        is_certain: bool,
    ) {
        let subject = match &line {
            Line::Message(record) => record.subject.to_string(),
            _ => "dead letter".to_owned(),
        };
        let unnamed = &mut self.unnamed;
        let pair = unnamed.subjects.entry(subject.clone()).or_default();
        let (mine, other) = match side {
            OnlySide::Live => (&mut pair.live, &mut pair.candidate),
            OnlySide::Candidate => (&mut pair.candidate, &mut pair.live),
        };
        let print = Print {
            headers: 0,
            ..Print::of(&line)
        };
        if let Some(same) = other.get_mut(&print) {
            let taken = same.pop_front();
            unnamed.bytes -= taken.map_or(0, |entry| entry.output.size());
            if same.is_empty() {
                other.remove(&print);
            }
            unnamed.outputs -= 1;
            unnamed.of_candidate -= usize::from(side == OnlySide::Live);
            self.report.same += 1;
        } else if unnamed.outputs < self.room.outputs {
            unnamed.outputs += 1;
            unnamed.of_candidate += usize::from(side == OnlySide::Candidate);
            unnamed.come += 1;
            let cause = Cause::of(&line, message);
            let mut output = Waiting {
                print,
                ..Waiting::new(line)
            };
            if unnamed.bytes + output.size() > self.room.bytes {
                output.line = None;
            }
            unnamed.bytes += output.size();
            mine.entry(print).or_default().push_back(Entry {
                output,
                cause,
                place: unnamed.come,
                is_certain,
                rounds: 0,
            });
        } else {
            unnamed.overflowed = true;
            self.report.leave(Why::Beyond);
        }
        if pair.is_empty() {
            unnamed.subjects.remove(&subject);
        }
    }

    /// Both sides have all that there was when this was called before. What has waited for so many calls differs, unless
    /// `judge` has a reason why what only one side has does not.
    pub fn settle_unnamed(&mut self, rounds: u32, judge: impl Fn(OnlySide) -> Option<Why>) {
        let overflowed = self.unnamed.overflowed.then_some(Why::Beyond);
        let (report, samples) = (&mut self.report, self.samples);
        for (subject, pair) in &mut self.unnamed.subjects {
            let (mut live, candidate) = (
                due(&mut pair.live, rounds),
                due(&mut pair.candidate, rounds),
            );
            self.unnamed.outputs -= live.len() + candidate.len();
            self.unnamed.of_candidate -= candidate.len();
            let gone = live.iter().chain(&candidate);
            self.unnamed.bytes -= gone.map(|entry| entry.output.size()).sum::<usize>();
            // The others need no counterpart.
            live.sort_by_key(|entry| !entry.is_certain);
            for (live, candidate) in paired(live, candidate) {
                let (kinds, why) = match (&live, &candidate) {
                    (None, None) => continue,
                    (Some(live), Some(candidate)) => {
                        (differing(live.output.print, candidate.output.print), None)
                    }
                    (
                        Some(Entry {
                            is_certain: false, ..
                        }),
                        None,
                    ) => {
                        report.without_input += 1;
                        continue;
                    }
                    (Some(_), None) => (vec![Kind::Missing], judge(OnlySide::Live)),
                    (None, Some(_)) => (vec![Kind::Additional], judge(OnlySide::Candidate)),
                };
                match overflowed.or(why) {
                    Some(why) => report.leave(why),
                    None => {
                        let line = |entry: Option<Entry>| entry.and_then(|it| it.output.line);
                        let (live, candidate) = (line(live), line(candidate));
                        let sides = (live.as_deref(), candidate.as_deref());
                        report.differs_in(subject, kinds, sides, samples);
                    }
                }
            }
        }
        self.unnamed.subjects.retain(|_, pair| !pair.is_empty());
        self.unnamed.overflowed &= self.unnamed.outputs > 0;
    }
}

impl Pair {
    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.candidate.is_empty()
    }
}

/// The outputs of both sides in pairs of the same cause, and then those that are left, all in their order.
fn paired(live: Vec<Entry>, candidate: Vec<Entry>) -> Vec<(Option<Entry>, Option<Entry>)> {
    let mut places: HashMap<Cause, VecDeque<usize>> = HashMap::new();
    for (place, entry) in candidate.iter().enumerate() {
        places
            .entry(entry.cause.clone())
            .or_default()
            .push_back(place);
    }
    let mut candidate: Vec<Option<Entry>> = candidate.into_iter().map(Some).collect();
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for live in live {
        let same = places.get_mut(&live.cause).and_then(VecDeque::pop_front);
        let same = same.and_then(|place| candidate.get_mut(place)?.take());
        match same {
            Some(same) => pairs.push((Some(live), Some(same))),
            None => alone.push((Some(live), None)),
        }
    }
    pairs.extend(alone);
    pairs.extend(candidate.into_iter().flatten().map(|it| (None, Some(it))));
    pairs
}

/// Takes out what has waited for so many rounds, this one included, in the order in which it came.
fn due(entries: &mut Entries, rounds: u32) -> Vec<Entry> {
    let mut due = Vec::new();
    entries.retain(|_, alike| {
        alike.iter_mut().for_each(|entry| entry.rounds += 1);
        let count = alike
            .iter()
            .take_while(|entry| entry.rounds >= rounds)
            .count();
        due.extend(alike.drain(..count));
        !alike.is_empty()
    });
    due.sort_by_key(|entry| entry.place);
    due
}
