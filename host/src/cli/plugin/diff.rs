//! `weir plugin diff`: how a shadow differs from the live version, over all hosts.

use super::fleet::OperatorPath;
use crate::cli::shown::{moment, short};
use crate::cli::{Console, differences, files};
use crate::compare::report::{Report, SAMPLES, States};
use crate::nats::shadows::{ShadowReport, Shadows};
use crate::report::{self, ResultExt, count};
use anyhow::{Result, anyhow};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(clap::Args)]
#[command(after_help = "\
Shows the findings of the latest shadow on all hosts, while it runs and for 30 days after: how many outputs \
are the same, how many differ and how, and the first differences of each kind with both sides. For a job it also shows \
how its state differs from that of the shadow.

Exit codes: 0 nothing differs, 1 something differs, nothing was compared, or the run failed, 2 wrong \
usage.")]
pub(in crate::cli) struct Arguments {
    /// The operator that has a shadow.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = OperatorPath::parse)]
    of: OperatorPath,

    #[command(flatten)]
    reach: files::Reach,
}

/// The reports of all hosts on one version.
#[derive(Serialize)]
struct Total {
    pipeline: String,
    operator: String,
    digest: String,
    began: String,
    hosts: Vec<String>,
    /// Why the shadow of a host has stopped, with the name of the host.
    problems: Vec<String>,
    comparison: Report,
    /// Of a job.
    states: Option<States>,
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let OperatorPath { pipeline, operator } = &arguments.of;
    let reports = arguments.reach.connected("diff", async |connection| {
        match Shadows::find(&connection).await? {
            Some(shadows) => shadows.list(pipeline, operator).await,
            None => Ok(Vec::new()),
        }
    })?;
    let total = Total::of(reports)
        .ok_or_else(|| anyhow!("operator `{operator}` of pipeline `{pipeline}` has had no shadow"))
        .hint(|| "start one with `weir plugin deploy --shadow`")?;
    console.answer(&total, &total.text())?;
    let states = total.states.as_ref().map_or(0, |states| states.different);
    let clean = total.comparison.different + states == 0 && total.comparison.compared() > 0;
    Ok(if clean { report::DONE } else { report::FAILED })
}

impl Total {
    /// Adds up the reports of the latest shadow.
    fn of(mut reports: Vec<ShadowReport>) -> Option<Self> {
        reports.sort_by(|one, other| one.began.cmp(&other.began));
        let latest = reports.last()?;
        let (digest, run) = (latest.digest.clone(), latest.run);
        reports.retain(|report| report.digest == digest && report.run == run);
        let first = reports.first()?;
        let mut total = Self {
            pipeline: first.pipeline.clone(),
            operator: first.operator.clone(),
            began: first.began.clone(),
            digest,
            hosts: Vec::new(),
            problems: Vec::new(),
            comparison: Report::default(),
            states: None,
        };
        let mut states = BTreeMap::new();
        for report in reports {
            let host = report.host;
            let problem = report.problem.map(|problem| format!("{host}: {problem}"));
            total.problems.extend(problem);
            total.hosts.push(host);
            total.comparison.add(report.comparison, SAMPLES);
            // A partition that has moved was compared last by the host that began last.
            states.extend(report.states);
        }
        for states in states.into_values() {
            total.states.get_or_insert_default().add(states, SAMPLES);
        }
        // Inputs that one host has not answered were answered by another.
        total.comparison.without_input = 0;
        Some(total)
    }

    fn text(&self) -> String {
        let Self {
            pipeline,
            operator,
            began,
            digest,
            hosts,
            problems,
            comparison,
            states,
        } = self;
        let (digest, began) = (short(digest), moment(began));
        let hosts = count(hosts.len(), "host");
        let inputs = count(comparison.inputs, "message");
        let mut found = differences::text(comparison, "outputs");
        found.extend(states.iter().map(differences::states));
        let problems = problems.iter().map(|problem| format!("{problem}\n"));
        let problems: String = problems.collect();
        format!(
            "{pipeline}/{operator}: shadow {digest} since {began}Z on {hosts}, {inputs}\n\
             {problems}{found}"
        )
    }
}
