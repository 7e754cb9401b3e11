use super::*;
use crate::delivery::ticket::Ticket;
use crate::telemetry::metrics::{Metrics, PipelineMetrics};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const MANY: Bounds = Bounds {
    messages: 1000,
    bytes: 1 << 20,
};

fn metrics() -> Arc<PipelineMetrics> {
    Metrics::new().pipeline("test")
}

fn admit(hand: &mut InFlight<u64>, metrics: &Arc<PipelineMetrics>, sequence: u64, key: &str) {
    let (message, ticket) = delivery(metrics, sequence, key);
    hand.admit(message, ticket, None, 0);
}

fn admit_parked(hand: &mut InFlight<u64>, metrics: &Arc<PipelineMetrics>, sequence: u64) {
    let (message, ticket) = delivery(metrics, sequence, "k");
    let origin = Origin {
        source_id: "S@1".into(),
        stored: 1,
        retries: 0,
    };
    hand.admit(message, ticket, Some(Box::new(origin)), 0);
}

fn delivery(metrics: &Arc<PipelineMetrics>, sequence: u64, key: &str) -> (Message, Ticket) {
    let reply = format!("$JS.ACK.S.C.1.{sequence}.{sequence}.1.0");
    let ticket = Ticket::claim(reply.into(), metrics).unwrap();
    let message = Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "a".into(),
        payload: Bytes::from_static(b"1234"),
        headers: Default::default(),
        key: Some(key.into()),
        source: None,
        event_time: 0,
        sequence,
        attempt: 1,
    };
    (message, ticket)
}

fn sequences(hand: &mut InFlight<u64>, ids: &[TaskId]) -> Vec<u64> {
    let sequence = |id: &TaskId| hand.get_mut(*id).unwrap().message.sequence;
    ids.iter().map(sequence).collect()
}

#[test]
fn a_batch_is_bounded_by_count_and_by_bytes_but_has_at_least_one_message() {
    let metrics = metrics();
    let mut hand = InFlight::new(MANY);
    for sequence in 1..=5 {
        admit(&mut hand, &metrics, sequence, "k");
    }
    let two = Bounds {
        messages: 2,
        bytes: 100,
    };
    let eight_bytes = Bounds {
        messages: 10,
        bytes: 11,
    };
    let nothing = Bounds {
        messages: 10,
        bytes: 0,
    };
    assert_eq!(hand.next_batch(two).len(), 2);
    assert_eq!(hand.next_batch(eight_bytes).len(), 2);
    assert_eq!(hand.next_batch(nothing).len(), 1);
    assert!(hand.next_batch(MANY).is_empty());
}

#[test]
fn a_share_is_kept_for_what_was_parked_and_neither_takes_the_room_of_the_other() {
    let metrics = metrics();
    let bounds = Bounds {
        messages: 16,
        bytes: 80,
    };
    let mut hand = InFlight::new(bounds);
    hand.share_with_parked(4);
    let room = |hand: &InFlight<u64>| {
        let Room { source, parking } = hand.room();
        let counts = (source.messages, parking.messages);
        (counts, (source.bytes, parking.bytes))
    };
    assert_eq!(room(&hand), ((14, 2), (70, 10)));
    admit(&mut hand, &metrics, 1, "k");
    assert_eq!(room(&hand), ((13, 2), (66, 10)));
    admit_parked(&mut hand, &metrics, 1);
    admit_parked(&mut hand, &metrics, 2);
    assert_eq!(room(&hand), ((13, 0), (66, 2)));
    for id in hand.next_batch(MANY) {
        hand.finish(id);
    }
    assert_eq!(room(&hand), ((14, 2), (70, 10)));
}

#[test]
fn room_is_what_is_left_of_both_bounds() {
    let metrics = metrics();
    let mut hand = InFlight::new(Bounds {
        messages: 3,
        bytes: 10,
    });
    admit(&mut hand, &metrics, 1, "k");
    assert_eq!(
        hand.room().source,
        Bounds {
            messages: 2,
            bytes: 6
        }
    );
    let batch = hand.next_batch(MANY);
    hand.finish(batch[0]);
    assert_eq!(
        hand.room().source,
        Bounds {
            messages: 3,
            bytes: 10
        }
    );
}

#[test]
fn a_task_that_waits_is_called_again_once_its_time_has_come() {
    let metrics = metrics();
    let mut hand = InFlight::new(MANY);
    for sequence in 1..=3 {
        admit(&mut hand, &metrics, sequence, "a");
    }
    let batch = hand.next_batch(MANY);
    hand.wait(batch[0], Instant::now() + Duration::from_secs(60));
    assert_eq!((hand.waiting(), hand.retries()), (vec![batch[0]], 1));
    for id in &batch[1..] {
        hand.ready(*id, 0);
        assert_eq!(hand.next_publishable(), Some(*id));
        hand.finish(*id);
    }
    hand.wake(Instant::now());
    assert!(hand.next_batch(MANY).is_empty());
    hand.wake(Instant::now() + Duration::from_secs(61));
    let again = hand.next_batch(MANY);
    assert_eq!(sequences(&mut hand, &again), [1]);
    assert_eq!(hand.retries(), 0);
}

/// What a random run may do next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    Call(usize),
    Wake,
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Admit),
        (1..6usize).prop_map(Step::Call),
        Just(Step::Wake),
        Just(Step::Settle),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    /// Whatever is retried and whenever, each message is published once when nothing is left to do.
    #[test]
    fn each_message_is_published_once_whatever_is_retried(
        steps in steps(),
        retries in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let metrics = metrics();
        let mut hand = InFlight::new(MANY);
        let mut published: Vec<u64> = Vec::new();
        let (mut sequence, mut turn) = (0, 0);
        let far = Instant::now() + Duration::from_secs(3600);
        let finale = [Step::Wake, Step::Call(100), Step::Settle].into_iter().cycle().take(900);
        for (index, step) in steps.iter().copied().chain(finale).enumerate() {
            match step {
                Step::Admit => {
                    sequence += 1;
                    admit(&mut hand, &metrics, sequence, "k");
                }
                Step::Call(messages) => {
                    for id in hand.next_batch(Bounds { messages, ..MANY }) {
                        turn += 1;
                        let refuse = index < steps.len() && retries[turn % retries.len()];
                        if refuse {
                            hand.wait(id, Instant::now());
                        } else {
                            let sequence = hand.get_mut(id).unwrap().message.sequence;
                            hand.ready(id, sequence);
                        }
                    }
                }
                Step::Wake => hand.wake(far),
                Step::Settle => {
                    while let Some(id) = hand.next_publishable() {
                        published.push(hand.finish(id).unwrap().message.sequence);
                    }
                }
            }
        }
        published.sort_unstable();
        prop_assert_eq!(published, (1..=sequence).collect::<Vec<u64>>());
        prop_assert!(hand.is_empty());
    }
}
