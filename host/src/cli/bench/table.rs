//! The report for people: a table followed by the verdict.

use super::delay::Delay;
use super::drain::Run;
use super::report::{Report, Setting, middle};
use std::fmt;

/// A shorter run is not reliable.
const SHORT: f64 = 1.0;
/// Width of a line after its label, in bytes.
const WIDTH: usize = 84;

/// The text for people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = &self.setting;
        if setting.profile == "debug" {
            writeln!(
                out,
                "NOTE: THIS IS A DEBUG BUILD OF WEIR; times of the host are not those of a release\n"
            )?;
        }
        let (messages, lanes) = (plural(setting.messages, "message"), setting.lanes);
        let lanes = plural(lanes as u64, "lane");
        writeln!(
            out,
            "pipeline `{}`: {messages} of {:.0} B a run, {lanes}",
            self.pipeline, setting.message_bytes
        )?;
        if setting.input_skipped > 0 {
            let skipped = plural(setting.input_skipped as u64, "line");
            writeln!(
                out,
                "{skipped} of the input skipped: the pipeline does not read their subjects"
            )?;
        }
        self.rates(out)?;
        self.processor(out)?;
        for (number, run) in self.runs.iter().enumerate() {
            if number == 0
                || self
                    .runs
                    .first()
                    .is_some_and(|first| first.counts != run.counts)
            {
                counts(out, number, run)?;
            }
        }
        self.delay(out)?;
        writeln!(out, "bound by   {}", wrapped(&self.bound.why))?;
        let Setting {
            machine,
            cores,
            kernel,
            weir,
            nats_server,
            profile,
            ..
        } = setting;
        write!(
            out,
            "\nmeasured on {machine}, {cores} cores shared with the server, Linux {kernel}; weir {weir} \
             ({profile}), nats-server {nats_server}"
        )
    }
}

impl Report {
    fn rates(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs: Vec<String> = self
            .runs
            .iter()
            .map(|run| grouped(run.rate as u64))
            .collect();
        writeln!(
            out,
            "\nrate       {} messages/s, {}; the runs had {}",
            grouped(self.rate as u64),
            bytes(self.bytes_per_second),
            runs.join(", ")
        )?;
        let seconds = middle(self.runs.iter().map(|run| run.seconds).collect());
        if seconds < SHORT {
            writeln!(
                out,
                "           a run took only {seconds:.2} s; pass more `--messages` for reliable numbers"
            )?;
        }
        Ok(())
    }

    fn processor(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = &self.cpu_us;
        writeln!(
            out,
            "processor  {:8.2} µs a message in the server",
            cpu.server
        )?;
        if cpu.host > 0.0 {
            writeln!(
                out,
                "           {:8.2} µs in the host, without its plugins",
                cpu.host
            )?;
        } else {
            // The difference of two large measurements is not significant.
            writeln!(
                out,
                "                  - in the host: too little beside the plugins to be measured"
            )?;
        }
        let border = "in the plugins, including the border";
        writeln!(out, "           {:8.2} µs {border}", cpu.plugins)?;
        if self.plugins.operators.len() > 1 {
            for operator in &self.plugins.operators {
                writeln!(
                    out,
                    "             {:8.2} µs `{}`",
                    operator.us, operator.name
                )?;
            }
        }
        let median = |of: fn(&Run) -> f64| middle(self.runs.iter().map(of).collect());
        let percent = |of: fn(&Run) -> f64| median(of) * 100.0;
        writeln!(
            out,
            "cores      server {:.2}, host {:.2}, this command {:.2}, of {}; a lane computes {:.0} % of the \
             time,\n           waits for a core {:.0} %, is in calls of plugins {:.0} %",
            median(|run| run.server_cores),
            median(|run| run.host_cores),
            median(|run| run.own_cores),
            self.setting.cores,
            percent(|run| run.lane_busy),
            percent(|run| run.lane_queued),
            percent(|run| run.lane_in_plugins),
        )
    }

    fn delay(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(delay) = &self.delay else {
            return Ok(());
        };
        let Delay {
            rate,
            sent,
            measured,
            ..
        } = delay;
        let (Some(p50), Some(p99), Some(p999), Some(max)) =
            (delay.p50_us, delay.p99_us, delay.p999_us, delay.max_us)
        else {
            return writeln!(
                out,
                "delay      none: none of {} messages had a result",
                grouped(*sent)
            );
        };
        let [p50, p99, p999, max] = [p50, p99, p999, max].map(|us| us / 1e3);
        writeln!(
            out,
            "delay      p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms from publish to result\n           \
             at {rate}/s; of {} messages {} had a result",
            grouped(*sent),
            grouped(*measured)
        )?;
        if *rate as f64 > self.rate {
            writeln!(
                out,
                "           the rate is higher than the pipeline sustains: these are queueing delays"
            )?;
        }
        Ok(())
    }
}

fn counts(out: &mut fmt::Formatter<'_>, number: usize, run: &Run) -> fmt::Result {
    let counts = &run.counts;
    let results = plural(counts.results, "result");
    let (dropped, dead) = (
        grouped(counts.dropped),
        plural(counts.dead_letters, "dead letter"),
    );
    let label = match number {
        0 => "came out  ".to_owned(),
        _ => format!("  run {:<4}", number + 1),
    };
    write!(out, "{label} {results}, {dropped} dropped, {dead}")?;
    for (count, what) in [
        (counts.retries, "retried by plugins"),
        (counts.failures, "publish failures"),
        (counts.redelivered, "redelivered"),
    ] {
        if count > 0 {
            write!(out, ", {} {what}", grouped(count))?;
        }
    }
    writeln!(out)
}

/// Decimal units, as usual for networks and disks.
fn bytes(rate: f64) -> String {
    match rate {
        mega if mega >= 1e6 => format!("{:.1} MB/s", mega / 1e6),
        small => format!("{:.1} kB/s", small / 1e3),
    }
}

/// Text wrapped to a terminal's width, indented by the label's width.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n           ")
}

/// `1 lane`, `2 lanes`.
fn plural(count: u64, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {what}{ending}", grouped(count))
}

/// `100,000`.
fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::{bytes, grouped, plural, wrapped};

    #[test]
    fn numbers_are_grouped_and_counted() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1_234_567.0), "1.2 MB/s");
        assert_eq!(bytes(71.0), "0.1 kB/s");
        assert_eq!(plural(1, "lane"), "1 lane");
        assert_eq!(plural(1000, "lane"), "1,000 lanes");
    }

    #[test]
    fn what_is_long_goes_on_below() {
        let text = "word ".repeat(40);
        let wrapped = wrapped(text.trim());
        assert_eq!(wrapped.split_whitespace().count(), 40);
        assert!(wrapped.lines().count() > 1);
        assert!(wrapped.lines().all(|line| line.len() <= 100), "{wrapped}");
    }
}
