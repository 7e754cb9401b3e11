#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::config;
use crate::job::compaction::Compaction;
use crate::job::log::{Fence, Held, Progress};
use crate::job::partition::{Bounds, Fit, Running};
use crate::message::Message;
use crate::nats::job_progress::JobProgress;
use crate::process::Processor;
use crate::process::activity::Activity;
use crate::process::chain::Chain;
use crate::process::changeover::Changeover;
use crate::process::decode::Decoder;
use crate::process::outputs::Target;
use crate::process::samples::{Sampler, Samples};
use crate::telemetry::allocations::allocations;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const PIPELINE: &str = "\
name: p
source: { stream: IN }
delivery: exactly-once
key: \"{subject[1]}\"
sink: { subject: \"out.{subject}\" }
dead-letter: off
";
/// Messages of a batch, and batches of a commit.
const BATCH: u64 = 250;
const BATCHES: usize = 3;

fn settings() -> config::resolved::Pipeline {
    let file = format!("weir-processing-{}.yaml", std::process::id());
    let file = std::env::temp_dir().join(file);
    std::fs::write(&file, PIPELINE).unwrap();
    let loaded = config::load(std::slice::from_ref(&file), &|_| None);
    std::fs::remove_file(&file).unwrap();
    loaded.unwrap().remove(0)
}

/// That of a pipeline without operators.
fn processing(settings: config::resolved::Pipeline) -> Processing {
    let target = Target {
        may_loop: false,
        own_source: Vec::new(),
        max_payload: 1 << 20,
        dead_letters: None,
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: "$JS.API".to_owned(),
    };
    let chain = Chain::new(Vec::new(), settings.batch);
    let activity = Arc::new(Activity::new(Vec::new(), chain.place()));
    let processor = Processor::new(&settings, chain, &target);
    let (_, swaps) = mpsc::channel(1);
    let shared = Shared::new(
        Arc::new(settings),
        processor,
        activity,
        Metrics::new().pipeline("p"),
        Arc::new(LogLimit::new((1, Duration::from_secs(1)))),
        (
            Changeover::new(0, 0, swaps),
            Sampler::new(Arc::new(Samples::default())),
        ),
        Arc::new(JobProgress::new(1, 1)),
    );
    Processing::new(Rc::new(shared), Groups::all()).unwrap()
}

#[test]
fn a_message_asks_for_no_memory_of_its_own_between_the_socket_and_its_commit() {
    let settings = settings();
    let decoder = Decoder::new(&settings);
    let mut processing = processing(settings);
    let claim = Held {
        fence: Fence(1),
        checkpoint: Checkpoint {
            inputs: vec![Progress::at("IN@1", 0)],
            ..Checkpoint::default()
        },
    };
    processing.begin(&claim.checkpoint);
    let bounds = Bounds {
        messages: 1000,
        reserve: 100,
        bytes: 4 << 20,
        part: 1 << 20,
    };
    let mut running = Running::new(claim, Compaction::new(0..1024, 1 << 20), bounds);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let message = |sequence: u64| {
        let (subject, payload) = (Bytes::from_static(b"in.a"), Bytes::from_static(b"x"));
        let mut message = Message::received(subject, &Bytes::new(), payload, sequence, 1);
        decoder.decode(&mut message);
        Input {
            input: 0,
            message,
            stored: 1,
            timed: true,
        }
    };
    let mut commit = || {
        for _ in 0..BATCHES {
            let batch: Vec<Input> = (1..=BATCH).map(message).collect();
            let effects = runtime.block_on(processing.process(&batch));
            let fit = running.gather(&batch, effects, processing.unsealed());
            assert_eq!(fit, Fit::Joins);
        }
        let (_, commit) = running.form(&mut processing).unwrap();
        assert_eq!(commit.outputs.len(), BATCHES * BATCH as usize);
        assert!(commit.outputs.iter().all(|output| output.id.is_some()));
        running.stored(Fence(2));
        processing.confirmed();
    };
    commit();
    let count = allocations(commit);
    // A few for each batch and for the commit.
    assert!(count < 100, "{count} allocations");
}
