//! How a new version of a plugin takes the place of the one that runs. START HERE.
//!
//! 1. `watch.rs` sees that a plugin's file has changed, and reads it when its write is complete;
//!    `follow.rs` sees that a tag names another version, and fetches that;
//! 2. `prepare.rs` compiles it, asks whether it fits, configures an instance for each lane and tries
//!    it with messages that the pipeline has lately worked on: all of it off the corridor;
//! 3. a receipt is begun for each lane (`nats/receipts.rs`);
//! 4. each lane finishes what the old version has returned and goes on with the new one
//!    (`pipeline/swap.rs`);
//! 5. the receipts are completed with the messages at which the one ended and the other began.
//!
//! What fails before the lanes are told leaves the old version running, and says why in the log, in
//! `weir status` and in a metric.

pub(super) mod follow;
mod prepare;
pub(super) mod watch;

use super::running::Running;
use super::swap::{Report, Swap};
use super::versions::{Refusal, Seat};
use crate::nats::receipts::{Receipt, Receipts, Version, Written};
use crate::plugin::{OperatorSettings, Runtime};
use crate::report;
use anyhow::{Context, Result};
use prepare::Prepared;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often to look whether lanes that have not answered are still there.
const LOOK: Duration = Duration::from_millis(500);
/// Tries to complete a receipt, a second apart.
const TRIES: u32 = 30;

/// The bytes of what may become a new version.
pub(super) struct Candidate {
    /// Index in the chain.
    pub(super) operator: usize,
    pub(super) bytes: Vec<u8>,
    /// Names it in errors and receipts.
    pub(super) origin: String,
}

/// Deploys new versions to the lanes of one pipeline, one after the other.
pub(super) struct Deployer {
    pub(super) pipeline: Arc<Running>,
    pub(super) runtime: Runtime,
}

impl Deployer {
    /// Takes candidates as they come. Never ends.
    pub(super) async fn run(self, mut candidates: mpsc::Receiver<Candidate>) {
        while let Some(candidate) = candidates.recv().await {
            self.consider(candidate).await;
        }
        std::future::pending().await
    }

    async fn consider(&self, candidate: Candidate) {
        let Candidate {
            operator, origin, ..
        } = &candidate;
        let (operator, origin) = (*operator, origin.clone());
        let Some((running, settings)) = self.pipeline.versions.loaded().get(operator).cloned()
        else {
            return;
        };
        let digest = blake3::hash(&candidate.bytes).to_hex().to_string();
        if digest == running.digest() {
            self.pipeline.versions.refuse(operator, None);
            return;
        }
        let (pipeline, name) = (&settings.pipeline, &settings.operator);
        match self.deploy(candidate, &settings, running.digest()).await {
            Ok(lanes) => {
                self.pipeline.versions.refuse(operator, None);
                tracing::info!(pipeline, operator = name, origin, digest, lanes, "swapped");
            }
            Err(error) => {
                settings.metrics.swaps_refused.inc();
                let refusal = Refusal::new(origin.clone(), digest, &error);
                tracing::error!(
                    pipeline,
                    operator = name,
                    hint = refusal.problem.hint(),
                    "the old version goes on: {}",
                    refusal.problem.what
                );
                self.pipeline.versions.refuse(operator, Some(refusal));
            }
        }
    }

    /// How many lanes have taken it.
    async fn deploy(
        &self,
        candidate: Candidate,
        settings: &Arc<OperatorSettings>,
        old: &str,
    ) -> Result<usize> {
        let (operator, origin) = (candidate.operator, candidate.origin.clone());
        let versions = &self.pipeline.versions;
        let count = self.pipeline.settings.lanes;
        let (pipeline, runtime) = (Arc::clone(&self.pipeline), self.runtime.clone());
        let preparing = tokio::task::spawn_blocking(move || {
            prepare::prepare(&candidate, &pipeline, &runtime, count)
        });
        let Prepared { plugin, workers } = preparing
            .await
            .context("the preparation of a plugin panicked; this is a fault of weir")??;
        let digest = plugin.digest().to_owned();
        let receipt = |lane: usize| Receipt {
            pipeline: settings.pipeline.clone(),
            operator: settings.operator.clone(),
            host: host(),
            lane,
            old: version(old),
            new: version(&digest),
            origin: origin.clone(),
            began: jiff::Timestamp::now().to_string(),
            taken: None,
        };
        let receipts = match self.pipeline.post() {
            Some(post) => Some(Receipts::open(&post.connection, post.ensured.replicas).await?),
            None => None,
        };
        let (reports, heard) = mpsc::channel(2 * count.max(1));
        // In this order: a lane that starts meanwhile has its seat before this looks at the seats, or
        // has the new version from its beginning.
        let before = versions.loaded();
        versions.adopt(operator, plugin);
        let seats = versions.seats();
        let mut swaps = Vec::new();
        for (seat, worker) in seats.into_iter().zip(workers) {
            let written = match &receipts {
                Some(receipts) => match receipts.begin(receipt(seat.lane), number()).await {
                    Ok(written) => Some(written),
                    Err(error) => {
                        if let Some((plugin, _)) = before.get(operator) {
                            versions.adopt(operator, Arc::clone(plugin));
                        }
                        return Err(error);
                    }
                },
                None => None,
            };
            swaps.push((seat, worker, written));
        }
        let mut written = Vec::new();
        let mut lanes = Vec::new();
        for (seat, worker, receipt) in swaps {
            let reports = reports.clone();
            let swap = Swap {
                operator,
                worker,
                reports,
            };
            // A lane that has just ended takes the new version when it starts again.
            if seat.swaps.try_send(swap).is_ok() {
                lanes.push(seat);
            }
            written.extend(receipt);
        }
        let book = Book {
            receipts,
            written,
            settings: Arc::clone(settings),
        };
        let (all, taken) = tokio::sync::oneshot::channel();
        tokio::spawn(book.keep(heard, lanes, all));
        Ok(taken.await.unwrap_or_default())
    }
}

/// Completes the receipts of one swap.
struct Book {
    receipts: Option<Receipts>,
    written: Vec<Written>,
    settings: Arc<OperatorSettings>,
}

impl Book {
    /// Until every lane has said with which message its new version began, or is gone. Tells `all`
    /// how many have the new version as soon as no other will.
    async fn keep(
        mut self,
        mut heard: mpsc::Receiver<Report>,
        lanes: Vec<Seat>,
        all: tokio::sync::oneshot::Sender<usize>,
    ) {
        let mut all = Some(all);
        let mut taken = Vec::new();
        loop {
            let waits = |seat: &Seat| !taken.contains(&seat.lane) && !seat.swaps.is_closed();
            if !lanes.iter().any(waits)
                && let Some(all) = all.take()
            {
                // The deployer may have stopped with the host.
                let _ = all.send(taken.len());
            }
            let report = tokio::select! {
                report = heard.recv() => match report {
                    Some(report) => report,
                    None => break,
                },
                () = tokio::time::sleep(LOOK), if all.is_some() => continue,
            };
            if let Report::Taken { lane, .. } = report {
                self.settings.metrics.swaps.inc();
                taken.push(lane);
            }
            self.note(report).await;
        }
        if let Some(all) = all {
            let _ = all.send(taken.len());
        }
    }

    async fn note(&mut self, report: Report) {
        let (Report::Taken { lane, .. } | Report::First { lane, .. }) = report;
        let written = self.written.iter_mut();
        let Some(written) = written.into_iter().find(|each| each.receipt.lane == lane) else {
            return;
        };
        match report {
            Report::Taken { last, .. } => {
                written.receipt.old.sequence = last;
                written.receipt.taken = Some(jiff::Timestamp::now().to_string());
            }
            Report::First { sequence, .. } => written.receipt.new.sequence = Some(sequence),
        }
        let Some(receipts) = &self.receipts else {
            return;
        };
        for left in (0..TRIES).rev() {
            match receipts.complete(written).await {
                Ok(()) => return,
                Err(error) if left == 0 => {
                    self.settings.metrics.receipts_failed.inc();
                    tracing::error!("{}", report::line(&error));
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

fn version(digest: &str) -> Version {
    Version {
        digest: digest.to_owned(),
        sequence: None,
    }
}

/// Tells the swaps of a lane apart, in the order of time: nanoseconds since 1970.
fn number() -> u64 {
    let now = jiff::Timestamp::now().as_nanosecond();
    u64::try_from(now).unwrap_or_default()
}

/// This process among all hosts, as a part of a key: name and process id.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.ok().or_else(|| std::env::var("HOSTNAME").ok());
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c,
        _ => '-',
    };
    let name: String = name
        .as_deref()
        .map_or("host", str::trim)
        .chars()
        .map(plain)
        .collect();
    format!("{name}-{}", std::process::id())
}
