//! `weir plugin wait`: waits until all hosts run a version, whatever brought it to them.

use super::fleet::{Fleet, OperatorPath};
use crate::cli::{Console, files};
use crate::config::units::DurationText;
use crate::plugin;
use crate::report::{self, ResultExt, count};
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
#[command(after_help = "\
For scripts that replace the file of a running plugin, or move a tag: hosts notice the change, prepare the version and \
swap to it.

Exit codes: 0 all hosts run the version, 1 a host refuses it or the timeout is over, 2 wrong usage.")]
pub(in crate::cli) struct Arguments {
    /// The operator that will run the version.
    #[arg(value_name = "PIPELINE/OPERATOR", value_parser = OperatorPath::parse)]
    operator_path: OperatorPath,

    /// The version: a file, nats://BUCKET/NAME@VERSION or oci://REGISTRY/REPOSITORY:TAG.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    reach: files::Reach,
}

fn duration(text: &str) -> Result<Duration, String> {
    DurationText::from(text).parse()
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let Arguments {
        operator_path,
        reference,
        timeout,
        reach,
    } = arguments;
    let component = super::deploy::component(reference, &reach.settings()?)?;
    let inspected = plugin::inspect(&component.bytes);
    let digest = inspected
        .with_context(|| format!("cannot wait for `{reference}`"))?
        .digest;
    let hosts = reach.connected("wait", async |connection| {
        let progress = console.progress("waiting for the hosts");
        let until = Instant::now() + *timeout;
        loop {
            let fleet = Fleet::find(&connection, operator_path).await?;
            for (id, host) in &fleet.hosts {
                if let Some(refused) = host.refused.as_ref().filter(|it| it.digest == digest) {
                    return Err(refused.error(id));
                }
            }
            let others = fleet.hosts.iter().filter(|(_, host)| host.digest != digest);
            let others: Vec<&str> = others.map(|(id, _)| &**id).collect();
            if others.is_empty() {
                return Ok(fleet
                    .hosts
                    .into_iter()
                    .map(|(id, _)| id)
                    .collect::<Vec<_>>());
            }
            let preparing = fleet.preparing(&digest);
            if Instant::now() > until {
                let others = others.join(", ");
                let error = anyhow!("these hosts run another version: {others}");
                return Err(match preparing {
                    Some(preparing) => error.context(format!("`{reference}` is being {preparing}")),
                    None => error,
                })
                .hint(|| "see what they run with `weir status`, or wait longer with `--timeout`");
            }
            if let Some(preparing) = preparing {
                progress.say(format!("waiting for the hosts; {preparing}"));
            }
        }
    })?;
    let text = format!("{reference} is running on {}", count(hosts.len(), "host"));
    console.answer(&json!({ "digest": digest, "hosts": hosts }), &text)?;
    Ok(report::DONE)
}
