//! Runs one target over known inputs and over damaged ones, and keeps the smallest input that fails.
//!
//! Guided by what comes of an input: a target names the kind of its end, and an input with an end
//! that was not seen before is a known input from then on. The seed and the number of runs are fixed,
//! unless `cargo xtask fuzz` sets others:
//!
//! | variable | what it says |
//! |---|---|
//! | `WEIR_FUZZ_SECONDS` | how long each target runs, instead of a number of runs |
//! | `WEIR_FUZZ_SEED` | the number that the edits are made of |

use super::edits::{apply, edits};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// An input that takes longer than this, and perhaps for ever, fails.
const LIMIT: Duration = Duration::from_secs(60);
/// Most runs for making a failing input smaller.
const REDUCTIONS: usize = 20_000;
/// Most known inputs.
const KNOWN: usize = 10_000;

/// Something that reads what others wrote.
pub(crate) struct Target {
    /// The folder of its inputs in `corpus/`.
    pub(crate) name: &'static str,
    /// What it is tried with at first, besides those.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// What is worth putting into an input.
    pub(crate) tokens: &'static [&'static str],
    /// Damaged inputs, unless a time is set.
    pub(crate) runs: usize,
    /// Panics when a promise does not hold for the input; else names the kind of its end.
    pub(crate) check: fn(&[u8]) -> String,
}

/// Where a panic was, and its words.
type Failure = (String, String);

thread_local! {
    /// Whether a panic of this thread is kept in [`PANIC`] and not printed: within [`fails`].
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Failure> = const { RefCell::new((String::new(), String::new())) };
}

impl Target {
    /// Tries the known inputs, then damaged ones.
    pub(crate) fn run(self) {
        let folder = scratch(self.name);
        let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name);
        let mut known = self.seeds.clone();
        known.extend(files(&kept).iter().map(|file| std::fs::read(file).unwrap()));
        assert!(!known.is_empty(), "there is no input to begin with");
        let seed = number("WEIR_FUZZ_SEED").unwrap_or(1);
        let time = number("WEIR_FUZZ_SECONDS").map(Duration::from_secs);
        let (running, watched) = (folder.join("running"), AtomicU64::new(0));
        let try_one = |input: &[u8]| {
            // It stays there when the process dies, of a full stack for example.
            std::fs::write(&running, input).unwrap();
            watched.fetch_add(1, Ordering::Relaxed);
            fails(self.check, input)
        };
        let mut ends = HashSet::new();
        let mut runs = 0;
        watch(&watched, &running, || {
            for input in &known {
                match try_one(input) {
                    Ok(end) => ends.insert(end),
                    Err(failure) => self.give_up(input, &failure, &folder, "a known input"),
                };
            }
            let mut runner = runner(seed);
            let strategy = (
                proptest::prelude::any::<proptest::sample::Index>(),
                edits(self.tokens),
            );
            let start = Instant::now();
            while time.map_or(runs < self.runs, |time| start.elapsed() < time) {
                let (which, edits) = strategy.new_tree(&mut runner).unwrap().current();
                let from: &Vec<u8> = which.get(&known);
                let input = apply(&edits, from, &known);
                match try_one(&input) {
                    Ok(end) => {
                        if known.len() < KNOWN && ends.insert(end) {
                            known.push(input);
                        }
                    }
                    Err(failure) => {
                        let same = |other: &Failure| other.0 == failure.0;
                        let fails = |input: &[u8]| try_one(input).is_err_and(|other| same(&other));
                        let smaller = reduce(input, fails);
                        let failure = try_one(&smaller).err().unwrap_or(failure);
                        let how = format!("seed {seed}, run {runs}");
                        self.give_up(&smaller, &failure, &folder, &how);
                    }
                }
                runs += 1;
            }
        });
        std::fs::remove_file(&running).unwrap();
        println!(
            "{}: {runs} runs with seed {seed}, {} kinds of ends",
            self.name,
            ends.len()
        );
    }

    /// Keeps the input where `corpus/` does not yet have it, and fails.
    fn give_up(&self, input: &[u8], (place, words): &Failure, folder: &Path, how: &str) -> ! {
        let file = folder.join(blake3::hash(input).to_hex().get(..12).unwrap_or_default());
        std::fs::write(&file, input).unwrap();
        let shown = input[..input.len().min(200)].escape_ascii();
        panic!(
            "`{}` fails ({how}) at {place}: {words}\n  input: {shown}\n  \
             all {} bytes of it: {}\n  to try it in each run: cp it to tests/fuzz/corpus/{}/",
            self.name,
            input.len(),
            file.display(),
            self.name
        );
    }
}

/// What comes of an input: the kind of its end, or where it panicked and with which words.
fn fails(check: fn(&[u8]) -> String, input: &[u8]) -> Result<String, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                return before(info);
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let words = info.payload_as_str().unwrap_or("it panicked").to_owned();
            PANIC.set((place, words));
        }));
    });
    QUIET.set(true);
    let end = panic::catch_unwind(AssertUnwindSafe(|| check(input)));
    QUIET.set(false);
    end.map_err(|_| PANIC.take())
}

/// A smaller input that fails as well: parts are left out, from halves to single bytes, for as long
/// as that helps.
fn reduce(mut input: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut part, mut left) = (input.len().div_ceil(2), REDUCTIONS);
    while part > 0 && left > 0 {
        let (mut at, before) = (0, input.len());
        while at < input.len() && left > 0 {
            let mut without = input.clone();
            without.drain(at..input.len().min(at + part));
            left -= 1;
            match fails(&without) {
                true => input = without,
                false => at += part,
            }
        }
        if input.len() == before || part > 1 {
            part /= 2;
        }
    }
    input
}

/// Does the work, and ends the process when one input takes too long.
fn watch(runs: &AtomicU64, running: &Path, work: impl FnOnce()) {
    let (done, end) = sync_channel::<()>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut before = u64::MAX;
            while end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let now = runs.load(Ordering::Relaxed);
                if now == before {
                    eprintln!(
                        "this input takes longer than {LIMIT:?}: {}",
                        running.display()
                    );
                    std::process::abort();
                }
                before = now;
            }
        });
        // Dropped when the work panics, too: then the watch ends.
        let _done = done;
        work();
    });
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}=`{text}` is no number")),
    )
}

/// The folder for what a target writes.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("fuzz")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The files of a folder and those below it, sorted; none if there is no such folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// The text without what stands in backticks and without digits: the kind of a message.
pub(crate) fn kind(text: &str) -> String {
    let plain = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    plain
        .chars()
        .filter(|c| !c.is_ascii_digit())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two marks, wherever they are.
    fn check(input: &[u8]) -> String {
        let marks = input.iter().filter(|byte| **byte == b'!').count();
        assert!(marks < 2, "{marks} marks");
        marks.to_string()
    }

    #[test]
    fn a_failure_is_told_with_its_place_and_the_smallest_input_that_has_it() {
        let (place, words) = fails(check, b"ab!cd!e").unwrap_err();
        assert!(place.starts_with("tests/fuzz/engine.rs:"), "{place}");
        assert_eq!(words, "2 marks");
        assert_eq!(fails(check, b"a!b"), Ok("1".to_owned()));
        let smallest = reduce(b"ab!cd!e!".to_vec(), |input| fails(check, input).is_err());
        assert_eq!(smallest, b"!!");
    }

    #[test]
    fn damage_that_breaks_a_promise_is_found_and_kept() {
        let target = || Target {
            name: "engine",
            seeds: vec![b"a!bc".to_vec(), b"d".to_vec()],
            tokens: &["x"],
            runs: 1000,
            check,
        };
        let told = || {
            let failed = panic::catch_unwind(|| target().run()).unwrap_err();
            failed.downcast_ref::<String>().unwrap().clone()
        };
        let first = told();
        assert!(first.contains("2 marks\n  input: !!\n"), "{first}");
        assert_eq!(first, told(), "one seed, and other inputs");
        let file = scratch("engine").join(&blake3::hash(b"!!").to_hex()[..12]);
        assert_eq!(std::fs::read(file).unwrap(), b"!!");
    }
}
