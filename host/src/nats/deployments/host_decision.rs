//! A decision of one host for all hosts of an operator, and how it changes the record: once, however often it
//! is tried. Pure: uses no server.

use super::record::{Component, Decision, Deployment};

/// A decision of one host for all.
#[derive(Clone, Debug)]
pub enum HostDecision {
    /// A version is worse than the one before: it goes into quarantine.
    RollBack {
        /// As the record tells it.
        decision: Decision,
        /// What this host has gone back to.
        good: Component,
        /// The digest of what `plugin:` names on this host.
        configured: String,
        /// False for a canary.
        took_over: bool,
    },
    /// This host cannot run a version, so none shall.
    Reject(Decision),
    /// The version that is tried makes way for another.
    EndTrial {
        /// Of the version that is tried.
        digest: String,
    },
}

impl HostDecision {
    /// Changes the record, unless it knows of this decision. Whether it has changed.
    pub fn apply(&self, record: &mut Deployment) -> bool {
        let known = |decision: &Decision| record.decisions().any(|known| known == decision);
        match self {
            Self::RollBack { decision, .. } | Self::Reject(decision) if known(decision) => false,
            Self::RollBack {
                decision,
                good,
                configured,
                took_over,
            } => {
                let reason = decision.reason.as_deref().unwrap_or_default();
                record.roll_back(*took_over, &decision.digest, good, configured);
                record.banish(&decision.digest, reason);
                record.record(decision.clone());
                true
            }
            Self::Reject(decision) => {
                record.reject(&decision.digest);
                record.record(decision.clone());
                true
            }
            Self::EndTrial { digest } => {
                let is_it = |trial: &mut super::Trial| trial.component.digest == *digest;
                record.trial.take_if(is_it).is_some()
            }
        }
    }
}
