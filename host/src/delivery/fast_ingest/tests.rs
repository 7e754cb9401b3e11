//! The rules of bursts against a small server that does what nats-server 2.15 does with a batch, and against
//! everything that can go wrong on the way to it and back.

mod server;

use super::*;
use proptest::prelude::*;
use server::{Fate, Server};
use std::collections::BTreeSet;

/// What happens to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    /// The stream does not allow batches any more.
    Disabled,
    /// The stream takes no further batch.
    Full,
    /// The server forgets its batches: ten seconds without a message, or a restart.
    Forgets,
    /// A message to the server is lost.
    LosesMessage,
    /// An answer is lost.
    LosesAnswer,
    /// The stream moves to a server that does not know batches.
    Old,
}

/// A sink, as far as it has to do with bursts.
#[derive(Default)]
struct Model {
    bursts: Bursts,
    server: Server,
    confirmed: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    out_of_batch: BTreeSet<u64>,
    troubles: Vec<Trouble>,
}

impl Model {
    /// What becomes of these bursts, and the messages that still wait: answers are heard behind each burst,
    /// or behind the last.
    fn of(bursts: &[Vec<(Fate, Event)>], at_once: bool) -> (Self, Window<u64>) {
        let (mut model, mut window) = (Self::default(), Window::new(1000));
        for burst in bursts {
            model.publish(&mut window, burst);
            if at_once {
                model.hear_all(&mut window);
            }
        }
        model.hear_all(&mut window);
        (model, window)
    }

    fn publish(&mut self, window: &mut Window<u64>, fates: &[(Fate, Event)]) {
        let mut numbers = Vec::new();
        for _ in fates {
            numbers.push(window.next());
            window.push(window.next());
        }
        for (at, (fate, event)) in fates.iter().enumerate() {
            let written = self.bursts.write(numbers[at], at + 1 == fates.len());
            match event {
                Event::Disabled => self.server.disabled = true,
                Event::Full => self.server.full = true,
                Event::Forgets => self.server.forget(),
                Event::Old => self.server.old = true,
                Event::LosesAnswer => drop(self.server.answers.pop_back()),
                Event::LosesMessage | Event::Nothing => {}
            }
            match written {
                Some((place, part)) if *event != Event::LosesMessage => {
                    assert_eq!(place.first + place.number - 1, numbers[at]);
                    self.server.receive(place, part, *fate);
                }
                Some(_) => {}
                None => {
                    assert_eq!(fates.len(), 1);
                    window.remove(numbers[at]);
                }
            }
        }
    }

    fn hear_all(&mut self, window: &mut Window<u64>) {
        while let Some((place, payload)) = self.server.answers.pop_front() {
            let status = (payload == "503").then_some(503);
            let said = Said::of(status, payload.as_bytes(), "out");
            let (confirmed, failed) = (&mut self.confirmed, &mut self.failed);
            let out_of_batch = &mut self.out_of_batch;
            let trouble = self.bursts.hear(window, place, said, |number, result| {
                let new = match result {
                    Ok(_) => confirmed.insert(number),
                    Err(Failure::OutOfBatch) => out_of_batch.insert(number),
                    Err(_) => failed.insert(number),
                };
                assert!(new, "{number} was answered twice");
            });
            self.troubles.extend(trouble);
            while let Some((place, waits)) = self.bursts.unended(window) {
                assert!(window.get(waits).is_some());
                self.server.receive(place, Part::End, Fate::Stored);
            }
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        20 => Just(Fate::Stored),
        2 => Just(Fate::Duplicate),
        1 => Just(Fate::RefusedBefore),
        1 => Just(Fate::RefusedInside),
        1 => Just(Fate::RefusedBehind),
        1 => Just(Fate::Nobody),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        60 => Just(Event::Nothing),
        1 => Just(Event::Disabled),
        1 => Just(Event::Full),
        1 => Just(Event::Forgets),
        1 => Just(Event::LosesMessage),
        1 => Just(Event::LosesAnswer),
        1 => Just(Event::Old),
    ]
}

/// Whether there is such a message in a burst.
fn has(bursts: &[Vec<(Fate, Event)>], what: impl Fn(Fate, Event) -> bool) -> bool {
    let mut messages = bursts.iter().flatten();
    messages.any(|(fate, event)| what(*fate, *event))
}

/// Bursts of messages with their fates.
fn bursts(event: impl Strategy<Value = Event>) -> impl Strategy<Value = Vec<Vec<(Fate, Event)>>> {
    let burst = prop::collection::vec((fate(), event), 1..20);
    prop::collection::vec(burst, 1..6)
}

proptest! {
    #[test]
    fn nothing_is_confirmed_that_is_not_stored_whatever_happens(
        bursts in bursts(event()),
        at_once in any::<bool>(),
    ) {
        let (model, _) = Model::of(&bursts, at_once);
        // A later answer covers a message that the server has refused behind the checks. Answers come in order,
        // so the refusal is heard first, unless it is lost: a connection loses none by itself.
        let unheard = has(&bursts, |_, event| event == Event::LosesAnswer)
            && has(&bursts, |fate, _| fate == Fate::RefusedBehind);
        prop_assert!(unheard || model.confirmed.is_subset(&model.server.stored));
        prop_assert!(model.confirmed.is_disjoint(&model.out_of_batch));
        prop_assert!(model.confirmed.is_disjoint(&model.failed));
    }

    #[test]
    fn unless_something_is_lost_each_message_is_answered_and_none_is_stored_twice(
        bursts in bursts(prop_oneof![30 => Just(Event::Nothing), 1 => Just(Event::Full)]),
        at_once in any::<bool>(),
    ) {
        let (model, window) = Model::of(&bursts, at_once);
        // The server never ends a batch in which it has refused a message behind the checks. What waits then
        // is given up in time.
        if !has(&bursts, |fate, _| fate == Fate::RefusedBehind) {
            prop_assert!(window.is_empty(), "{} wait", window.iter().count());
        }
        prop_assert!(model.out_of_batch.is_disjoint(&model.server.stored));
        prop_assert!(model.failed.is_disjoint(&model.server.stored));
        if !has(&bursts, |_, event| event == Event::Full) {
            prop_assert_eq!(&model.troubles, &[]);
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written(first in any::<u64>(), number in any::<u64>()) {
        let place = Place { first, number };
        for part in [Part::First, Part::Next, Part::Last, Part::End] {
            let mut reply = Vec::new();
            place.write("a-b", part, &mut reply);
            prop_assert_eq!(Place::read(std::str::from_utf8(&reply).unwrap()), Some(place));
        }
    }

    #[test]
    fn no_subject_and_no_answer_is_too_odd(reply in "\\PC{0,40}", payload in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Place::read(&reply);
        let _ = Said::of(None, &payload, "out");
    }
}

#[test]
fn a_reply_subject_is_what_the_server_reads() {
    let mut reply = Vec::new();
    let place = Place {
        first: 7,
        number: 3,
    };
    place.write("me", Part::Next, &mut reply);
    assert_eq!(reply, b"me-7.256.fail.3.1.$FI");
    for other in [
        "",
        "12",
        "a",
        "a-b.1.fail.2.1.$FI",
        "a-1.1.fail.b.1.$FI",
        "a-1.1.fail",
    ] {
        assert_eq!(Place::read(other), None, "{other}");
    }
}

#[test]
fn a_server_that_does_not_take_batches_is_asked_again_later_and_is_news_once() {
    let mut ingest = Ingest::new(true);
    assert!(ingest.is_on());
    assert!(ingest.fails() && !ingest.is_on());
    assert!(!ingest.fails());
    ingest.rests = Some(Instant::now());
    assert!(ingest.is_on() && !ingest.fails() && !ingest.is_on());
    ingest.rests = Some(Instant::now());
    ingest.works();
    assert!(ingest.is_on() && ingest.fails());
    assert!(!Ingest::new(false).is_on());
}

#[test]
fn a_batch_that_the_server_does_not_take_goes_out_again_message_by_message() {
    for (event, trouble) in [
        (Event::Disabled, Trouble::Disabled),
        (Event::Full, Trouble::Limit),
        (Event::Old, Trouble::Unsupported),
    ] {
        let (mut model, mut window) = (Model::default(), Window::new(1000));
        let nothing = (Fate::Stored, Event::Nothing);
        model.publish(&mut window, &[(Fate::Stored, event), nothing, nothing]);
        model.hear_all(&mut window);
        assert_eq!(model.troubles, [trouble]);
        let stored = match event {
            Event::Old => &model.confirmed,
            _ => &model.out_of_batch,
        };
        assert_eq!(stored.len(), 3, "{event:?}");
    }
}
