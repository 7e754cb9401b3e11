//! How far event time has come in the inputs of a partition. Pure; how one watermark moves is in
//! `time/watermark.rs`.

use super::log::{Input, Progress};
use crate::time::watermark::{Rules, Watermark};

/// The watermark of each input; none before its first message.
#[derive(Clone, Debug, Default)]
pub(super) struct Watermarks(Vec<Mark>);

#[derive(Clone, Copy, Debug)]
struct Mark {
    watermark: Watermark,
    /// Whether the job reads this input. One that is gone, as its stream was made anew, holds nothing back.
    is_read: bool,
}

impl Watermarks {
    /// As a checkpoint has them. An input in the place of one that is gone begins where that was.
    pub(super) fn of(inputs: &[Progress], is_read: impl Fn(&str) -> bool) -> Self {
        let marks = inputs.iter().map(|input| Mark {
            watermark: Watermark::at(input.watermark),
            is_read: is_read(&input.source),
        });
        let mut marks: Vec<Mark> = marks.collect();
        let gone = marks.iter().filter(|mark| !mark.is_read);
        let gone = gone.map(|mark| mark.watermark).max().unwrap_or_default();
        for mark in marks.iter_mut().filter(|mark| mark.is_read) {
            if mark.watermark == Watermark::default() {
                mark.watermark = gone;
            }
        }
        Self(marks)
    }

    /// Messages that were processed move them on; how many are too far ahead and do not. `now` is the clock of the
    /// partition.
    pub(super) fn pass(&mut self, rules: &Rules, batch: &[Input], now: u64) -> u64 {
        let mut ahead = 0;
        for input in batch.iter().filter(|input| input.timed) {
            if let Some(mark) = self.0.get_mut(input.input) {
                let time = signed(input.message.event_time);
                ahead += u64::from(!mark.watermark.pass(rules, time, signed(now)));
            }
        }
        ahead
    }

    /// The watermark of the partition before each message of a batch, none before there is one: as it is where each
    /// is a batch by itself.
    pub(super) fn before(&self, rules: &Rules, batch: &[Input], now: u64) -> Vec<Option<i64>> {
        let mut marks = self.clone();
        let before = batch.iter().map(|input| {
            let before = marks.least_mark();
            marks.pass(rules, std::slice::from_ref(input), now);
            before
        });
        before.collect()
    }

    /// None of the inputs has anything pending for the partition.
    pub(super) fn idle(&mut self, rules: &Rules, now: u64) {
        for mark in self.0.iter_mut().filter(|mark| mark.is_read) {
            mark.watermark.idle(rules, signed(now));
        }
    }

    /// That of the partition: the least of the inputs that have had messages; 0 if none has.
    pub(super) fn least(&self) -> u64 {
        u64::try_from(self.least_mark().unwrap_or_default()).unwrap_or_default()
    }

    fn least_mark(&self) -> Option<i64> {
        let read = self.0.iter().filter(|mark| mark.is_read);
        read.filter_map(|mark| mark.watermark.get()).min()
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
    use crate::message::Message;
    use bytes::Bytes;
    use proptest::prelude::*;

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
    fn a_partition_is_where_the_last_of_its_inputs_is_and_one_without_a_row_holds_nothing_back() {
        let rules = Rules::default();
        let mut marks = Watermarks::of(&[at("A@1", None), at("B@1", None)], |_| true);
        assert_eq!(marks.least(), 0);
        assert_eq!(marks.pass(&rules, &[input(0, 70, true)], 0), 0);
        assert_eq!(marks.least(), 70);
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
        marks.idle(&rules, 150);
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
