//! Processor time of processes and threads, from Linux's `/proc`.

use crate::report::ResultExt;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// The kernel truncates the name of a thread to this many bytes.
const NAME: usize = 15;

/// The processor time of a process's threads since they started.
#[derive(Clone, Debug, Default)]
pub(super) struct Times(HashMap<String, Thread>);

#[derive(Clone, Debug, Default)]
struct Thread {
    name: String,
    computed: Duration,
    queued: Duration,
}

/// The processor time of threads between two snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// On a core.
    pub(super) computed: Duration,
    /// Ready to run, while other threads had the cores.
    pub(super) queued: Duration,
}

/// Checks that this machine reports processor times.
///
/// # Errors
///
/// If it does not.
pub(super) fn is_known() -> Result<()> {
    this_thread()
        .map(drop)
        .context("cannot measure processor time here")
        .hint(|| "run `weir bench` on Linux, with `/proc` mounted")
}

/// Processor time of this thread.
pub(super) fn this_thread() -> Result<Duration> {
    times(Path::new("/proc/thread-self/schedstat")).map(|(computed, _)| computed)
}

impl Times {
    /// A snapshot of a process.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/task");
        let threads = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot read the processor times of process {pid}"))?;
        let mut all = HashMap::new();
        for thread in threads.flatten() {
            // A thread may end while its file is read.
            let Ok((computed, queued)) = times(&thread.path().join("schedstat")) else {
                continue;
            };
            let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            let thread_id = thread.file_name().to_string_lossy().into_owned();
            let name = name.trim_end().to_owned();
            all.insert(
                thread_id,
                Thread {
                    name,
                    computed,
                    queued,
                },
            );
        }
        Ok(Self(all))
    }

    /// The processor time of all threads since `before`, without threads that have ended.
    pub(super) fn since(&self, before: &Self) -> Spent {
        self.sum(before, |_| true)
    }

    /// Like [`Times::since`], for threads with one of these names.
    pub(super) fn of_threads(&self, before: &Self, names: &[String]) -> Spent {
        let cut = |name: &String| name.get(..NAME).unwrap_or(name).to_owned();
        let names: Vec<String> = names.iter().map(cut).collect();
        self.sum(before, |name| names.iter().any(|one| one == name))
    }

    fn sum(&self, before: &Self, counts: impl Fn(&str) -> bool) -> Spent {
        let threads = self.0.iter().filter(|(_, thread)| counts(&thread.name));
        threads.fold(Spent::default(), |spent, (id, thread)| {
            let earlier = before.0.get(id).cloned().unwrap_or_default();
            Spent {
                computed: spent.computed + thread.computed.saturating_sub(earlier.computed),
                queued: spent.queued + thread.queued.saturating_sub(earlier.queued),
            }
        })
    }
}

/// The first two numbers of a `schedstat`, in nanoseconds: on a core, and waiting for one
/// (`Documentation/scheduler/sched-stats.rst` of Linux).
fn times(file: &Path) -> Result<(Duration, Duration)> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    let mut numbers = text.split_whitespace().flat_map(str::parse);
    let mut next = || numbers.next().map(Duration::from_nanos);
    next()
        .zip(next())
        .with_context(|| format!("cannot parse `{name}`"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::{Duration, Times, this_thread};

    #[test]
    fn a_thread_is_found_by_its_name_and_its_time_counts_from_the_look_before() {
        let (ask, asked) = std::sync::mpsc::sync_channel::<()>(1);
        let (done, is_done) = std::sync::mpsc::sync_channel(1);
        let work = move || {
            while asked.recv().is_ok() {
                let before = this_thread().unwrap();
                while this_thread().unwrap() < before + Duration::from_millis(20) {}
                done.send(()).unwrap();
            }
        };
        let name = "a-name-that-is-longer-than-the-kernel-keeps".to_owned();
        let thread = std::thread::Builder::new().name(name.clone()).spawn(work);
        ask.send(()).unwrap();
        is_done.recv().unwrap();
        let snapshot = || Times::of(std::process::id()).unwrap();
        let first = snapshot();
        let spent = |from: &Times| {
            snapshot()
                .of_threads(from, std::slice::from_ref(&name))
                .computed
        };
        assert!(spent(&Times::default()) >= Duration::from_millis(20));
        assert!(spent(&first) < Duration::from_millis(20));
        ask.send(()).unwrap();
        is_done.recv().unwrap();
        assert!(spent(&first) >= Duration::from_millis(20));
        assert!(snapshot().since(&first).computed >= spent(&first));
        drop(ask);
        thread.unwrap().join().unwrap();
    }
}
