//! The progress of key groups that come from several partitions. Pure.
//!
//! A savepoint contains the positions of the inputs for each *span* of key groups. A partition of a restored
//! job begins at the lowest position of its spans, and skips messages of groups that are further
//! (`Progress::ahead`) until all groups are level.

use super::log::{Ahead, Progress};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// Neighbouring key groups that have come equally far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub groups: Range<u16>,
    /// None of them has groups ahead. A missing input was never read.
    pub inputs: Vec<Progress>,
    /// Where the checkpoint of this progress stands in the job's stream: what was committed up to there is in the
    /// state. 0 if there is none, or a savepoint does not say it.
    #[serde(default)]
    pub committed: u64,
}

/// What these groups of a partition have come to.
#[must_use]
pub fn spans(groups: &Range<u16>, inputs: &[Progress]) -> Vec<Span> {
    let ahead = inputs.iter().flat_map(|input| &input.ahead);
    let mut bounds: Vec<u16> = ahead
        .flat_map(|ahead| [ahead.groups.start, ahead.groups.end])
        .filter(|bound| groups.start < *bound && *bound < groups.end)
        .chain([groups.start, groups.end])
        .collect();
    bounds.sort_unstable();
    bounds.dedup();
    let ends = bounds.iter().skip(1);
    let spans = bounds.iter().zip(ends).map(|(start, end)| {
        let of = |input: &Progress| {
            let ahead = input.ahead.iter();
            let ahead = ahead.filter(|ahead| ahead.groups.contains(start));
            let furthest = ahead.map(|ahead| ahead.position).max();
            Progress {
                position: input.position.max(furthest.unwrap_or_default()),
                ahead: Vec::new(),
                ..input.clone()
            }
        };
        Span {
            groups: *start..*end,
            inputs: inputs.iter().map(of).collect(),
            committed: 0,
        }
    });
    spans.collect()
}

/// Where a partition of these groups goes on.
#[must_use]
pub fn merged(groups: &Range<u16>, spans: &[Span]) -> Vec<Progress> {
    let within = |span: &Span| {
        let (start, end) = (span.groups.start, span.groups.end);
        let shared = start.max(groups.start)..end.min(groups.end);
        (!shared.is_empty()).then_some((shared, span.inputs.clone()))
    };
    let parts: Vec<_> = spans.iter().filter_map(within).collect();
    let mut sources: Vec<Arc<str>> = Vec::new();
    for input in parts.iter().flat_map(|(_, inputs)| inputs) {
        if !sources.contains(&input.source) {
            sources.push(Arc::clone(&input.source));
        }
    }
    let of = |source: Arc<str>| {
        let input = |inputs: &[Progress]| inputs.iter().find(|it| it.source == source).cloned();
        let all = parts.iter().map(|(groups, inputs)| (groups, input(inputs)));
        let position = |input: &Option<Progress>| input.as_ref().map_or(0, |input| input.position);
        let position_of = |(_, input): &(_, Option<Progress>)| position(input);
        let lowest = all.clone().map(|part| position_of(&part)).min();
        let lowest = lowest.unwrap_or_default();
        let mut ahead: Vec<Ahead> = Vec::new();
        for (groups, input) in all.clone() {
            let position = position(&input);
            match ahead.last_mut() {
                _ if position == lowest => {}
                Some(last) if last.position == position && last.groups.end == groups.start => {
                    last.groups.end = groups.end;
                }
                _ => ahead.push(Ahead {
                    groups: groups.clone(),
                    position,
                }),
            }
        }
        // Timers of those that are behind must not fire before their messages have come. Who has read as far
        // as any other and has no watermark had no message of its own.
        let furthest = all.clone().map(|part| position_of(&part)).max();
        let marks = all.map(|part| (position_of(&part), part.1.and_then(|input| input.watermark)));
        let counts =
            |(position, mark): &(u64, Option<i64>)| mark.is_some() || Some(*position) < furthest;
        let marks = marks.filter(counts).map(|(_, mark)| mark);
        Progress {
            // Nothing is less than any time.
            watermark: marks.min().flatten(),
            ahead,
            ..Progress::at(source, lowest)
        }
    };
    sources.into_iter().map(of).collect()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn span(groups: Range<u16>, position: u64, watermark: Option<i64>) -> Span {
        let inputs = vec![Progress {
            watermark,
            ..Progress::at("IN@1", position)
        }];
        Span {
            groups,
            inputs,
            committed: 0,
        }
    }

    fn ahead(groups: Range<u16>, position: u64) -> Ahead {
        Ahead { groups, position }
    }

    #[test]
    fn a_partition_goes_on_at_the_lowest_position_and_knows_what_is_further() {
        let spans = [
            span(0..4, 7, Some(70)),
            span(4..6, 9, Some(90)),
            span(6..8, 9, None),
            span(8..12, 5, Some(50)),
        ];
        let inputs = merged(&(2..10), &spans);
        let expected = Progress {
            watermark: Some(50),
            ahead: vec![ahead(2..4, 7), ahead(4..8, 9)],
            ..Progress::at("IN@1", 5)
        };
        assert_eq!(inputs, [expected]);
        assert_eq!(merged(&(4..8), &spans), span(4..8, 9, Some(90)).inputs);
    }

    #[test]
    fn groups_that_have_read_less_and_know_no_time_hold_event_time_back() {
        let unread = Span {
            groups: 4..8,
            inputs: Vec::new(),
            committed: 0,
        };
        for behind in [span(4..8, 3, None), unread] {
            let inputs = merged(&(0..8), &[span(0..4, 9, Some(90)), behind]);
            assert_eq!(inputs[0].watermark, None);
        }
    }

    #[test]
    fn groups_that_are_ahead_stay_so_in_the_next_savepoint() {
        let spans_of = [
            span(0..3, 7, Some(1)),
            span(3..5, 9, Some(1)),
            span(5..6, 4, Some(1)),
        ];
        let inputs = merged(&(0..6), &spans_of);
        assert_eq!(spans(&(0..6), &inputs), spans_of);
        let mut further = inputs;
        further.iter_mut().for_each(|input| input.advance(8));
        let expected = [
            span(0..3, 8, Some(1)),
            span(3..5, 9, Some(1)),
            span(5..6, 8, Some(1)),
        ];
        assert_eq!(spans(&(0..6), &further), expected);
    }

    #[test]
    fn an_input_that_a_span_has_not_read_is_read_from_its_beginning() {
        let other = Span {
            groups: 1..2,
            inputs: vec![Progress::at("IN@2", 3)],
            committed: 0,
        };
        let inputs = merged(&(0..2), &[span(0..1, 7, None), other]);
        assert_eq!(inputs.len(), 2);
        assert_eq!(inputs[0].ahead, [ahead(0..1, 7)]);
        assert_eq!(
            (inputs[1].position, &*inputs[1].ahead),
            (0, &[ahead(1..2, 3)][..])
        );
    }
}
