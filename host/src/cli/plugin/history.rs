//! `weir plugin history`: the receipts of swaps.

use crate::cli::shown::{moment, short};
use crate::cli::{Console, files};
use crate::nats::receipts::{Receipt, Receipts, Version};
use crate::report::{self, count};
use anyhow::Result;
use std::fmt::Write;

#[derive(clap::Args)]
#[command(after_help = "\
Prints a line for each swap of a lane: the name of the receipt, for `weir plugin rollback`; the digest of the \
old version with the sequence of its last message; and the new version with its first message, or `-` if it has \
processed none yet. Hosts keep receipts for 90 days.")]
pub(in crate::cli) struct Arguments {
    /// Show only this pipeline, or this operator of it.
    #[arg(value_name = "PIPELINE[/OPERATOR]")]
    of: Option<String>,

    /// The number of receipts to show, the latest ones; 0 for all.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,

    #[command(flatten)]
    reach: files::Reach,
}

pub(in crate::cli) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let of = arguments.of.as_deref().unwrap_or_default();
    let (pipeline, operator) = of.split_once('/').unwrap_or((of, ""));
    let given = |name: &'static str, text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match text.chars().all(plain) {
            true => Ok((!text.is_empty()).then(|| text.to_owned())),
            false => Err(report::usage(anyhow::anyhow!(
                "`{text}` is not the name of a {name}"
            ))),
        }
    };
    let (pipeline, operator) = (given("pipeline", pipeline)?, given("operator", operator)?);
    let mut receipts = arguments.reach.connected("history", async |connection| {
        match Receipts::find(&connection).await? {
            Some(receipts) => {
                receipts
                    .list(pipeline.as_deref(), operator.as_deref())
                    .await
            }
            None => Ok(Vec::new()),
        }
    })?;
    let older = match arguments.limit {
        0 => 0,
        limit => receipts.len().saturating_sub(limit),
    };
    receipts.drain(..older);
    if older > 0 {
        let older = count(older, "older receipt");
        report::note(&format!("{older} left out; `--limit 0` shows all"));
    }
    if console.json {
        console.value(&receipts)?;
    } else if receipts.is_empty() {
        report::note("no swaps");
    } else {
        console.print(&text(&receipts))?;
    }
    Ok(report::DONE)
}

fn text(receipts: &[Receipt]) -> String {
    let mut out = String::new();
    for receipt in receipts {
        let Receipt {
            id,
            pipeline,
            operator,
            host,
            lane,
            what,
            old,
            new,
            began,
            taken,
            ..
        } = receipt;
        let began = moment(began);
        let open = if taken.is_none() { ", not taken" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{id}  {began}Z  {pipeline}/{operator}  {host} lane {lane}  {what}: {} -> {}{open}",
            at(old),
            at(new),
        );
    }
    out
}

/// The beginning of a digest, and the sequence of the last or first message.
fn at(version: &Version) -> String {
    let digest = short(&version.digest);
    match version.sequence {
        Some(sequence) => format!("{digest}@{sequence}"),
        None => format!("{digest}@-"),
    }
}
