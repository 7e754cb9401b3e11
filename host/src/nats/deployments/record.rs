//! The record of one operator, and how decisions change it. Pure: uses no server.
//!
//! Two invariants hold whatever commands and hosts decide: a version in quarantine never replaces another
//! version, and a version that a host cannot run leaves all hosts with their previous versions.

use crate::report::escape::{self, cut};
use crate::telemetry::version_stats::Sample;
use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// Most bytes of a record.
const LARGEST: usize = 1 << 20;
/// Versions that are remembered as bad, for each operator.
const QUARANTINED: usize = 32;
/// Decisions that are kept beside the last one.
const EARLIER: usize = 8;

/// What was decided where a host could not run a version.
pub const REFUSED: &str = "refused";
/// What was decided where a version was worse, or was gone back over by hand.
pub const ROLLED_BACK: &str = "rolled back";
/// The same where one has gone back to a version in quarantine. That one is watched.
pub const FORCED_BACK: &str = "rolled back by force";

/// A component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// blake3 of its bytes, in hex: its name in the bucket of components.
    pub digest: String,
    /// Where it came from, for people.
    pub origin: String,
}

/// What an operator is to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// `<pipeline>.<operator>`: the key that it was written to. Empty in older records.
    pub(super) of: String,
    /// In the place of what `plugin:` names.
    pub stable: Option<Stable>,
    /// What `stable` was before, for when a host cannot run it.
    pub before: Option<Before>,
    /// Beside it.
    pub trial: Option<Trial>,
    pub quarantine: Vec<Quarantined>,
    pub last: Decision,
    /// The decisions before the last, the latest of them last.
    pub earlier: Vec<Decision>,
}

/// What runs in the place of what `plugin:` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stable {
    pub component: Component,
    /// The digests of what `plugin:` named when this was decided. A host for which it names another
    /// component since runs that: the last decision wins.
    pub over: Vec<String>,
}

/// What a deployed version has taken the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The version that was deployed.
    pub deployed: String,
    /// `None` where hosts ran what `plugin:` named.
    pub stable: Option<Stable>,
}

/// What is tried beside the version that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub component: Component,
    pub kind: TrialKind,
    /// As in [`Stable`], for when it takes over.
    pub over: Vec<String>,
}

/// How it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialKind {
    /// It sees this many percent of the keys.
    Canary(f64),
    /// It sees everything, and publishes nothing.
    Shadow,
}

/// A version that was worse than the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    pub digest: String,
    pub reason: String,
    /// RFC 3339.
    pub since: String,
}

/// Why it is as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// What was done, in a word or two: `deployed`, `rolled back`, ...
    pub what: String,
    /// The version that it was done to.
    pub digest: String,
    pub reason: Option<String>,
    /// Messages that failed.
    pub samples: Vec<Sample>,
    /// RFC 3339.
    pub at: String,
}

impl Decision {
    /// Made now.
    #[must_use]
    pub fn new(what: &str, digest: &str, reason: Option<String>) -> Self {
        Self {
            what: what.to_owned(),
            digest: digest.to_owned(),
            reason,
            samples: Vec::new(),
            at: now(),
        }
    }

    /// When it was made, in milliseconds since the Unix epoch; 0 if that cannot be read.
    #[must_use]
    pub fn milliseconds(&self) -> u64 {
        let at = self.at.parse().map(jiff::Timestamp::as_millisecond);
        at.map_or(0, |at| u64::try_from(at).unwrap_or_default())
    }

    /// Whether a version was not taken, or not kept.
    #[must_use]
    pub fn undoes(&self) -> bool {
        [REFUSED, ROLLED_BACK, FORCED_BACK, "abandoned"].contains(&&*self.what)
    }
}

impl Deployment {
    /// Reads what the key `of` says. Whoever may write to the bucket may write anything, so nothing of it is
    /// believed: a component's bytes must have its digest, and its signature must be one that the operator
    /// requires.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(value: &[u8], of: &str) -> Result<Self> {
        ensure!(value.len() <= LARGEST, "it has {} bytes", value.len());
        let record: Self = serde_json::from_slice(value)?;
        if !record.of.is_empty() && record.of != of {
            bail!("it is that of `{}`", escape::line(&record.of));
        }
        let components = record.components();
        let digests = components.iter().map(|component| &component.digest);
        let over = record.stable.iter().flat_map(|stable| &stable.over);
        let quarantined = record.quarantine.iter().map(|bad| &bad.digest);
        for digest in digests.chain(over).chain(quarantined) {
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if digest.len() != 64 || !digest.bytes().all(is_hex) {
                bail!("`{}` is not a digest", escape::line(cut(digest, 80)));
            }
        }
        let kind = record.trial.as_ref().map(|trial| trial.kind);
        if let Some(TrialKind::Canary(percent)) = kind
            && !(0.0..=100.0).contains(&percent)
        {
            bail!("a canary cannot have {percent}% of the keys");
        }
        let (bad, earlier) = (record.quarantine.len(), record.earlier.len());
        ensure!(
            bad <= QUARANTINED && earlier <= EARLIER,
            "it has more entries than a host writes"
        );
        Ok(record)
    }

    /// All that it names for a host to run.
    fn components(&self) -> Vec<&Component> {
        let before = self
            .before
            .iter()
            .filter_map(|before| before.stable.as_ref());
        let stable = self.stable.iter().chain(before);
        let stable = stable.map(|stable| &stable.component);
        let trial = self.trial.iter().map(|trial| &trial.component);
        stable.chain(trial).collect()
    }

    /// The component that a host runs for which `plugin:` names `configured`, if it is another. What is
    /// in quarantine runs nowhere: neither in the place of another, nor where anything else is known.
    #[must_use]
    pub fn instead_of(&self, configured: &str) -> Option<&Component> {
        self.in_place_of(configured, self.stable.as_ref())
    }

    /// The same where `stable` is what runs in the place of what is configured.
    fn in_place_of<'a>(
        &self,
        configured: &str,
        stable: Option<&'a Stable>,
    ) -> Option<&'a Component> {
        let stable = stable?;
        let applies = stable.over.iter().any(|digest| digest == configured)
            || self.quarantined(configured).is_some();
        let sound = self.quarantined(&stable.component.digest).is_none();
        (applies && sound).then_some(&stable.component)
    }

    /// Why a version must not run.
    #[must_use]
    pub fn quarantined(&self, digest: &str) -> Option<&Quarantined> {
        self.quarantine.iter().find(|each| each.digest == digest)
    }

    /// Lets no host take a version any more.
    pub(super) fn banish(&mut self, digest: &str, reason: &str) {
        self.release(digest);
        // Its release alone lets it run nowhere again.
        self.stable
            .take_if(|stable| stable.component.digest == digest);
        let excess = (self.quarantine.len() + 1).saturating_sub(QUARANTINED);
        self.quarantine.drain(..excess);
        self.quarantine.push(Quarantined {
            digest: digest.to_owned(),
            reason: reason.to_owned(),
            since: now(),
        });
    }

    /// Takes a version out of quarantine.
    pub fn release(&mut self, digest: &str) {
        self.quarantine.retain(|each| each.digest != digest);
    }

    /// Says why it is now as it is.
    pub fn decided(&mut self, what: &str, digest: &str, reason: Option<String>) {
        self.record(Decision::new(what, digest, reason));
    }

    /// The same with a decision that was made before.
    pub(super) fn record(&mut self, last: Decision) {
        let before = std::mem::replace(&mut self.last, last);
        if !before.what.is_empty() {
            self.earlier.push(before);
        }
        let excess = self.earlier.len().saturating_sub(EARLIER);
        self.earlier.drain(..excess);
    }

    /// Lets a version run on all hosts for which `plugin:` names one of `over`.
    pub fn install(&mut self, component: Component, over: Vec<String>) {
        let is_it = |stable: &Stable| stable.component.digest == component.digest;
        let before = self.stable.take();
        // Deployed once more it has taken the place of what it had taken the place of.
        if !before.as_ref().is_some_and(is_it) {
            self.before = Some(Before {
                deployed: component.digest.clone(),
                stable: before,
            });
        }
        self.stable = Some(Stable { component, over });
    }

    /// Lets what is tried take over, if it is this version.
    pub fn promote(&mut self, digest: &str, reason: &str) -> bool {
        let is_it =
            |trial: &Trial| trial.component.digest == digest && trial.kind != TrialKind::Shadow;
        let Some(trial) = self.trial.take_if(|trial| is_it(trial)) else {
            return false;
        };
        let mut over = trial.over;
        over.extend(self.stable.iter().flat_map(|stable| stable.over.clone()));
        self.install(trial.component, over);
        self.decided("promoted", digest, Some(reason.to_owned()));
        true
    }

    /// A version is worse: it does not run any more, `good` does in its place. `configured` is what
    /// `plugin:` names on the host that says so; `took_over` is false for a canary.
    pub(super) fn roll_back(
        &mut self,
        took_over: bool,
        bad: &str,
        good: &Component,
        configured: &str,
    ) {
        self.trial.take_if(|trial| trial.component.digest == bad);
        if self.quarantined(&good.digest).is_some() || good.digest == bad {
            self.stable.take_if(|stable| stable.component.digest == bad);
            return;
        }
        if !took_over && let Some(stable) = &mut self.stable {
            stable.over.push(bad.to_owned());
            return;
        }
        let stable = self.stable.take();
        let is_it = |before: &mut Before| took_over && before.deployed == bad;
        let before = self.before.take_if(is_it);
        let mut back = Stable {
            component: good.clone(),
            over: Vec::new(),
        };
        let ran = before.as_ref().map(|before| {
            let instead = self.in_place_of(configured, before.stable.as_ref());
            instead.map_or(configured, |component| &component.digest)
        });
        if ran == Some(&*good.digest) {
            // It was deployed, and what is gone back to ran until then: so do all, each to its own.
            let stable = before.and_then(|before| before.stable);
            let sound = |stable: &Stable| self.quarantined(&stable.component.digest).is_none();
            back = stable.filter(sound).unwrap_or(back);
        } else if took_over {
            back.over = stable.map_or_else(Vec::new, |stable| stable.over);
            back.over.push(configured.to_owned());
        }
        back.over.push(bad.to_owned());
        back.over.sort_unstable();
        back.over.dedup();
        self.stable = Some(back);
    }

    /// A host cannot run a version, so none shall: all run what they ran before.
    pub(super) fn reject(&mut self, digest: &str) {
        self.trial.take_if(|trial| trial.component.digest == digest);
        let is_it = |stable: &mut Stable| stable.component.digest == digest;
        if self.stable.take_if(is_it).is_some() {
            let before = self.before.take_if(|before| before.deployed == digest);
            let stable = before.and_then(|before| before.stable);
            self.stable =
                stable.filter(|stable| self.quarantined(&stable.component.digest).is_none());
        }
    }

    /// What was decided of a version last.
    #[must_use]
    pub fn decision_on(&self, digest: &str) -> Option<&Decision> {
        let mut decisions = self.decisions().rev();
        decisions.find(|decision| decision.digest == digest)
    }

    /// Why a version does not run, that was decided to run by `mark`: what was decided of it since.
    #[must_use]
    pub fn undone(&self, mark: &Decision, digest: &str) -> Option<&Decision> {
        let known = self.decisions().any(|decision| decision == mark);
        let mut since = self
            .decisions()
            .skip_while(|decision| known && *decision != mark);
        if known {
            since.next();
        }
        since
            .filter(|decision| decision.digest == digest && decision.undoes())
            .last()
    }

    pub(super) fn decisions(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.earlier.iter().chain([&self.last])
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests;
