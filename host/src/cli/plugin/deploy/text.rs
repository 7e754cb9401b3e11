//! The text of a plan, for people.

use super::Plan;
use crate::cli::shown::short;
use crate::nats::deployments::TrialKind;
use crate::report::count;
use std::collections::BTreeSet;
use std::fmt::Write;

impl Plan {
    /// The changes, for each version that is running.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let hosts = count(self.fleet.hosts.len(), "host");
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "deploy {} to {}, on {hosts}",
            self.new.origin, self.operator_path,
        );
        let mut seen = BTreeSet::new();
        for (_, host) in &self.fleet.hosts {
            if !seen.insert((&host.digest, &host.config_hash)) {
                continue;
            }
            let same = host.digest == self.new.digest;
            let _ = writeln!(
                out,
                "  component      {} {} -> {} {}{}",
                short(&host.digest),
                bytesize::ByteSize(host.size),
                short(&self.new.digest),
                bytesize::ByteSize(self.found.size),
                if same { ", already running" } else { "" },
            );
            let contract = self.found.contract.as_deref().unwrap_or("none");
            let _ = writeln!(out, "  contract       {}", change(&host.contract, contract));
            let needed = |grants: &[&str]| match grants {
                [] => "none".to_owned(),
                grants => grants.join(", "),
            };
            let granted: Vec<&str> = host.grants.iter().map(String::as_str).collect();
            let _ = writeln!(
                out,
                "  grants         needs {}; the operator has {}",
                needed(&self.found.grant_names()),
                needed(&granted),
            );
            let _ = writeln!(
                out,
                "  imports        {}",
                difference(&host.imports, &self.found.imports)
            );
            if host.requires_signature {
                let has = match self.is_signed {
                    true => "it has one, which every host verifies",
                    false => "it has none",
                };
                let _ = writeln!(out, "  signature      required; {has}");
            }
            let _ = writeln!(
                out,
                "  configuration  stays {}{}",
                short(&host.config_hash),
                self.accepts(&host.config_hash)
            );
            if self.kind.is_none() && !same {
                let watched = host.probation.as_ref();
                let (back, which) = match watched {
                    Some(watched) => (
                        &watched.goes_back_to,
                        ", the last that was not on probation",
                    ),
                    None => (&host.digest, ""),
                };
                let _ = writeln!(out, "  if worse       back to {}{which}", short(back));
            }
        }
        let how = match self.kind {
            Some(TrialKind::Canary(percent)) => format!("as a canary for {percent} % of the keys"),
            Some(TrialKind::Shadow) => "not at all: a shadow publishes nothing".into(),
            None => "on all keys, between two batches of each lane".to_owned(),
        };
        let _ = writeln!(out, "  takes over     {how}");
        out
    }
}

impl Plan {
    /// Whether it is known that the version accepts the configuration of a host.
    fn accepts(&self, config_hash: &str) -> &'static str {
        match &self.configuration {
            None => "; it must accept that before it takes over (`--try` tries it now)",
            Some(tried) if tried.config_hash != config_hash => ", which is not that of `--try`",
            Some(tried) if tried.refused.is_some() => ", which it does not accept",
            Some(_) => ", which it accepts",
        }
    }
}

fn change(old: &str, new: &str) -> String {
    match old == new {
        true => format!("stays {old}"),
        false => format!("{old} -> {new}"),
    }
}

fn difference(old: &[String], new: &[String]) -> String {
    let added = new.iter().filter(|name| !old.contains(name));
    let removed = old.iter().filter(|name| !new.contains(name));
    let all: Vec<String> = added
        .map(|name| format!("+ {name}"))
        .chain(removed.map(|name| format!("- {name}")))
        .collect();
    match all.is_empty() {
        true => "the same".to_owned(),
        false => all.join(", "),
    }
}
