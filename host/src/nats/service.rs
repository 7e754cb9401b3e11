//! The host as a NATS service, so that `weir status` and every NATS tool can find it.
//!
//! Answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` for the service `weir`; the statistics of its
//! one endpoint carry the host's status as JSON.

use super::Connection;
use anyhow::{Result, anyhow};
use async_nats::service::{Service, ServiceExt};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Name of the service, in `$SRV.STATS.weir`.
pub const NAME: &str = "weir";

/// Answers discovery until it is dropped.
pub struct Discoverable {
    _service: Service,
    endpoint: tokio::task::JoinHandle<()>,
}

impl Drop for Discoverable {
    fn drop(&mut self) {
        self.endpoint.abort();
    }
}

/// Status of a host, made anew for each question.
pub type Status = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Makes the host discoverable.
///
/// # Errors
/// When the connection is closed. A user without permission to subscribe to `$SRV.>` is not told:
/// the host then runs without being found.
pub async fn announce(connection: &Connection, status: Status) -> Result<Discoverable> {
    let for_stats = Arc::clone(&status);
    let service = connection
        .client
        .service_builder()
        .description("runs WebAssembly components as stream processors")
        .stats_handler(move |_, _| for_stats())
        .start(NAME, env!("CARGO_PKG_VERSION"))
        .await
        .map_err(|error| anyhow!("cannot announce the host as a service: {error}"))?;
    let mut requests = service
        .endpoint("weir.status")
        .await
        .map_err(|error| anyhow!("cannot answer requests for the status: {error}"))?;
    let endpoint = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Err(error) = request.respond(Ok(status().to_string().into())).await {
                tracing::debug!("cannot answer a request for the status: {error}");
            }
        }
    });
    Ok(Discoverable {
        _service: service,
        endpoint,
    })
}

/// The status of every host that answers within `wait`.
///
/// # Errors
/// When the connection is closed.
pub async fn discover(connection: &Connection, wait: Duration) -> Result<Vec<serde_json::Value>> {
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
        data: serde_json::Value,
    }
    let client = &connection.client;
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
                fields.insert("service_id".into(), stats.id.clone().into());
                fields.insert("version".into(), stats.version.clone().into());
            }
            hosts.push(status);
        }
    }
    Ok(hosts)
}
