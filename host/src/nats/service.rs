//! The host as a NATS service, for `weir status` and every NATS tool.
//!
//! It answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` for the service `weir` (architecture decision record
//! 32 of NATS); the statistics of its one endpoint contain the host's status as JSON. Anybody may ask, with
//! any bytes. So it listens over a separate wire, where no message ends a connection, and answers only to
//! subjects that can be reply subjects.

use super::Connection;
use super::wire::{Message, Parts, Subscription, Wire};
use crate::config::resolved::Nats;
use crate::telemetry::metrics::Counter;
use anyhow::{Result, anyhow};
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Name of the service, in `$SRV.STATS.weir`.
pub const NAME: &str = "weir";
/// The subject of its endpoint: one of the hosts answers there.
const ENDPOINT: &str = "weir.status";
/// Of hosts that ask for one, one answers: what NATS services use unless they say otherwise.
const QUEUE: &str = "q";

/// How long a server may take to know of the subscriptions.
const LONGEST: Duration = Duration::from_secs(2);

/// Answers discovery until it is dropped.
pub struct Discoverable {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Discoverable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The status of a host, computed for each request.
pub type Status = Arc<dyn Fn() -> Value + Send + Sync>;

/// A question that every NATS service answers.
#[derive(Clone, Copy)]
enum Question {
    Ping,
    Info,
    Stats,
}

/// The data for the answers.
struct Service {
    id: String,
    started: String,
    status: Status,
}

impl Service {
    fn answer(&self, question: Question) -> Value {
        let mut endpoint = json!({ "name": ENDPOINT, "subject": ENDPOINT, "queue_group": QUEUE });
        let mut answer = json!({
            "name": NAME, "id": self.id, "version": env!("CARGO_PKG_VERSION"), "metadata": {},
        });
        let mut add = |name: &str, value: Value| {
            let fields = answer.as_object_mut();
            fields.map(|fields| fields.insert(name.to_owned(), value));
        };
        let kind = match question {
            Question::Ping => "ping",
            Question::Info => {
                add(
                    "description",
                    "runs WebAssembly components as stream processors".into(),
                );
                add("endpoints", json!([endpoint]));
                "info"
            }
            Question::Stats => {
                if let Some(fields) = endpoint.as_object_mut() {
                    fields.insert("data".to_owned(), (self.status)());
                }
                add("started", self.started.as_str().into());
                add("endpoints", json!([endpoint]));
                "stats"
            }
        };
        add("type", format!("io.nats.micro.v1.{kind}_response").into());
        answer
    }
}

/// Makes the host discoverable. When it returns, the server knows.
///
/// # Errors
/// When the server cannot be reached. A user without permission to subscribe to `$SRV.>` is not told:
/// the host then runs without being found.
pub async fn announce(settings: &Nats, status: Status) -> Result<Discoverable> {
    let wire = Wire::connect(settings, "service", Counter::default()).await?;
    let service = Service {
        id: wire.new_id(),
        started: jiff::Timestamp::now().to_string(),
        status,
    };
    let mut asked = Vec::new();
    for (verb, question) in [
        ("PING", Question::Ping),
        ("INFO", Question::Info),
        ("STATS", Question::Stats),
    ] {
        let of_this = format!(".{NAME}.{}", service.id);
        for of in ["", ".weir", &of_this] {
            asked.push((wire.subscribe(&format!("$SRV.{verb}{of}")), question));
        }
    }
    let endpoint = wire.subscribe_in_turn(ENDPOINT, QUEUE);
    let _ = tokio::time::timeout(LONGEST, wire.flush()).await;
    let task = tokio::spawn(async move {
        let (wire, service) = (&wire, &service);
        let discovery = asked
            .into_iter()
            .map(|(questions, question)| serve(wire, questions, move || service.answer(question)));
        let endpoint = serve(wire, endpoint, || (service.status)());
        tokio::join!(join_all(discovery), endpoint);
    });
    Ok(Discoverable { task })
}

/// Answers all questions of a subscription.
async fn serve(wire: &Wire, mut questions: Subscription, answer: impl Fn() -> Value) {
    while let Some(question) = questions.next().await {
        if !may_be_answered(&question) {
            continue;
        }
        let answer = answer().to_string();
        let parts = Parts {
            subject: &question.reply,
            payload: answer.as_bytes(),
            ..Parts::default()
        };
        wire.room().await;
        if wire.publish(&parts).is_err() {
            tracing::debug!(
                "cannot answer a question for the status: its reply subject is invalid"
            );
        }
    }
}

/// Whether an answer may go to the reply subject of a question. One to a subject of the server, `$JS.API...`,
/// would be a command, given with the permissions of the host.
fn may_be_answered(question: &Message) -> bool {
    !question.reply.is_empty() && !question.reply.starts_with(b"$")
}

/// The status of every host that answers within `wait`.
///
/// # Errors
/// When the connection is closed.
pub async fn discover(connection: &Connection, wait: Duration) -> Result<Vec<Value>> {
    #[derive(serde::Deserialize)]
    struct Stats {
        id: String,
        version: String,
        #[serde(default)]
        endpoints: Vec<Endpoint>,
    }
    #[derive(serde::Deserialize)]
    struct Endpoint {
        #[serde(default)]
        data: Value,
    }
    let client = connection.client();
    let inbox = client.new_inbox();
    let mut answers = client
        .subscribe(inbox.clone())
        .await
        .map_err(anyhow::Error::msg)?;
    let question = format!("$SRV.STATS.{NAME}");
    client
        .publish_with_reply(question, inbox, "".into())
        .await
        .map_err(|error| anyhow!("{}", error.kind()))?;
    let deadline = tokio::time::Instant::now() + wait;
    let mut hosts = Vec::new();
    while let Ok(Some(answer)) = tokio::time::timeout_at(deadline, answers.next()).await {
        if answer.status.is_some_and(|status| status.as_u16() == 503) {
            break;
        }
        let Ok(stats) = serde_json::from_slice::<Stats>(&answer.payload) else {
            continue;
        };
        for endpoint in stats.endpoints {
            let mut status = endpoint.data;
            if let Some(fields) = status.as_object_mut() {
                // A host of another version may not say its name.
                let id = stats.id.clone();
                fields.entry("host").or_insert_with(|| id.clone().into());
                fields.insert("service_id".into(), id.into());
                fields.insert("version".into(), stats.version.clone().into());
            }
            hosts.push(status);
        }
    }
    Ok(hosts)
}
