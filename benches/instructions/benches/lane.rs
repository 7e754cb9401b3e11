//! A lane's way with a batch, without its connection: stations 2 to 4, the messages of station 5, and
//! the settling of station 6, up to where they would be written.

use super::scene::{self, BATCH, Work};
use async_nats::Subject;
use std::sync::Arc;
use tokio::runtime::Runtime as Tokio;
use weir::config::limits::Limits;
use weir::config::resolved::{Bounds, Grants, HeaderSelection, Operator, Order};
use weir::config::template::Template;
use weir::delivery::in_flight::InFlight;
use weir::delivery::ticket::Ticket;
use weir::message::Message;
use weir::outgoing::Publication;
use weir::process::chain::{Chain, Verdict};
use weir::process::outputs::OutputBuilder;
use weir::process::route::Route;
use weir::telemetry::metrics::{Metrics, PipelineMetrics};

const BOUNDS: Bounds = Bounds {
    messages: 256,
    bytes: 1 << 20,
};

/// The parts of a lane that the walk needs, and what it will be given.
pub(crate) struct Lane {
    tokio: Tokio,
    chain: Chain,
    route: Route,
    outputs: OutputBuilder,
    in_flight: InFlight<Publication>,
    metrics: Arc<PipelineMetrics>,
    deliveries: Vec<(Message, Subject)>,
}

impl Lane {
    pub(crate) fn new(work: Work) -> Self {
        let (tokio, worker) = scene::warm(work);
        let template = Template::parse("bench.out").unwrap();
        let mut lane = Self {
            tokio,
            chain: Chain::new(vec![worker], BOUNDS),
            route: Route::compile(&[operator()]),
            outputs: OutputBuilder::new("bench/work/".into(), template, &[], 1 << 20),
            in_flight: InFlight::new(Order::None, BOUNDS),
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
            self.in_flight.admit(message, ticket, None);
        }
        let tasks = self.in_flight.next_batch(BOUNDS);
        let routed = tasks.iter().map(|id| {
            let message = self.in_flight.get(*id).unwrap().message.clone();
            let operators = self.route.operators(&message.subject);
            (message, operators)
        });
        let batch = routed.collect();
        let verdicts = self.tokio.block_on(self.chain.run(batch));
        for (id, verdict) in tasks.iter().zip(verdicts) {
            let Verdict::Publish(results) = verdict else {
                panic!("{verdict:?}");
            };
            let message = &self.in_flight.get(*id).unwrap().message;
            let publication = self.outputs.build(message, "BENCH@1", results).unwrap();
            self.in_flight.ready(*id, publication);
        }
        let mut messages = 0;
        while let Some(id) = self.in_flight.next_publishable() {
            let task = self.in_flight.finish(id).unwrap();
            if let weir::delivery::in_flight::State::Ready(publication) = &task.state {
                messages += publication.messages().len();
            }
            // Leaves the ticket unredeemed, as nothing is connected; that is counted as well.
            drop(task);
        }
        messages
    }
}

/// The one operator, which sees every message.
fn operator() -> Operator {
    Operator {
        name: "work".into(),
        plugin: weir::config::component::Reference::File("work.wasm".into()),
        config: serde_json::Value::Null,
        subjects: Vec::new(),
        headers: HeaderSelection::None,
        grants: Grants::default(),
        limits: Limits::default(),
        trusted: false,
        rollout: weir::config::resolved::Rollout::default(),
        require_signature: Vec::new(),
    }
}

fn deliveries(work: Work) -> Vec<(Message, Subject)> {
    let delivery = |number| {
        let reply = format!("$JS.ACK.BENCH.weir.1.{number}.{number}.1700000000000000000.0");
        (scene::message(work, number), Subject::from(reply))
    };
    (1..=BATCH).map(delivery).collect()
}
