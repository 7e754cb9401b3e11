//! Applies a swap to every lane, between two of its batches, with a receipt for each.

use crate::nats::deployments::Component;
use crate::nats::receipts::{Receipt, Receipts, Version, Written, host};
use crate::plugin::OperatorSettings;
use crate::process::chain::Change;
use crate::process::changeover::{Report, Swap};
use crate::report;
use crate::rollout::Deployer;
use crate::rollout::versions::{ActiveVersions, LaneHandle};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often to look whether lanes that have not answered are still there.
const LOOK: Duration = Duration::from_millis(500);
/// Tries to complete a receipt, a second apart.
const TRIES: u32 = 30;

/// A change, and what its receipts say.
pub(crate) struct SwapRound {
    pub(crate) operator: usize,
    /// For lanes that start.
    pub(crate) next: ActiveVersions,
    /// The same for lanes that have started: one for each, with workers that are warm.
    pub(crate) changes: Vec<Change>,
    /// In a word or two.
    pub(crate) what: String,
    /// Digest of the version that ends.
    pub(crate) old: String,
    pub(crate) new: Component,
}

impl Deployer {
    /// How many lanes have taken it.
    ///
    /// # Errors
    /// When a receipt cannot be begun: nothing has changed then.
    pub(crate) async fn run_round(&self, round: SwapRound) -> Result<usize> {
        let SwapRound {
            operator,
            next,
            changes,
            what,
            old,
            new,
        } = round;
        let running = self.version(operator);
        let settings = running.context("there is no such operator")?.settings;
        let receipt = |lane: usize| Receipt {
            id: String::new(),
            pipeline: settings.pipeline.clone(),
            operator: settings.operator.clone(),
            host: host(),
            lane,
            what: what.clone(),
            old: version(&old),
            new: version(&new.digest),
            origin: new.origin.clone(),
            began: jiff::Timestamp::now().to_string(),
            taken: None,
        };
        let attachment = self.pipeline.attached().await;
        let replicas = attachment.ensured.replicas;
        let receipts = Receipts::open(&attachment.connection, replicas).await?;
        let (handles, written) = self.adopt(&next, &receipts, receipt).await?;
        let (reports, heard) = mpsc::channel(2 * changes.len().max(1));
        let mut lanes = Vec::new();
        for (handle, change) in handles.into_iter().zip(changes) {
            let reports = reports.clone();
            let swap = Swap {
                operator,
                change,
                reports,
            };
            // A lane that has just ended takes the new version when it starts again.
            if handle.swaps.try_send(swap).is_ok() {
                lanes.push(handle);
            }
        }
        let writer = ReceiptWriter {
            receipts,
            written,
            settings,
        };
        let (all, taken) = oneshot::channel();
        tokio::spawn(writer.keep(heard, lanes, all));
        Ok(taken.await.unwrap_or_default())
    }

    /// Lanes start with this from now on; those that have started have receipts for it. The receipts are
    /// begun first, because what fails there has changed nothing; a lane that starts meanwhile does so
    /// with what ran before, and gets one as well.
    async fn adopt(
        &self,
        next: &ActiveVersions,
        receipts: &Receipts,
        receipt: impl Fn(usize) -> Receipt,
    ) -> Result<(Vec<LaneHandle>, Vec<Written>)> {
        let mut written: Vec<Written> = Vec::new();
        loop {
            let has_receipt = |lane| written.iter().any(|written| written.receipt.lane == lane);
            let lane = match self.pipeline.versions.adopt_on_lanes(next, has_receipt) {
                Ok(handles) => return Ok((handles, written)),
                Err(lane) => lane,
            };
            match receipts.begin(receipt(lane), number()).await {
                Ok(receipt) => written.push(receipt),
                Err(error) => {
                    withdraw(receipts, written).await;
                    return Err(error);
                }
            }
        }
    }
}

/// The swap is not made.
async fn withdraw(receipts: &Receipts, written: Vec<Written>) {
    for written in written {
        if let Err(error) = receipts.withdraw(written).await {
            tracing::warn!("{}", report::line(&error));
        }
    }
}

/// Completes the receipts of one swap.
struct ReceiptWriter {
    receipts: Receipts,
    written: Vec<Written>,
    settings: Arc<OperatorSettings>,
}

impl ReceiptWriter {
    /// Waits until every lane has reported the first message of its new version, or is gone. Sends to `all`
    /// how many lanes have the new version as soon as the number is final.
    async fn keep(
        mut self,
        mut heard: mpsc::Receiver<Report>,
        lanes: Vec<LaneHandle>,
        all: tokio::sync::oneshot::Sender<usize>,
    ) {
        let mut all = Some(all);
        let mut taken = Vec::new();
        loop {
            let waits =
                |handle: &LaneHandle| !taken.contains(&handle.lane) && !handle.swaps.is_closed();
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
        for left in (0..TRIES).rev() {
            match self.receipts.complete(written).await {
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
