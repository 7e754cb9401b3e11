//! `weir status`: all hosts that respond on NATS, found through its service discovery.

use super::shown::{moment, short};
use super::{Console, files};
use crate::job::rows;
use crate::nats::{self, service};
use crate::report::{self, count};
use crate::threads;
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args)]
#[command(after_help = "\
The numbers are those of the metrics; with --json they have their names, without `weir_` and `_total`. One message can have \
several results, and timers and windows have results without a message. Needs permission to publish to \
$SRV.STATS.weir and to subscribe to its own inbox. Exit code 1 if no \
host responds.")]
pub(super) struct Arguments {
    /// A pipeline file with the `nats:` section to use.
    #[arg(value_name = "FILE", conflicts_with = "credentials")]
    file: Option<PathBuf>,

    #[command(flatten)]
    servers: files::Servers,

    /// A credentials file.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// How long to wait for responses, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    wait: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("use a number of seconds from 0 to 3600".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<u8> {
    let (file, credentials) = (&arguments.file, &arguments.credentials);
    let settings = arguments
        .servers
        .reach(file.as_deref(), credentials.as_deref())?;
    let wait = Duration::from_secs_f64(arguments.wait);
    let mut hosts = threads::block_on(async {
        let connection = nats::connect(&settings, "status").await?;
        let _progress = console.progress("waiting for hosts to respond");
        service::discover(&connection, wait)
            .await
            .context("cannot discover hosts")
    })?;
    // Sorted by name, so that the output of two calls can be compared.
    hosts.sort_by_cached_key(|host| word(&host["host"]));
    if console.json {
        console.value(&hosts)?;
        return Ok(if hosts.is_empty() {
            report::FAILED
        } else {
            report::DONE
        });
    }
    if hosts.is_empty() {
        let error = anyhow!("no host responds at `{}`", settings.servers.join(", "));
        let action = "start one with `weir run`; a host must be permitted to subscribe to `$SRV.>`";
        return Err(report::hint(error, action));
    }
    console.print(&text(&hosts))?;
    Ok(report::DONE)
}

/// A block for each host, with its pipelines and their operators.
fn text(hosts: &[Value]) -> String {
    let mut out = String::new();
    for host in hosts {
        let ready = if host["ready"] == true {
            "ready"
        } else {
            "not ready"
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "host {}, weir {}, process {}, up {} s, {ready}",
            word(&host["host"]),
            word(&host["version"]),
            word(&host["pid"]),
            word(&host["uptime_seconds"]),
        );
        let servers = [
            ("status", "admin", "status"),
            ("metrics", "metrics", "metrics"),
        ];
        let servers = servers.into_iter().filter_map(|(what, server, page)| {
            let address = host[server].as_str()?;
            Some(format!("{what} at http://{address}/{page}"))
        });
        let servers: Vec<_> = servers.collect();
        if !servers.is_empty() {
            let _ = writeln!(out, "  {}", servers.join(", "));
        }
        for pipeline in list(&host["pipelines"]) {
            let source = &pipeline["source"];
            let _ = writeln!(
                out,
                "  pipeline {}: {} -> {}, {}{}{}",
                word(&pipeline["name"]),
                word(&source["stream"]),
                word(&pipeline["sink"]),
                counted(&pipeline["lanes"], "lane"),
                owns(&pipeline["job"]),
                match pipeline.pointer("/fast_ingest/stream") {
                    Some(_) => ", fast ingest",
                    None => "",
                },
            );
            out.push_str(&numbers(pipeline));
            out.push_str(&state(&pipeline["job"]));
            for view in list(&pipeline["views"]) {
                let (name, bucket) = (word(&view["name"]), word(&view["bucket"]));
                let _ = writeln!(out, "    view {name}: bucket {bucket}");
            }
            let problem = &pipeline["problem"];
            for (label, value) in [("problem", &problem["error"]), ("hint", &problem["hint"])] {
                if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
                    let _ = writeln!(out, "    {label}: {text}");
                }
            }
            let stalled = &pipeline["stalled"];
            let job = &pipeline["job"];
            for trouble in list(&job["troubles"]) {
                let (error, hint) = (word(&trouble["error"]), &trouble["hint"]);
                let _ = match stalled.is_null() {
                    true => writeln!(out, "    problem: {error}{}", again(trouble)),
                    // It is among the causes.
                    false => writeln!(
                        out,
                        "    partition {}{}",
                        word(&trouble["partition"]),
                        again(trouble)
                    ),
                };
                if let Some(hint) = hint.as_str().filter(|_| stalled.is_null()) {
                    let _ = writeln!(out, "    hint: {hint}");
                }
            }
            if let Some(seconds) = stalled["seconds"].as_u64() {
                let causes: Vec<String> = list(&stalled["waits_for"]).iter().map(word).collect();
                let causes = causes.join("; ");
                let _ = writeln!(out, "    stalled for {seconds} s: {causes}");
                if let Some(hint) = stalled["hint"].as_str() {
                    let _ = writeln!(out, "    hint: {hint}");
                }
            }
            if pipeline["connected"] == false {
                let _ = writeln!(out, "    problem: not connected to nats; reconnecting");
            }
            for operator in list(&pipeline["operators"]) {
                let digest = word(&operator["digest"]);
                let trusted = match operator["trusted"] == true {
                    true => ", trusted",
                    false => "",
                };
                let _ = writeln!(
                    out,
                    "    operator {}: {} {}, {}{trusted}",
                    word(&operator["name"]),
                    word(&operator["plugin"]),
                    short(&digest),
                    word(&operator["contract"]),
                );
                if let Some(canary) = operator.get("canary") {
                    let (digest, counts) = (word(&canary["digest"]), &canary["counts"]);
                    let _ = writeln!(
                        out,
                        "      canary {}: {} % of the keys, {}, {} failed",
                        short(&digest),
                        canary["percent"].as_f64().unwrap_or_default(),
                        counted(&counts["messages"], "message"),
                        word(&counts["errors"]),
                    );
                }
                if let Some(digest) = operator.pointer("/shadow/digest").map(word) {
                    let short = short(&digest);
                    let _ = writeln!(out, "      shadow {short}: see `weir plugin diff`");
                }
                if let Some(version) = operator.get("preparing") {
                    let (digest, since) = (word(&version["digest"]), word(&version["since"]));
                    let (short, since) = (short(&digest), moment(&since));
                    let _ = writeln!(out, "      prepares {short} since {since}Z");
                }
                out.push_str(&decision(operator));
                let refused = &operator["refused"];
                let is_said = operator.pointer("/decision/digest") == refused.get("digest");
                if let Some(why) = refused["error"].as_str().filter(|_| !is_said) {
                    let digest = word(&refused["digest"]);
                    let short = short(&digest);
                    let _ = writeln!(out, "      refused {short}: {why}");
                }
            }
        }
    }
    out
}

/// What waits now, and what the host has done since its start.
fn numbers(pipeline: &Value) -> String {
    let line = |names: &[(&str, &str)]| {
        let shown = names.iter();
        let shown = shown.map(|(name, label)| format!("{label} {}", word(&pipeline[name])));
        shown.collect::<Vec<_>>().join(", ")
    };
    let mut waits = vec![("lag", "lag"), ("in_flight", "in flight")];
    if !pipeline["job"].is_object() {
        // A job has no consumer, and keeps retries in its state.
        waits.extend([("ack_pending", "ack pending"), ("parked_pending", "parked")]);
    }
    let done = [
        ("received", "received"),
        ("dropped", "without a result"),
        ("dead", "dead letters"),
        ("retried", "retries"),
        ("retried_infrastructure", "retries after a failure"),
        ("published", "messages published"),
    ];
    format!(
        "    now: {}\n    since the start: {}\n",
        line(&waits),
        line(&done)
    )
}

/// When a partition that fails is tried again.
fn again(trouble: &Value) -> String {
    match trouble["again_seconds"].as_u64() {
        Some(0) => ": trying again now".to_owned(),
        Some(seconds) => format!(": trying again in {seconds} s"),
        None => String::new(),
    }
}

/// The decision for all hosts, if a version was refused or rolled back.
fn decision(operator: &Value) -> String {
    let mut out = String::new();
    let Some(decision) = operator.get("decision") else {
        return out;
    };
    let digest = word(&decision["digest"]);
    let short = short(&digest);
    let at = word(&decision["at"]);
    let at = moment(&at);
    let (what, why) = (word(&decision["what"]), word(&decision["reason"]));
    // Writing to a string does not fail.
    let _ = writeln!(out, "      {what} on all hosts: {short} at {at}Z: {why}");
    for sample in list(&decision["samples"]) {
        let (sequence, kind) = (word(&sample["sequence"]), word(&sample["kind"]));
        let reason = word(&sample["reason"]);
        let _ = writeln!(out, "        message {sequence}: {kind}: {reason}");
    }
    out
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A scalar as text; a host of another version may lack some.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "?".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Which share of a job's partitions it owns and stands by for; nothing for a pipeline that is none.
fn owns(job: &Value) -> String {
    if !job.is_object() {
        return String::new();
    }
    let standby = match (&job["standby"], &job["standby_level"]) {
        (standby, level) if standby.as_u64().is_some_and(|standby| standby > 0) => {
            format!(
                ", stands by for {} ({} of them level)",
                word(standby),
                word(level)
            )
        }
        _ => String::new(),
    };
    let paused = if job["paused"] == true {
        ", paused"
    } else {
        ""
    };
    format!(
        ", owns {} of {}{standby}{paused}",
        word(&job["owned"]),
        counted(&job["partitions"], "partition")
    )
}

/// What the partitions of a job have that a host owns; nothing if it owns none.
fn state(job: &Value) -> String {
    let partitions = list(&job["state"]);
    if partitions.is_empty() {
        return String::new();
    }
    let each = |name| {
        partitions
            .iter()
            .map(move |it| it[name].as_u64().unwrap_or_default())
    };
    let sum = |name| each(name).sum::<u64>();
    let slowest = partitions
        .iter()
        .filter_map(|it| it["commit_seconds"].as_f64());
    let watermark = each("watermark").filter(|mark| *mark > 0).min();
    let watermark = watermark.map(|mark| format!("; least watermark {}", rows::time(mark)));
    format!(
        "    state: {}, {}, {}; log: {}, {}; last commit {:.1} ms at most{}\n",
        count(sum("keys"), "key"),
        count(sum("rows"), "row"),
        count(sum("bytes"), "byte"),
        count(sum("log_records"), "record"),
        count(sum("log_bytes"), "byte"),
        slowest.fold(0.0, f64::max) * 1e3,
        watermark.unwrap_or_default(),
    )
}

fn counted(value: &Value, noun: &str) -> String {
    match value.as_u64() {
        Some(number) => count(number, noun),
        None => format!("{} {noun}s", word(value)),
    }
}
