//! A lane's way with a batch, without its connection: stations 2 to 4, the messages of station 5, and
//! the settling of station 6, up to where they would be written.

use super::scene::{self, BATCH, Work};
use bytes::Bytes;
use bytestring::ByteString;
use std::sync::Arc;
use tokio::runtime::Runtime as Tokio;
use weir::config::resolved::Bounds;
use weir::config::template::Template;
use weir::delivery::in_flight::{InFlight, State};
use weir::delivery::publication::{Publication, Then};
use weir::delivery::ticket::Ticket;
use weir::message::Message;
use weir::process::Processor;
use weir::process::disposition::Disposition;
use weir::process::outputs::{OutputBuilder, Target};
use weir::telemetry::metrics::{Metrics, PipelineMetrics};

const BOUNDS: Bounds = Bounds {
    messages: 256,
    bytes: 1 << 20,
};

/// The parts of a lane that the walk needs, and what it will be given.
pub(crate) struct Lane {
    tokio: Tokio,
    processor: Processor,
    in_flight: InFlight<Publication>,
    source_id: ByteString,
    metrics: Arc<PipelineMetrics>,
    deliveries: Vec<(Message, Bytes)>,
}

impl Lane {
    pub(crate) fn new(work: Work) -> Self {
        let (tokio, worker) = scene::warm(work);
        let template = Template::parse("bench.out").unwrap();
        let outputs = OutputBuilder::new(Some("bench/work/".into()), template, &target());
        let mut lane = Self {
            tokio,
            processor: Processor::of_plugin(worker, BOUNDS).with_outputs(outputs),
            in_flight: InFlight::new(BOUNDS),
            source_id: "BENCH@1".into(),
            metrics: Metrics::new().pipeline("bench"),
            deliveries: deliveries(work),
        };
        lane.walk();
        lane.deliveries = deliveries(work);
        lane
    }

    /// Takes the deliveries from one end to the other; how many messages there were to publish.
    pub(crate) fn walk(&mut self) -> usize {
        for (message, reply) in self.deliveries.drain(..) {
            let ticket = Ticket::claim(reply, &self.metrics).unwrap();
            self.in_flight.admit(message, ticket, None, 0);
        }
        let tasks = self.in_flight.next_batch(BOUNDS);
        let routed = tasks.iter().map(|id| {
            let message = self.in_flight.get(*id).unwrap().message.clone();
            self.processor.route(message)
        });
        let batch = routed.collect();
        let verdicts = self.tokio.block_on(self.processor.call(batch));
        for (id, verdict) in tasks.iter().zip(verdicts) {
            let task = self.in_flight.get(*id).unwrap();
            let disposition = self.processor.judge(task.judged(&self.source_id), verdict);
            let Disposition::Publish(messages) = disposition else {
                panic!("{disposition:?}");
            };
            let publication = Publication::new(messages, Then::Ack);
            self.in_flight.ready(*id, publication);
        }
        let mut messages = 0;
        while let Some(id) = self.in_flight.next_publishable() {
            let task = self.in_flight.finish(id).unwrap();
            if let State::Ready(publication) = &task.state {
                messages += publication.unstored().count();
            }
            // Leaves the ticket unredeemed, as nothing is connected; that is counted as well.
            drop(task);
        }
        messages
    }
}

/// Where results would go.
fn target() -> Target {
    Target {
        may_loop: false,
        own_source: Vec::new(),
        max_payload: 1 << 20,
        dead_letters: None,
        inbox_prefix: "_INBOX".to_owned(),
        api_prefix: "$JS.API".to_owned(),
    }
}

fn deliveries(work: Work) -> Vec<(Message, Bytes)> {
    let delivery = |number| {
        let reply = format!("$JS.ACK.BENCH.weir.1.{number}.{number}.1700000000000000000.0");
        (scene::message(work, number), Bytes::from(reply))
    };
    (1..=BATCH).map(delivery).collect()
}
