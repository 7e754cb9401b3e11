//! Plugins that are ready to be called, and messages for them.

use crate::Measure;
use anyhow::{Context, Result};
use bytes::Bytes;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use weir::config::limits::{Isolation, Limits};
use weir::config::resolved::HeaderSelection;
use weir::headers::Headers;
use weir::message::Message;
use weir::plugin::{LoadOptions, OperatorSettings, Plugin, Runtime, RuntimeOptions, Worker};
use weir::telemetry::metrics::Metrics;

/// Messages in a call unless it is said otherwise.
pub(crate) const BATCH: usize = 64;

/// A runtime and the folder of the plugins.
pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    plugins: PathBuf,
}

/// How an operator uses its plugin.
#[derive(Clone)]
pub(crate) struct Use {
    pub(crate) config: String,
    pub(crate) headers: HeaderSelection,
    pub(crate) trusted: bool,
    pub(crate) isolation: Isolation,
}

impl Default for Use {
    /// As a pipeline has it that says nothing.
    fn default() -> Self {
        Self {
            config: "null".to_owned(),
            headers: HeaderSelection::None,
            trusted: false,
            isolation: Isolation::Lane,
        }
    }
}

impl Scene {
    pub(crate) fn new(measure: &Measure) -> Result<Self> {
        let cache = measure.out.join("compiled");
        if !cache.exists() {
            closed_folder(&cache)?;
        }
        Ok(Self {
            runtime: runtime(Some(cache), 64)?,
            plugins: measure.plugins.clone(),
        })
    }

    /// The plugin in this file.
    pub(crate) fn plugin(&self, file: &str, trusted: bool) -> Result<Arc<Plugin>> {
        let options = LoadOptions {
            trusted,
            ..LoadOptions::default()
        };
        self.runtime.load_with(&self.plugins.join(file), options)
    }

    /// A worker without an instance yet.
    pub(crate) fn worker(&self, file: &str, how: &Use) -> Result<Worker> {
        let plugin = self.plugin(file, how.trusted)?;
        Ok(Worker::new(&self.runtime, plugin, settings(how)))
    }
}

/// A runtime for so many instances.
pub(crate) fn runtime(cache_dir: Option<PathBuf>, max_instances: u32) -> Result<Runtime> {
    Runtime::new(RuntimeOptions {
        cache_dir,
        max_instances,
        compiler: None,
    })
}

/// The settings of an operator, with the limits that it has unless it says otherwise.
pub(crate) fn settings(how: &Use) -> Arc<OperatorSettings> {
    Arc::new(OperatorSettings {
        pipeline: "bench".into(),
        operator: "work".into(),
        config: how.config.clone(),
        headers: how.headers.clone(),
        limits: Limits {
            isolation: how.isolation,
            // Other work on the machine must not end a call.
            deadline: Duration::from_secs(30),
            ..Limits::default()
        },
        windows: None,
        metrics: Metrics::new().operator("bench", "work"),
    })
}

/// An empty folder that only this user may enter; the runtime trusts no other for its cache.
pub(crate) fn closed_folder(folder: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder, mode).context("cannot close the cache to others")
}

/// So many messages with a payload of so many bytes and so many headers.
pub(crate) fn messages(count: usize, payload: usize, headers: usize) -> Vec<Message> {
    let numbers = 1..=count as u64;
    numbers
        .map(|number| message(number, format!("{number:0payload$}").into(), headers))
        .collect()
}

/// So many orders of some 300 bytes.
pub(crate) fn orders(count: usize) -> Vec<Message> {
    let numbers = 1..=count as u64;
    numbers
        .map(|number| message(number, order(number).into(), 0))
        .collect()
}

fn order(number: u64) -> String {
    let line = |index: u64| {
        let item = format!("item-{}", (number * 7 + index) % 5000);
        serde_json::json!({"item": item, "quantity": 1 + index, "unit-cents": 99 + number})
    };
    let lines: Vec<_> = (0..1 + number % 6).map(line).collect();
    serde_json::json!({"id": number, "user": "user-17", "currency": "EUR", "lines": lines})
        .to_string()
}

fn message(sequence: u64, payload: Bytes, headers: usize) -> Message {
    let lines = (0..headers).map(|line| {
        (
            format!("Header-{line}").into(),
            format!("value {line}").into(),
        )
    });
    let headers: Headers = lines.collect();
    Message {
        watermark: None,
        is_late: false,
        source: None,
        foreign: None,
        subject: "bench.in".into(),
        payload,
        headers,
        key: None,
        event_time: 1_790_000_000_000_000_000,
        sequence,
        attempt: 1,
    }
}
