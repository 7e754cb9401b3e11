//! The progress of event time in the inputs of a partition. Pure; `time/watermark.rs` moves one watermark.

use super::log::{Input, Progress};
use crate::time::watermark::{Rules, Watermark};

/// The watermark of each input; none before its first message.
#[derive(Clone, Debug, Default)]
pub(super) struct Watermarks(Vec<Mark>);

#[derive(Clone, Copy, Debug)]
struct Mark {
    watermark: Watermark,
    /// Whether the input takes part in event time. A table does not, nor an input that is gone because its
    /// stream was created again.
    counts: bool,
}

impl Watermarks {
    /// As a checkpoint has them. An input in the place of one that is gone begins where that was.
    pub(super) fn of(inputs: &[Progress], counts: impl Fn(&str) -> bool) -> Self {
        let marks = inputs.iter().map(|input| {
            let counts_now = counts(&input.source);
            let is_before = |it: &&Progress| it.stream() == input.stream() && !counts(&it.source);
            let before = inputs.iter().filter(is_before);
            let gone = before.filter_map(|it| it.watermark).max();
            let watermark = input.watermark.or(gone.filter(|_| counts_now));
            Mark {
                watermark: Watermark::at(watermark),
                counts: counts_now,
            }
        });
        Self(marks.collect())
    }

    /// Advances the watermarks by processed messages, and returns how many are too far ahead and do not
    /// count. `now` is the clock of the partition.
    pub(super) fn pass(&mut self, rules: &Rules, batch: &[Input], now: u64) -> u64 {
        let mut ahead = 0;
        for input in batch.iter().filter(|input| input.timed) {
            let mark = self.0.get_mut(input.input);
            if let Some(mark) = mark.filter(|mark| mark.counts) {
                let time = signed(input.message.event_time);
                ahead += u64::from(!mark.watermark.pass(rules, time, signed(now)));
            }
        }
        ahead
    }

    /// The watermark of the partition before each message of a batch, as if each message were a batch; none
    /// before the first watermark.
    pub(super) fn before(&self, rules: &Rules, batch: &[Input], now: u64) -> Vec<Option<i64>> {
        let mut marks = self.clone();
        let before = batch.iter().map(|input| {
            let before = marks.least_mark();
            marks.pass(rules, std::slice::from_ref(input), now);
            before
        });
        before.collect()
    }

    /// The inputs whose watermark has not come to this time.
    pub(super) fn behind(&self, time: u64) -> impl Iterator<Item = usize> {
        let is_behind = move |mark: &Mark| mark.counts && mark.watermark.get() < Some(signed(time));
        let marks = self.0.iter().enumerate();
        marks.filter_map(move |(input, mark)| is_behind(mark).then_some(input))
    }

    /// No input behind this time has anything pending for the partition.
    pub(super) fn idle(&mut self, rules: &Rules, time: u64, now: u64) {
        let idle: Vec<usize> = self.behind(time).collect();
        for input in idle {
            if let Some(mark) = self.0.get_mut(input) {
                mark.watermark.idle(rules, signed(now));
            }
        }
    }

    /// That of the partition: the least of its inputs. 0 as long as one of them has had no message, because what it
    /// has may be from any time; and before 1970.
    pub(super) fn least(&self) -> u64 {
        u64::try_from(self.least_mark().unwrap_or_default()).unwrap_or_default()
    }

    fn least_mark(&self) -> Option<i64> {
        let counted = self.0.iter().filter(|mark| mark.counts);
        let marks = counted.map(|mark| mark.watermark.get());
        marks.min().flatten()
    }

    /// As a checkpoint has them.
    pub(super) fn marks(&self) -> Vec<Option<i64>> {
        self.0.iter().map(|mark| mark.watermark.get()).collect()
    }
}

/// What event times and clocks have come to is nanoseconds that a signed integer can count.
fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::log::{Checkpoint, Fence, Held};
    use crate::job::partition::claim;
    use crate::message::Message;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn input(input: usize, event_time: u64, timed: bool) -> Input {
        let empty = Bytes::new;
        Input {
            input,
            message: Message::received(empty(), &empty(), empty(), 1, event_time),
            stored: 0,
            timed,
        }
    }

    fn at(source: &str, watermark: Option<i64>) -> Progress {
        let progress = Progress::at(source, 0);
        Progress {
            watermark,
            ..progress
        }
    }

    #[test]
    fn a_partition_is_where_the_last_of_its_inputs_is_and_one_without_a_row_holds_it_back() {
        let rules = Rules::default();
        let mut marks = Watermarks::of(&[at("A@1", None), at("B@1", None)], |_| true);
        assert_eq!(marks.least(), 0);
        assert_eq!(marks.pass(&rules, &[input(0, 70, true)], 0), 0);
        assert_eq!(marks.least(), 0);
        assert_eq!(marks.behind(70).collect::<Vec<_>>(), [1]);
        marks.pass(
            &rules,
            &[input(1, 50, true), input(0, 90, true), input(1, 40, true)],
            0,
        );
        assert_eq!(
            (marks.least(), marks.marks()),
            (50, vec![Some(90), Some(50)])
        );
        // Without a time of its own, a message says nothing.
        marks.pass(&rules, &[input(1, 99, false)], 0);
        assert_eq!(marks.least(), 50);
    }

    #[test]
    fn a_stream_that_was_made_anew_goes_on_where_the_one_before_was_and_is_not_held_back_by_it() {
        let inputs = [at("A@1", Some(50)), at("A@2", None)];
        let mut marks = Watermarks::of(&inputs, |source| source == "A@2");
        assert_eq!(marks.least(), 50);
        marks.pass(&Rules::default(), &[input(1, 30, true)], 0);
        assert_eq!(marks.least(), 50);
        marks.pass(&Rules::default(), &[input(1, 80, true)], 0);
        assert_eq!(
            (marks.least(), marks.marks()),
            (80, vec![Some(50), Some(80)])
        );
    }

    #[test]
    fn a_table_has_no_say_whatever_the_times_of_its_messages() {
        let mut marks = Watermarks::of(&[at("A@1", None), at("T@1", None)], |id| id == "A@1");
        let rules = Rules {
            max_ahead: Some(5),
            ..Rules::default()
        };
        let batch = [input(1, 900, true), input(0, 70, true), input(1, 10, true)];
        // Nor is it too far ahead.
        assert_eq!(marks.pass(&rules, &batch, 100), 0);
        assert_eq!((marks.least(), marks.marks()), (70, vec![Some(70), None]));
        assert_eq!(marks.behind(u64::MAX).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn an_input_that_is_added_or_added_again_does_not_take_event_time_back() {
        let read = |watermark: Option<u64>, inputs: &[Progress], names: &[&str]| {
            let checkpoint = Checkpoint {
                inputs: inputs.to_vec(),
                watermark,
                ..Checkpoint::default()
            };
            let fence = Fence(1);
            let found = Held { fence, checkpoint };
            let names = names.iter().map(|name| at(name, None));
            let names: Vec<Progress> = names.collect();
            let (_, commit) = claim(Some(&found), "o".into(), &names, &Arc::default());
            let is_read = |id: &str| names.iter().any(|name| *name.source == *id);
            Watermarks::of(&commit.checkpoint.inputs, is_read).least()
        };
        let (a, b) = (at("A@1", Some(70)), at("B@1", Some(50)));
        let both = ["A@1", "B@1"];
        assert_eq!(read(Some(70), std::slice::from_ref(&a), &both), 70);
        assert_eq!(read(Some(70), &[a.clone(), b.clone()], &both), 70);
        assert_eq!(read(Some(50), &[a.clone(), b.clone()], &both), 50);
        // As an earlier version has written it.
        assert_eq!(read(None, std::slice::from_ref(&a), &both), 70);
        // The second has had no message yet, and still holds it back.
        assert_eq!(read(Some(0), &[a.clone(), at("B@1", None)], &both), 0);
        // One that is read no more says nothing.
        assert_eq!(read(Some(50), &[a, b], &["A@1"]), 70);
    }

    #[test]
    fn an_input_that_is_idle_follows_the_clock_and_holds_the_other_back_no_more() {
        let rules = Rules {
            bound: 10,
            max_ahead: None,
            idle_timeout: Some(100),
        };
        let mut marks = Watermarks::of(&[at("A@1", None), at("B@1", None)], |_| true);
        marks.pass(&rules, &[input(0, 500, true)], 0);
        marks.idle(&rules, 300, 410);
        assert_eq!(
            (marks.least(), marks.marks()),
            (300, vec![Some(490), Some(300)])
        );
        // Once it has messages again, it has a say again.
        marks.pass(&rules, &[input(1, 340, true), input(0, 900, true)], 0);
        assert_eq!(marks.least(), 330);
    }

    #[test]
    fn messages_too_far_ahead_are_counted_and_a_watermark_before_1970_is_shown_as_zero() {
        let rules = Rules {
            bound: 10,
            max_ahead: Some(5),
            idle_timeout: Some(100),
        };
        let mut marks = Watermarks::of(&[at("A@1", None)], |_| true);
        let batch = [
            input(0, 6, true),
            input(0, 16, true),
            input(0, u64::MAX, true),
        ];
        assert_eq!(marks.pass(&rules, &batch, 10), 2);
        assert_eq!((marks.least(), marks.marks()), (0, vec![Some(-4)]));
        marks.idle(&rules, 40, 150);
        assert_eq!(marks.least(), 40);
    }

    proptest! {
        #[test]
        fn a_message_sees_the_same_watermark_wherever_its_batch_ends(
            messages in prop::collection::vec((0..2_usize, 0..300_u64, any::<bool>()), 0..20),
            end in 0..20_usize,
            bound in 0..100_i64,
        ) {
            let rules = Rules { bound, max_ahead: Some(50), idle_timeout: None };
            let messages = messages.into_iter();
            let batch = messages.map(|(of, time, timed)| input(of, time, timed));
            let batch: Vec<Input> = batch.collect();
            let mut marks = Watermarks::of(&[at("A@1", None), at("B@1", Some(20))], |_| true);
            let whole = marks.before(&rules, &batch, 200);
            let (first, second) = batch.split_at(end.min(batch.len()));
            let mut parts = marks.before(&rules, first, 200);
            marks.pass(&rules, first, 200);
            parts.extend(marks.before(&rules, second, 200));
            prop_assert_eq!(&whole, &parts);
            for (message, before) in batch.iter().zip(whole) {
                let mut alone = Watermarks::of(&[at("A@1", None), at("B@1", Some(20))], |_| true);
                let position = batch.iter().position(|other| std::ptr::eq(other, message));
                alone.pass(&rules, batch.get(..position.unwrap_or_default()).unwrap_or_default(), 200);
                prop_assert_eq!(alone.least_mark(), before);
            }
        }
    }
}
