//! Looks up keys of views in their buckets.
//!
//! Every host of a job reads the same buckets, so it does not matter which host owns a key. Nothing is
//! cached.

use super::running::Running;
use crate::config::resolved::{self, View as Settings};
use crate::job::jetstream::Changes;
use crate::nats::views::{Bucket, Entry};
use crate::nats::wire::Wire;
use crate::telemetry::metrics::{Counter, PipelineMetrics};
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// Bytes of values in a page, about; and messages that are looked at for one.
const PAGE_BYTES: usize = 1 << 20;
const PAGE_SCAN: usize = 10_000;
/// How long to wait for a message that was there, before looking whether it still is.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the top of this file.
pub struct View {
    pipeline: Arc<Running>,
    settings: Settings,
    /// For pages and watches; made when the first of them is asked for.
    wire: OnceCell<Wire>,
}

/// Some of the keys of a view, in the order of their last changes.
#[derive(Debug, Default)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// The revision behind which to go on.
    pub after: u64,
    /// Whether there is more.
    pub more: bool,
}

/// What changes in a view, from a revision on.
pub struct Watch {
    bucket: Bucket,
    changes: Changes,
    prefix: String,
}

/// The views of these pipelines.
pub(super) fn of(pipelines: &[Arc<Running>]) -> Vec<Arc<View>> {
    let each = pipelines.iter().flat_map(|pipeline| {
        all(&pipeline.settings).iter().map(|settings| {
            Arc::new(View {
                pipeline: Arc::clone(pipeline),
                settings: settings.clone(),
                wire: OnceCell::new(),
            })
        })
    });
    each.collect()
}

/// Those of a pipeline, for its status.
pub(super) fn status(settings: &resolved::Pipeline) -> Value {
    let views = all(settings).iter();
    let views = views.map(|view| json!({ "name": view.name, "bucket": view.bucket }));
    views.collect()
}

fn all(settings: &resolved::Pipeline) -> &[Settings] {
    let job = settings.job.as_ref();
    job.map(|job| &*job.views).unwrap_or_default()
}

impl View {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "name": self.settings.name,
            "pipeline": self.pipeline.settings.name,
            "from": self.settings.from.words(),
            "key": self.settings.key.as_str(),
            "bucket": self.settings.bucket,
        })
    }

    #[must_use]
    pub fn metrics(&self) -> &PipelineMetrics {
        &self.pipeline.metrics
    }

    /// What it says of a key; none if there is nothing.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let found = self.bucket()?.get(key).await?;
        Ok(found.filter(|found| found.value.is_some()))
    }

    /// At most `limit` of the keys that begin with `prefix`, behind a revision.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn page(&self, prefix: &str, after: u64, limit: usize) -> Result<Page> {
        let bucket = self.bucket()?;
        let mut last = bucket.last().await?;
        let mut page = Page {
            after,
            ..Page::default()
        };
        if after >= last {
            return Ok(page);
        }
        let mut watch = self.read(bucket, prefix, after).await?;
        let (mut bytes, mut scanned) = (0, 0);
        while page.after < last {
            page.more = page.entries.len() >= limit || bytes >= PAGE_BYTES || scanned >= PAGE_SCAN;
            if page.more {
                break;
            }
            // What was there may be gone by now, and nothing come after it.
            let Ok(next) = timeout(PATIENCE, watch.read()).await else {
                last = watch.bucket.last().await?;
                continue;
            };
            let (revision, entry) = next?;
            (page.after, scanned) = (revision, scanned + 1);
            if let Some(entry) = entry.filter(|entry| entry.value.is_some()) {
                bytes += entry.key.len() + entry.value.as_ref().map_or(0, bytes::Bytes::len);
                page.entries.push(entry);
            }
        }
        Ok(page)
    }

    /// Follows the keys that begin with `prefix`, from behind a revision on; from the beginning, if the bucket has
    /// none that late, because it was created again.
    ///
    /// # Errors
    /// When the server does not let it.
    pub async fn watch(&self, prefix: &str, after: u64) -> Result<Watch> {
        let bucket = self.bucket()?;
        let last = bucket.last().await?;
        let after = if after > last { 0 } else { after };
        self.read(bucket, prefix, after).await
    }

    async fn read(&self, bucket: Bucket, prefix: &str, after: u64) -> Result<Watch> {
        let settings = &self.pipeline.settings.nats;
        let connect = || Wire::connect(settings, "views", Counter::default());
        let wire = self.wire.get_or_try_init(connect).await?;
        Ok(Watch {
            changes: Changes::behind(wire.clone(), &bucket.stream, bucket.all(), after),
            prefix: prefix.to_owned(),
            bucket,
        })
    }

    fn bucket(&self) -> Result<Bucket> {
        let attachment = self.pipeline.attachment();
        let attachment = attachment.with_context(|| {
            let pipeline = &self.pipeline.settings.name;
            format!("pipeline `{pipeline}` is starting")
        })?;
        Ok(Bucket::new(&attachment.connection, &self.settings))
    }
}

impl Watch {
    /// Waits for the next change. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the bucket cannot be read any more.
    pub async fn next(&mut self) -> Result<Entry> {
        loop {
            if let (_, Some(entry)) = self.read().await? {
                return Ok(entry);
            }
        }
    }

    /// The next message of the bucket, and what it says if it is of such a key.
    async fn read(&mut self) -> Result<(u64, Option<Entry>)> {
        let (message, revision) = self
            .changes
            .next()
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let payload = message.payload;
        let entry = self
            .bucket
            .entry(&message.subject, revision, &message.headers, payload);
        Ok((
            revision,
            entry.filter(|entry| entry.key.starts_with(&self.prefix)),
        ))
    }
}
