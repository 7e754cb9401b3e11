//! What xtask says on the terminal: one line a step on standard error, so that standard output
//! stays with the commands it runs.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Prints one line about a step: `setup: nats-server 2.15.1 found at ...`.
pub(crate) fn say(area: &str, line: impl Display) {
    eprintln!("{area}: {line}");
}

/// Prints an error and its causes, outermost first, each once, and its hint lines as they are; one
/// that has been [`Told`] is not printed again.
pub(crate) fn error(error: &anyhow::Error) {
    if error.is::<Told>() {
        return;
    }
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  cause: {cause}");
    }
}

/// A failure that another program has told already, so that only the exit code is left to say.
#[derive(Debug)]
pub(crate) struct Told;

impl Display for Told {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("it has been told above")
    }
}

impl std::error::Error for Told {}

/// Names a step, runs it, and keeps how long it took for the table that `print_times` shows.
pub(crate) struct Steps {
    area: &'static str,
    taken: Vec<(String, Duration)>,
    /// Names, and what failed with its causes.
    failed: Vec<(String, String)>,
}

impl Steps {
    /// An empty list of steps, whose lines begin with `area`.
    pub(crate) fn new(area: &'static str) -> Steps {
        Steps {
            area,
            taken: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Runs `work` under a heading; its time is recorded whether it succeeds or not.
    pub(crate) fn step<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        eprintln!("\n=== {}: {name}", self.area);
        let start = Instant::now();
        let result = work();
        let taken = start.elapsed();
        eprintln!("=== {}: {name} took {}", self.area, seconds(taken));
        self.taken.push((name.to_owned(), taken));
        result.map_err(|error| error.context(format!("the step `{name}` failed")))
    }

    /// Runs a step whose failure is printed and remembered, so that the next ones still run.
    pub(crate) fn check(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<()>) {
        if let Err(failure) = self.step(name, work) {
            error(&failure);
            self.failed.push((name.to_owned(), format!("{failure:#}")));
        }
    }

    /// Runs the step that comes last: nothing is printed behind its own lines.
    pub(crate) fn last<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        eprintln!("\n=== {}: {name}", self.area);
        work()
    }

    /// The names of the checks that failed.
    pub(crate) fn failed(&self) -> Vec<&str> {
        self.failed.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Tells once more what failed: whoever reads the end of a long output finds it there.
    pub(crate) fn print_failures(&self) {
        for (_, failure) in &self.failed {
            eprintln!("\n=== {}: {failure}", self.area);
        }
    }

    /// Prints the time of every step so far and their sum.
    pub(crate) fn print_times(&self) {
        eprintln!("\n=== {}: times", self.area);
        for (name, taken) in &self.taken {
            eprintln!("  {:>9}  {name}", seconds(*taken));
        }
        let total = self.taken.iter().map(|(_, taken)| *taken).sum();
        eprintln!("  {:>9}  in all", seconds(total));
    }
}

/// What could not be checked on this machine, named and counted.
#[derive(Default)]
pub(crate) struct Skipped {
    names: Vec<String>,
}

impl Skipped {
    /// Remembers one thing that was not checked, with the reason.
    pub(crate) fn add(&mut self, name: String) {
        self.names.push(name);
    }

    /// Prints the count, then a line for each.
    pub(crate) fn print(&self, area: &str) {
        eprintln!("{area}: skipped: {}", self.names.len());
        for name in &self.names {
            eprintln!("{area}:   skipped {name}");
        }
    }
}

/// A duration the way people read it: `0.4 s`, `83 s`, `12 min 5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_people_read_it() {
        assert_eq!(seconds(Duration::from_millis(400)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(83)), "83 s");
        assert_eq!(seconds(Duration::from_secs(725)), "12 min 5 s");
    }
}
