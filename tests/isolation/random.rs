//! Whatever lies together in a batch, each message ends as it would have ended alone.

use crate::harness::lane::{limits, message, plugin, tokio, worker};
use bytes::Bytes;
use proptest::prelude::*;
use weir::config::component::Reference;
use weir::config::limits::{Isolation, Limits};
use weir::config::resolved::{Bounds, Grants, HeaderSelection, Operator, Rollout};
use weir::config::template::SubjectFilter;
use weir::message::Message;
use weir::process::chain::{Chain, Verdict};
use weir::process::route::Route;

/// What the plugin makes of these depends on nothing but the message. `long` is not among them: beside `short`
/// it makes up the number of outcomes, and nobody can tell then.
const VERBS: [&str; 19] = [
    "trap",
    "panic",
    "exit",
    "overflow",
    "alloc",
    "flood:2000000",
    "flood-count:200000",
    "short",
    "drop",
    "emit:0",
    "emit:3",
    "reject:no",
    "retry",
    "retry-after:5",
    "retry-until:2",
    "slow:none",
    "header-newline",
    "bad-subject",
    "key:k",
];

/// A message on `orders.a`, which both operators see, or on `orders.b`, which the first does not.
fn input() -> impl Strategy<Value = Message> {
    let verb = prop::sample::select(&VERBS[..]).prop_map(str::to_owned);
    let payload = prop_oneof![2 => verb, 3 => "[A-Z]{0,5}"];
    (payload, 1..3_u32, "orders\\.[ab]").prop_map(|(payload, attempt, subject)| Message {
        subject: subject.into(),
        payload: Bytes::from(payload),
        attempt,
        ..message("")
    })
}

fn route() -> Route {
    let operator = |subjects: &[&str]| {
        let filters = subjects
            .iter()
            .map(|subject| SubjectFilter::parse(subject).unwrap());
        Operator {
            name: "any".into(),
            plugin: Reference::File("any.wasm".into()),
            config: serde_json::Value::Null,
            subjects: filters.collect(),
            headers: HeaderSelection::All,
            windows: None,
            grants: Grants::default(),
            limits: limits(),
            trusted: false,
            rollout: Rollout::default(),
            require_signature: Vec::new(),
        }
    };
    Route::compile(&[operator(&["orders.a"]), operator(&[])])
}

/// Two operators that mark what they pass on.
fn chain(bounds: Bounds, isolation: Isolation) -> Chain {
    let limits = Limits {
        isolation,
        memory_bytes: 16 << 20,
        output_bytes: 1 << 20,
        ..limits()
    };
    let workers = ["first", "second"].map(|name| {
        let config = format!(r#"{{"mark": "{name}"}}"#);
        worker(name, plugin("misbehave"), limits, &config)
    });
    Chain::new(workers.into(), bounds)
}

/// All that follows from a verdict.
fn end(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Publish(messages) => format!("{messages:?}"),
        Verdict::Retry(retry) => format!("{retry:?}"),
        Verdict::Dead(rejection) => format!(
            "{:?} of {:?}: {} {:?}",
            rejection.kind, rejection.operator, rejection.reason, rejection.traceback
        ),
    }
}

/// The ends of a batch in one chain.
fn ends(batch: &[Message], bounds: Bounds, isolation: Isolation) -> Vec<String> {
    let route = route();
    let routed = batch.iter().map(|message| {
        let operators = route.operators(&message.subject);
        (message.clone(), operators)
    });
    let verdicts = tokio().block_on(chain(bounds, isolation).run(routed.collect()));
    verdicts.iter().map(end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_lies_together_in_a_batch_each_message_ends_as_it_would_alone(
        batch in prop::collection::vec(input(), 0..24),
        messages in 1..24_usize,
        bytes in prop_oneof![Just(1 << 20), 1..40_usize],
        isolation in prop::sample::select(vec![Isolation::Lane, Isolation::Message]),
    ) {
        let bounds = Bounds { messages, bytes };
        let together = ends(&batch, bounds, isolation);
        let alone = |message: &Message| ends(std::slice::from_ref(message), bounds, isolation);
        let apart: Vec<String> = batch.iter().flat_map(alone).collect();
        prop_assert_eq!(together, apart);
    }
}
