//! An existing consumer: which settings weir keeps, changes and reports, or refuses.
//!
//! Pure. A consumer that weir has created for this pipeline follows the file. In a consumer that somebody
//! else has created, weir changes only settings that are in the file. It reports every change.

use crate::config::resolved::Pipeline;
use crate::report;
use anyhow::{Result, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, Config, PriorityPolicy};
use std::time::Duration;

/// What is to become of it.
#[derive(Debug)]
pub(super) struct Adopted {
    /// As it is to be; the same as it is where nothing has changed.
    pub(super) config: Config,
    /// What is different then, in words.
    pub(super) changed: Vec<String>,
    /// What is kept, and one should know.
    pub(super) kept: Vec<String>,
}

/// How long the server really waits for an ack.
pub(super) fn ack_wait(config: &Config) -> Duration {
    let shortest = config.backoff.iter().min().copied();
    shortest.unwrap_or(config.ack_wait)
}

/// `asked` is how the consumer would be made if it were not there.
///
/// # Errors
/// Why a pipeline cannot use it, with a hint.
pub(super) fn adopt(there: &Config, asked: Config, pipeline: &Pipeline) -> Result<Adopted> {
    let own = there.description == asked.description;
    refuse(there, own)?;
    let mut config = there.clone();
    let mut changed = Vec::new();
    let mut change = |name: &str, from: String, to: String| {
        if from != to {
            changed.push(format!("{name} from {from} to {to}"));
        }
    };
    let source = &pipeline.source;
    if own || !source.subjects.is_empty() {
        change("filter", filters(there), filters(&asked));
        config.filter_subject = asked.filter_subject;
        config.filter_subjects = asked.filter_subjects;
    }
    if own || source.given.ack_wait {
        let seconds = |wait: Duration| format!("{wait:?}");
        change("ack-wait", seconds(there.ack_wait), seconds(asked.ack_wait));
        config.ack_wait = asked.ack_wait;
    }
    if own || source.given.max_ack_pending {
        let (from, to) = (there.max_ack_pending, asked.max_ack_pending);
        change("max-ack-pending", from.to_string(), to.to_string());
        config.max_ack_pending = asked.max_ack_pending;
    }
    if there.priority_policy != asked.priority_policy {
        change(
            "priority policy",
            format!("{:?}", there.priority_policy),
            format!("{:?}", asked.priority_policy),
        );
        config.priority_policy = asked.priority_policy;
        config.priority_groups = asked.priority_groups;
        config.priority_timeout = asked.priority_timeout;
    }
    let kept = kept(&config, pipeline);
    Ok(Adopted {
        config,
        changed,
        kept,
    })
}

/// The server has two fields for filters, so a single filter equals a list with one.
fn filters(config: &Config) -> String {
    let one = Some(&config.filter_subject).filter(|one| !one.is_empty());
    let mut all: Vec<&str> = one
        .into_iter()
        .chain(&config.filter_subjects)
        .map(|it| &**it)
        .collect();
    all.sort_unstable();
    match all.is_empty() {
        true => "none".to_owned(),
        false => format!("`{}`", all.join("`, `")),
    }
}

fn refuse(there: &Config, own: bool) -> Result<()> {
    let other = "name another `source.consumer`, or delete this one";
    if there.deliver_subject.is_some() {
        let error = anyhow!("it is a push consumer; weir needs a pull consumer");
        return Err(report::hint(error, other));
    }
    if there.ack_policy != AckPolicy::Explicit {
        let policy = there.ack_policy;
        let error = anyhow!("its ack policy is {policy:?}; weir needs explicit acks");
        return Err(report::hint(error, other));
    }
    if there.priority_policy != PriorityPolicy::None && !own {
        let error = anyhow!(
            "its priority policy is {:?}; weir pulls without a group",
            there.priority_policy
        );
        return Err(report::hint(error, other));
    }
    Ok(())
}

/// Settings under which the pipeline works, though not as its file would let one think.
fn kept(config: &Config, pipeline: &Pipeline) -> Vec<String> {
    let (source, mut kept) = (&pipeline.source, Vec::new());
    if config.ack_wait != source.ack_wait && config.backoff.is_empty() {
        kept.push(format!("its ack-wait is {:?}", config.ack_wait));
    }
    if !config.backoff.is_empty() {
        let shortest = ack_wait(config);
        kept.push(format!(
            "its backoff replaces ack-wait: {shortest:?} at least"
        ));
    }
    if config.max_ack_pending != source.max_ack_pending {
        kept.push(format!("its max-ack-pending is {}", config.max_ack_pending));
    }
    if source.subjects.is_empty() && filters(config) != "none" {
        kept.push(format!("it delivers only {}", filters(config)));
    }
    if config.max_deliver > 0 {
        let most = config.max_deliver;
        kept.push(format!(
            "the server gives a message up after {most} deliveries, without a dead letter (max-deliver)"
        ));
    }
    if config.headers_only {
        kept.push("it delivers headers without payloads".to_owned());
    }
    if !config.inactive_threshold.is_zero() {
        let after = config.inactive_threshold;
        kept.push(format!(
            "the server deletes it, with its position, when no host has run for {after:?}"
        ));
    }
    if config.pause_until.is_some() {
        kept.push("it is paused, or was".to_owned());
    }
    kept
}
