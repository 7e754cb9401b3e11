//! What a plugin writes for a message is there if the message ends well, and not otherwise, whatever lies
//! beside it in the batch. Each operator has its own state, for the keys of its partition.

mod loading;
mod migration;
mod random;
mod timers;

use crate::harness::guests::guest;
use crate::harness::lane::{limits, message, plugin, runtime, tokio, worker};
use std::path::Path;
use std::sync::Arc;
use weir::config::limits::Limits;
use weir::config::resolved::Bounds;
use weir::message::Message;
use weir::plugin::{LoadOptions, Plugin};
use weir::process::chain::{Chain, Verdict};
use weir::process::route::OperatorSet;
use weir::state::{Clock, Group, Groups, SharedState, State, Timer};

const SECOND: u64 = 1_000_000_000;
const OPERATORS: [&str; 3] = ["first", "middle", "last"];

fn load(path: &Path) -> Arc<Plugin> {
    let options = LoadOptions {
        stateful: true,
        ..LoadOptions::default()
    };
    runtime().load_with(path, options).unwrap()
}

fn stateful() -> Arc<Plugin> {
    load(&guest("stateful"))
}

/// A state of all keys with this budget.
fn state(budget: u64) -> State {
    State::new(Groups::all(), OPERATORS, budget).unwrap()
}

/// Two operators with state, and one without between them.
struct Job {
    chain: Chain,
    state: SharedState,
}

impl Job {
    fn new() -> Self {
        Self::of(stateful())
    }

    fn of(plugin: Arc<Plugin>) -> Self {
        Self::on(&plugin, state(u64::MAX), limits())
    }

    fn on(stateful: &Arc<Plugin>, state: State, limits: Limits) -> Self {
        let plugins = [stateful, &plugin("misbehave"), stateful];
        let workers = OPERATORS.into_iter().zip(plugins);
        let workers =
            workers.map(|(operator, plugin)| worker(operator, Arc::clone(plugin), limits, "{}"));
        let bounds = Bounds {
            messages: 256,
            bytes: 1 << 20,
        };
        Self {
            chain: Chain::new(workers.collect(), bounds),
            state: SharedState::new(state),
        }
    }

    /// Runs messages with these keys and payloads in a batch: how each ends.
    fn run(&mut self, batch: &[(&str, &str)]) -> Vec<String> {
        let batch = batch.iter().map(|(key, payload)| {
            let key = (!key.is_empty()).then(|| (*key).into());
            let message = Message {
                key,
                ..message(payload)
            };
            (message, OperatorSet::ALL)
        });
        let running = self.chain.run_on(batch.collect(), &mut self.state);
        tokio().block_on(running).iter().map(end).collect()
    }

    /// How one message ends.
    fn one(&mut self, key: &str, payload: &str) -> String {
        self.run(&[(key, payload)]).remove(0)
    }

    /// Fires the timers that are due, all of them as those of one operator.
    fn fire(&mut self, operator: usize, clock: Clock, upto: u64) -> Vec<String> {
        let due = self.state.lock().take_due(clock, upto, 100);
        self.fire_these(operator, due)
    }

    fn fire_these(&mut self, operator: usize, due: Vec<Timer>) -> Vec<String> {
        let running = self.chain.fire(operator, due, None, &mut self.state);
        tokio().block_on(running).iter().map(end).collect()
    }
}

/// What becomes of a message, as text.
fn end(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Publish(messages) => {
            let texts = messages.iter().map(|message| {
                let payload = String::from_utf8_lossy(&message.payload);
                format!("{}:{payload}", message.key.as_deref().unwrap_or_default())
            });
            texts.collect::<Vec<_>>().join(" ")
        }
        Verdict::Retry(retry) => format!("retry: {}", retry.reason),
        Verdict::Dead(rejection) => rejection.words(),
    }
}

#[test]
fn a_plugin_finds_what_it_has_written_for_a_key() {
    let mut job = Job::new();
    assert!(job.chain.is_stateful());
    let ends = job.run(&[
        ("a", "@first count"),
        ("b", "@first count"),
        ("a", "@first count"),
    ]);
    assert_eq!(
        ends,
        ["a:1", "b:1", "a:2"],
        "reads see the writes of the same batch"
    );
    assert_eq!(job.one("a", "@first count"), "a:3");
    assert_eq!(
        job.one("", "@first count; @first get count"),
        ":1,1",
        "no key is a key"
    );
    assert_eq!(
        job.one("", "@first get-counts a b c"),
        ":[Some(3), Some(1), None]"
    );
    assert_eq!(job.one("a", "@first delete count; @first get count"), "a:-");
    assert_eq!(
        job.one("a", "@first delete count; @first say gone"),
        "a:gone"
    );
}

#[test]
fn the_state_of_an_operator_is_invisible_to_others() {
    let mut job = Job::new();
    let script = "@first set x 1; @last set x 2";
    assert_eq!(job.one("k", script), format!("k:{script}"));
    assert_eq!(job.one("k", "@first get x"), "k:1");
    assert_eq!(job.one("k", "@last get x"), "k:2");
    job.one("k", "@first delete x");
    assert_eq!(job.one("k", "@last get x"), "k:2");
}

#[test]
fn what_a_message_wrote_that_does_not_end_well_is_undone_and_the_writes_of_others_stay() {
    let mut job = Job::new();
    job.one("k", "@first set x before; @last set x before");
    let bad = [
        (
            "@first set x after; @first trap",
            "trap: trapped: wasm `unreachable` instruction executed",
        ),
        (
            "@first set x after; @first reject",
            "reject: told to reject",
        ),
        ("@first set x after; @first retry", "retry: told to retry"),
        (
            "@first set x after; @last set x after; @last trap",
            "trap: trapped: wasm `unreachable` instruction executed",
        ),
        (
            "@first set x after; @last set x after; @last reject",
            "reject: told to reject",
        ),
        (
            "@first set x after; @last set x after; @last retry",
            "retry: told to retry",
        ),
    ];
    for (script, expected) in bad {
        let ends = job.run(&[
            ("a", "@first count"),
            ("k", script),
            ("a", "@first count"),
            ("b", "@last count"),
        ]);
        assert_eq!(ends[1], expected);
        let count = |end: &String| end.split_once(':').unwrap().1.parse::<u64>().unwrap();
        assert_eq!(count(&ends[2]), count(&ends[0]) + 1, "{ends:?}");
        assert_eq!(job.one("k", "@first get x"), "k:before", "{script}");
        assert_eq!(job.one("k", "@last get x"), "k:before", "{script}");
    }
    // Each of the others was counted once, however often the batch ran.
    let rounds = bad.len() as u64;
    assert_eq!(
        job.one("a", "@first count"),
        format!("a:{}", 2 * rounds + 1)
    );
    assert_eq!(job.one("b", "@last count"), format!("b:{}", rounds + 1));
}

#[test]
fn a_message_that_an_operator_without_state_gives_up_takes_its_writes_with_it() {
    let mut job = Job::new();
    // The first operator answers with what the one in the middle is told to do.
    let ends = job.run(&[
        ("k", "@first set x 1; @first say trap"),
        ("k", "@first count"),
    ]);
    assert!(ends[0].starts_with("trap: "), "{ends:?}");
    assert_eq!(ends[1], "k:1");
    assert_eq!(job.one("k", "@first get x"), "k:-");
}

#[test]
fn values_expire_by_the_time_of_the_batch() {
    let mut job = Job::new();
    job.state.lock().begin(100 * SECOND);
    job.one(
        "k",
        "@first set x 1 1000; @first set y 1; @first set z 1 18446744073709551615",
    );
    let all = |job: &mut Job| job.one("k", "@first scan  9");
    assert_eq!(all(&mut job), "k:[x=1 y=1 z=1]");
    job.state.lock().begin(101 * SECOND - 1);
    assert_eq!(all(&mut job), "k:[x=1 y=1 z=1]");
    job.state.lock().begin(101 * SECOND);
    assert_eq!(all(&mut job), "k:[y=1 z=1]");
    job.one("k", "@first set y 1 0");
    assert_eq!(all(&mut job), "k:[z=1]");
}

#[test]
fn a_scan_is_of_one_key_in_order_and_bounded() {
    let mut job = Job::new();
    job.run(&[
        (
            "k",
            "@first set b 2; @first set a1 1; @first set a3 3; @first set a2 2",
        ),
        ("l", "@first set a0 0"),
    ]);
    let cases = [
        ("scan a 9", "[a1=1 a2=2 a3=3]"),
        ("scan a 2", "[a1=1 a2=2]"),
        ("scan a 2 a1", "[a2=2 a3=3]"),
        ("scan a 9 a25", "[a3=3]"),
        ("scan a 9 a3", "[]"),
        ("scan a 9 b", "[]"),
        ("scan a 0", "[]"),
        ("scan c 9", "[]"),
    ];
    for (command, expected) in cases {
        assert_eq!(
            job.one("k", &format!("@first {command}")),
            format!("k:{expected}"),
            "{command}"
        );
    }
    // A MiB at once, with the names and what a record takes besides; and always one.
    job.one("k", "@first fill v 65536 40; @first fill w 3000000");
    assert_eq!(
        job.one("k", "@first measure v 4294967295"),
        "k:15 of 983040"
    );
    assert_eq!(job.one("k", "@first measure w 9"), "k:1 of 3000000");
}

#[test]
fn a_guest_cannot_make_the_host_hold_more_than_it_may_hold_itself() {
    let limits = Limits {
        memory_bytes: 16 << 20,
        ..limits()
    };
    let mut job = Job::on(&stateful(), state(u64::MAX), limits);
    job.one("k", "@first fill-again v 1000000 16");
    assert_eq!(
        job.one("k", "@first fill-again v 1000000 17"),
        "trap: trapped: wrote more state than `output-bytes` allows, 16.0 MiB"
    );
    assert_eq!(job.one("k", "@first get-often v 3"), "k:3");
    assert_eq!(
        job.one("k", "@first get-often v 20"),
        "trap: trapped: the values of one `get-many` have more bytes than `memory` allows"
    );
    assert_eq!(
        job.one("k", "@first long-name 65536; @first say ok"),
        "k:ok"
    );
    assert_eq!(
        job.one("k", "@first long-name 65537"),
        "trap: trapped: a key, a name or a tag has more than 64 KiB"
    );
}

#[test]
fn a_write_that_finds_no_room_is_refused_with_the_reason_and_others_go_on() {
    let mut job = Job::on(&stateful(), state(4000), limits());
    let ends = job.run(&[
        ("k", "@first set x 1; @first say set"),
        ("k", "@first fill x 5000"),
        ("l", "@first count"),
    ]);
    assert_eq!(ends[0], "k:set");
    assert!(
        ends[1].starts_with("reject: the state of the partition would need 5"),
        "{ends:?}"
    );
    assert!(ends[1].ends_with(" bytes, and may have 4000"), "{ends:?}");
    assert_eq!(ends[2], "l:1");
    assert_eq!(job.one("k", "@first get x"), "k:1", "it is what it was");
    job.one("k", "@first fill x 3800");
    let end = job.one("k", "@first timer event 5 late");
    assert!(
        end.starts_with("reject: the state of the partition"),
        "{end}"
    );
}

#[test]
fn a_key_of_another_partition_is_a_fault_of_the_message_that_asks_for_it() {
    let state = State::new(Groups::of_partition(0, 2).unwrap(), OPERATORS, u64::MAX).unwrap();
    let mut job = Job::on(&stateful(), state, limits());
    let partition = |partition: u16| {
        let mut keys = (0..).map(|number: u32| format!("k{number}"));
        let is_in = |key: &String| Group::of(key.as_bytes()).partition(2) == partition;
        keys.find(is_in).unwrap()
    };
    let (own, other) = (partition(0), partition(1));
    let commands = [
        "get x",
        "set x 2",
        "delete x",
        "scan x 9",
        "timer event 5 x",
        "cancel x",
        "get-counts",
    ];
    for command in commands {
        let command = match command {
            "get-counts" => format!("@first get-counts {own} {other}"),
            command => format!("@first key {other}; @first {command}"),
        };
        let script = format!("@first set x 1; {command}");
        let ends = job.run(&[
            (&own, "@first count"),
            (&own, &script),
            (&own, "@first count"),
        ]);
        assert_eq!(
            ends[1],
            "trap: trapped: the key belongs to another partition; use the key of a message of the batch"
        );
        assert!(
            ends[0].starts_with(&*own) && ends[2].starts_with(&*own),
            "{ends:?}"
        );
        assert_eq!(job.one(&own, "@first get x"), format!("{own}:-"));
    }
}

#[test]
fn values_without_a_time_to_live_have_that_of_the_pipeline() {
    let state = state(u64::MAX).with_ttl(Some(5 * SECOND));
    let mut job = Job::on(&stateful(), state, limits());
    job.state.lock().begin(SECOND);
    job.one("a", "@first set short v; set own v 9000");
    let seen = |job: &mut Job, now| {
        job.state.lock().begin(now);
        job.one("a", "@first get short; @first get own")
    };
    assert_eq!(seen(&mut job, 6 * SECOND - 1), "a:v,v");
    assert_eq!(seen(&mut job, 6 * SECOND), "a:-,v");
    assert_eq!(seen(&mut job, 10 * SECOND), "a:-,-");
}
