//! The order of what passes. The watermark of a native build stands still at 0, so nothing is late here: the tests
//! fire timers as a host does, once a watermark of their own has reached them.

use super::Merge;
use serde_json::json;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use weir_sdk::{Message, Operator, Output, Outputs, Stateful, Timer, state, testing};

fn merge() -> Merge {
    testing::clear_state();
    testing::configured(&json!({})).unwrap()
}

fn message(key: &str, event_time: u64, payload: &str) -> Message {
    let mut message = Message::new("in.some", payload);
    message.key = Some(key.to_owned());
    message.event_time = event_time;
    message
}

/// The timers of a host, and the messages that have passed.
struct Host {
    merge: Merge,
    timers: Vec<Timer>,
    passed: Vec<(String, u64, Output)>,
}

impl Host {
    fn new() -> Self {
        Self {
            merge: merge(),
            timers: Vec::new(),
            passed: Vec::new(),
        }
    }

    fn process(&mut self, message: &Message) {
        assert_eq!(self.merge.process(message), Ok(Outputs::none()));
        self.timers.extend(testing::take_timers());
    }

    /// Those up to a time fire in the order of their times, and of their keys and tags.
    fn fire(&mut self, upto: u64) {
        let of = |timer: &Timer| (timer.at, timer.key.clone(), timer.tag.clone());
        self.timers.sort_by_key(of);
        let due = self.timers.partition_point(|timer| timer.at <= upto);
        for timer in self.timers.drain(..due) {
            let [output] = self
                .merge
                .on_timer(&timer)
                .unwrap()
                .into_inner()
                .try_into()
                .unwrap();
            self.passed.push((timer.key, timer.at, output));
        }
    }

    /// The payloads, by key.
    fn payloads(&self) -> BTreeMap<&str, Vec<String>> {
        let mut payloads: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (key, _, output) in &self.passed {
            let payload = output.payload.clone().unwrap();
            let of_key = payloads.entry(key).or_default();
            of_key.push(String::from_utf8(payload).unwrap());
        }
        payloads
    }
}

/// Numbers that follow from a seed: xorshift64*, whose constants are those of Vigna (2016).
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = RandomState::new().build_hasher().finish().max(1);
        eprintln!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

#[test]
fn what_passes_is_what_sorting_all_messages_gives_those_of_one_time_in_the_order_of_arrival() {
    const BOUND: u64 = 40;
    let mut random = Random::seeded();
    let mut host = Host::new();
    let (mut expected, mut latest) = (BTreeMap::new(), 0);
    for number in 0..5_000 {
        // Behind the latest one by less than the bound, and often at the time of others.
        let time = BOUND + number / 10 - random.below(BOUND);
        let key = ["a", "b", "c"][random.below(3) as usize];
        let payload = number.to_string();
        host.process(&message(key, time, &payload));
        latest = time.max(latest);
        let of_key: &mut Vec<(u64, String)> = expected.entry(key).or_default();
        of_key.push((time, payload));
        if random.below(20) == 0 {
            host.fire(latest.saturating_sub(BOUND));
        }
    }
    let early = host.passed.len();
    assert!(early > 4_000, "{early} passed before the end");
    host.fire(u64::MAX);
    // The sort keeps the order of what is equal.
    let sorted = expected.into_iter().map(|(key, mut messages)| {
        messages.sort_by_key(|(time, _)| *time);
        let payloads = messages.into_iter().map(|(_, payload)| payload);
        (key, payloads.collect())
    });
    let sorted: BTreeMap<&str, Vec<String>> = sorted.collect();
    assert!(host.payloads() == sorted);
    assert!(host.passed.is_sorted_by_key(|(_, time, _)| *time));
}

#[test]
fn a_message_passes_as_it_came_with_its_event_time() {
    let mut host = Host::new();
    let mut came = message("a", 7, "").with_header("Unit", "a\nb");
    came.payload = vec![0, b'\n', 159, b'\n', 146, 150];
    host.process(&came.clone().with_header("Unit", "c"));
    host.fire(6);
    assert_eq!(host.passed, []);
    host.fire(7);
    let [(key, time, output)] = host.passed.try_into().unwrap();
    assert_eq!((&*key, time), ("a", 7));
    let expected = Output::new(came.payload).subject("in.some");
    assert_eq!(output, expected.header("Unit", "a\nb").header("Unit", "c"));
}

#[test]
fn headers_of_the_server_and_of_weir_do_not_pass_as_those_of_no_input_do() {
    let mut host = Host::new();
    let came = message("a", 1, "")
        .with_header("Nats-Msg-Id", "1")
        .with_header("weir-digest", "2")
        .with_header("Weir-Kept-Nats-TTL", "3");
    host.process(&came);
    host.fire(1);
    let expected = Output::new("").subject("in.some");
    let expected = expected.header("Weir-Kept-Nats-TTL", "3");
    assert_eq!(host.passed, [("a".to_owned(), 1, expected)]);
}

#[test]
fn a_burst_of_one_time_is_one_message_a_timer_in_the_order_of_arrival() {
    const BURST: usize = 10_000;
    let mut host = Host::new();
    let numbers = (0..BURST).map(|number| number.to_string());
    let numbers: Vec<String> = numbers.collect();
    for number in &numbers {
        host.process(&message("a", 5, number));
    }
    assert_eq!(host.timers.len(), BURST);
    host.fire(5);
    assert!(host.payloads()["a"] == numbers);
}

#[test]
fn nothing_is_kept_of_a_key_whose_messages_have_passed() {
    let mut host = Host::new();
    for time in [3, 1, 2] {
        host.process(&message("a", time, ""));
    }
    // The messages, and how many there are.
    let kept = || state::scan("a", "", None, 100).len();
    assert_eq!(kept(), 4);
    host.fire(2);
    assert_eq!(kept(), 2);
    host.fire(3);
    assert_eq!(kept(), 0);
}

#[test]
fn a_message_that_expired_is_nothing() {
    let mut host = Host::new();
    host.process(&message("a", 1, ""));
    let timer = host.timers.pop().unwrap();
    testing::clear_state();
    assert_eq!(host.merge.on_timer(&timer), Ok(Outputs::none()));
}

#[test]
fn a_configuration_that_says_something_else_is_refused() {
    let refusal = |config| testing::configured::<Merge>(&config).err().unwrap();
    assert!(refusal(json!({ "late": "keep" })).contains("unknown variant `keep`"));
    assert!(refusal(json!({ "lateness": "1s" })).contains("unknown field `lateness`"));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_file() {
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_eq!(config_schema::check::<super::Config>(folder), Ok(()));
}

#[test]
fn a_key_that_the_state_does_not_take_is_refused() {
    let refused = merge().process(&message(&"k".repeat(65_537), 1, ""));
    let reason = "the key has 65537 bytes, and a key in the state at most 65536";
    assert_eq!(refused, Err(weir_sdk::Error::reject(reason)));
}
