//! A job as text, for `weir job ls` and `weir job show`.

use super::{Partition, Shown, Standby, UNANSWERED, sources};
use crate::cli::shown::moment;
use crate::job::rows;
use crate::nats::jobs::Job;
use crate::report::{count, escape};
use std::fmt::Write;

/// A job in a line.
pub(super) fn line(job: &Job) -> String {
    format!(
        "job {}, stream {}: {}, {}, {}{}\n",
        escape::line(&job.name),
        escape::line(&job.stream),
        count(job.partitions.len(), "partition"),
        count(job.messages, "message"),
        count(job.bytes, "byte"),
        match job.paused {
            Some(true) => ", paused",
            Some(false) => "",
            None => ", unknown whether it is paused",
        },
    )
}

/// A job with its hosts and partitions.
pub(super) fn text(shown: &Shown) -> String {
    let mut out = line(&shown.job);
    // Writing to a string does not fail.
    if let Some(why) = &shown.hosts_unknown {
        let _ = writeln!(out, "  hosts unknown: {}", escape::line(why));
    }
    for (stream, why) in &shown.lag_unknown {
        let (stream, why) = (escape::line(stream), escape::line(why));
        let _ = writeln!(out, "  lag in {stream} unknown: {why}");
    }
    if let Some(why) = &shown.unanswered {
        let _ = writeln!(out, "  unknown: {}", escape::line(why));
        let _ = writeln!(out, "  hint: {UNANSWERED}");
    }
    for host in &shown.hosts {
        let owned: Vec<String> = host.owned.iter().map(u16::to_string).collect();
        let _ = writeln!(
            out,
            "  host {}: owns {}, said {}Z",
            escape::line(&host.name),
            match owned.is_empty() {
                true => "nothing".to_owned(),
                false => owned.join(" "),
            },
            escape::line(moment(&host.at)),
        );
    }
    for partition in &shown.state {
        let Partition {
            partition,
            owners: names,
            standbys,
            checkpoint,
            lag,
            event_time_lag_seconds,
            records,
            held,
        } = partition;
        let owners = match (names.is_empty(), &shown.hosts_unknown) {
            (true, None) => "no owner".to_owned(),
            (true, Some(_)) => "owner unknown".to_owned(),
            _ => format!("owner {}", escape::line(&names.join(", "))),
        };
        let Some(checkpoint) = checkpoint else {
            let why = match shown.unanswered {
                Some(_) => "is unknown",
                None => "cannot be read",
            };
            let _ = writeln!(
                out,
                "  partition {partition}: {owners}, its checkpoint {why}"
            );
            continue;
        };
        let _ = writeln!(
            out,
            "  partition {partition}: {owners}, epoch {}, {}, {}",
            checkpoint.epoch,
            count(checkpoint.number.saturating_sub(checkpoint.epoch), "commit"),
            match records {
                Some(records) => {
                    let log = count(records.log, "log record");
                    format!("{log}, {}", count(records.snapshots, "snapshot"))
                }
                None => "records unknown".to_owned(),
            },
        );
        if let Some(held) = held {
            let number = |name: &str| held[name].as_u64().unwrap_or_default();
            let seconds = held["commit_seconds"].as_f64().unwrap_or_default();
            let _ = writeln!(
                out,
                "    state: {}, {}, {}; log: {}; last commit {:.1} ms",
                count(number("keys"), "key"),
                count(number("rows"), "row"),
                count(number("bytes"), "byte"),
                count(number("log_bytes"), "byte"),
                seconds * 1e3,
            );
            sources::loading(held, &mut out);
        } else if !names.is_empty() {
            let _ = writeln!(out, "    state: unknown, because the owner does not answer");
        }
        for Standby { host, behind } in standbys {
            let behind = behind.unwrap_or_default();
            let host = escape::line(host);
            let _ = writeln!(out, "    standby {host}: {behind} records behind");
        }
        for ((input, lag), behind) in checkpoint
            .inputs
            .iter()
            .zip(lag)
            .zip(event_time_lag_seconds)
        {
            let lag = lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
            let of_input = sources::names(&shown.sources, &shown.job, input);
            let source = escape::line(&input.source);
            let mark = input.watermark.and_then(|mark| u64::try_from(mark).ok());
            let behind = behind.unwrap_or_default();
            let is_table = sources::is_table(&shown.sources, &shown.job, input);
            let mark = mark.filter(|_| !is_table).map(|mark| {
                let time = rows::time(mark);
                format!(", watermark {time}, {behind:.1} s behind the clock")
            });
            let _ = writeln!(
                out,
                "    {}{source}: position {}, lag {lag}{}{}",
                of_input
                    .iter()
                    .map(|name| format!("{} ", escape::line(name)))
                    .collect::<String>(),
                input.position,
                mark.unwrap_or_default(),
                match sources::holds_back(&shown.sources, &shown.job, input, checkpoint) {
                    true => "; event time waits for it",
                    false if is_table => "; a table, read before the others",
                    false => "",
                },
            );
        }
    }
    out
}
