//! What shadows need on the server: a durable consumer beside the live one, and a bucket for their reports.
//!
//! All hosts that run the shadow share the consumer. It is deleted when the shadow ends; a forgotten consumer
//! expires. Each host writes its own report, under `<pipeline>.<operator>.<host>`; readers add the reports
//! up.

use super::buckets::{Entry, Keys};
use super::consumers::{durable, info};
use super::streams::{Durable, jetstream};
use super::{Connection, permitted};
use crate::compare::report::{Report, States};
use crate::config::resolved::Pipeline;
use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::kv::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The bucket of all hosts and pipelines.
pub const BUCKET: &str = "weir-shadows";
/// How long a report is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// A shadow's consumer goes when no host has asked it for anything for this long.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// How long a host may keep a message. It gives up comparing long before.
pub const ACK_WAIT: Duration = Duration::from_secs(300);
/// Messages that may wait for the live pipeline.
pub const MOST: usize = 50_000;

/// What one host's shadow has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShadowReport {
    pub pipeline: String,
    pub operator: String,
    /// Name and process id.
    pub host: String,
    /// blake3 of the component that is tried, in hex.
    pub digest: String,
    /// Tells this shadow from an earlier one of the same component: when its consumer was made, or of a job when it was
    /// deployed, in milliseconds since the Unix epoch.
    pub run: u64,
    /// When this host began, RFC 3339.
    pub began: String,
    /// Why it does not go on just now, if so.
    pub problem: Option<String>,
    pub comparison: Report,
    /// Of the partitions of a job that are shadowed here.
    #[serde(default)]
    pub states: BTreeMap<u16, States>,
}

/// The consumer of a shadow: nothing of what it delivers has to be stored.
#[derive(Clone, Debug)]
pub struct ShadowConsumer(Durable);

impl ShadowConsumer {
    #[must_use]
    pub fn durable(&self) -> &Durable {
        &self.0
    }
}

/// The name of a shadow's consumer.
#[must_use]
pub fn consumer(pipeline: &Pipeline, operator: &str, digest: &str) -> String {
    let short = digest.get(..8).unwrap_or(digest);
    format!("{}-shadow-{operator}-{short}", pipeline.source.consumer)
}

/// Makes the consumer of a shadow, which begins with what comes from now on, or finds the one that is
/// there.
///
/// # Errors
/// When the server does not let it.
pub async fn ensure_consumer(
    connection: &Connection,
    pipeline: &Pipeline,
    operator: &str,
    digest: &str,
) -> Result<ShadowConsumer> {
    let source = &pipeline.source;
    let name = consumer(pipeline, operator, digest);
    let what = || format!("cannot use consumer `{name}` of stream `{}`", source.stream);
    let context = jetstream(connection);
    let place = Durable {
        stream: source.stream.clone(),
        consumer: name.clone(),
        ..Default::default()
    };
    if let Some(there) = info(&context, &place).await.with_context(what)? {
        return Ok(ShadowConsumer(durable(&there)));
    }
    let config = pull::Config {
        durable_name: Some(name.clone()),
        description: Some(format!(
            "weir pipeline {}, shadow of operator {operator}",
            pipeline.name
        )),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        filter_subjects: source.subjects.iter().map(ToString::to_string).collect(),
        max_ack_pending: i64::try_from(MOST).unwrap_or(i64::MAX),
        inactive_threshold: FORGOTTEN,
        ..Default::default()
    };
    let api = connection.api.consumer_create(&source.stream, &name);
    let made = context.create_consumer_on_stream(config, &*source.stream);
    let made = permitted(connection, &api, made).await;
    let made = made.and_then(|made| made.map_err(|error| anyhow!("{error}")));
    let made = made.with_context(what)?;
    Ok(ShadowConsumer(durable(made.cached_info())))
}

/// Deletes the consumer of a shadow that has ended. A missing consumer is not an error.
///
/// # Errors
/// When the server does not answer.
pub async fn remove_consumer(
    connection: &Connection,
    pipeline: &Pipeline,
    operator: &str,
    digest: &str,
) -> Result<()> {
    if pipeline.job.is_some() {
        // It has had none.
        return Ok(());
    }
    let name = consumer(pipeline, operator, digest);
    let stream = &pipeline.source.stream;
    let context = jetstream(connection);
    match context.delete_consumer_from_stream(&name, stream).await {
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains("not found") => Ok(()),
        Err(error) => Err(anyhow!("{error}"))
            .with_context(|| format!("cannot delete consumer `{name}` of stream `{stream}`")),
    }
}

/// The bucket of reports.
#[derive(Clone)]
pub struct Shadows(Keys);

impl Shadows {
    /// Finds the bucket, or makes it with this many replicas.
    ///
    /// # Errors
    /// When it is not there and may not be made.
    pub async fn open(connection: &Connection, replicas: usize) -> Result<Self> {
        let config = Config {
            bucket: BUCKET.to_owned(),
            description: "weir: reports of shadows".to_owned(),
            history: 1,
            max_age: KEPT,
            num_replicas: replicas,
            ..Default::default()
        };
        Keys::open(connection, config).await.map(Self)
    }

    /// Finds the bucket.
    ///
    /// # Errors
    /// `Ok(None)` when there is none; an error when the server does not say.
    pub async fn find(connection: &Connection) -> Result<Option<Self>> {
        let found = Keys::find(connection, BUCKET).await?;
        Ok(found.map(Self))
    }

    /// Writes the report of a host in the place of the one before.
    ///
    /// # Errors
    /// When it is not stored.
    pub async fn write(&self, report: &ShadowReport) -> Result<()> {
        let ShadowReport {
            pipeline,
            operator,
            host,
            ..
        } = report;
        let key = format!("{pipeline}.{operator}.{host}");
        let what = || format!("cannot write the report `{key}`");
        let value = serde_json::to_vec(report).with_context(what)?;
        self.0.put(&key, value.into()).await.with_context(what)
    }

    /// The reports of all hosts on an operator.
    ///
    /// # Errors
    /// When not all of them can be read.
    pub async fn list(&self, pipeline: &str, operator: &str) -> Result<Vec<ShadowReport>> {
        let entries = self.0.entries(&format!("{pipeline}.{operator}.>")).await?;
        entries.iter().map(Entry::parse).collect()
    }
}
