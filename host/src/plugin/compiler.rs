//! Compiles components in a child process, because an untrusted component can make its compilation long and
//! large.
//!
//! The child is this program with a hidden command (`compiler/child.rs`). It gets the component on stdin. It
//! writes the compiled form to stdout, which may be a file of the cache, or an error to stderr. It sets its
//! own limits before it reads anything, and ends when its stdin does, and so with this process. See ADR 20.
//! Nothing is loaded here.

pub(super) mod child;

use super::engine::Build;
use crate::config::limits::CompileLimits;
use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};
use child::Job;
use rustix::process::Signal;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

/// Bytes of what a child writes to stderr that are read.
const LONGEST_ERROR: u64 = 64 << 10;

/// The environment of a child. Both allocators reserve address space in small steps, so that its bound is
/// close to what is used.
const FRUGAL: [(&str, &str); 2] = [
    ("MIMALLOC_ARENA_RESERVE", "16384"),
    ("MALLOC_ARENA_MAX", "1"),
];

/// Threads that compile, on a machine with many processors: each has address space of its own.
const MOST_THREADS: usize = 16;

/// What an allocator says that gets no more memory, and the system's word for it.
const OUT_OF_MEMORY: [&str; 4] = [
    "memory allocation of",
    "(os error 12)",
    "code: 12,",
    "code: 11,",
];

/// A component to compile.
pub(super) struct Task<'t> {
    pub(super) bytes: &'t [u8],
    pub(super) build: Build,
    pub(super) limits: CompileLimits,
}

/// Compiles with this program; `None` compiles in this process.
pub(super) struct Compiler(pub(super) Option<PathBuf>);

impl Compiler {
    /// The compiled form.
    ///
    /// # Errors
    ///
    /// When the bytes cannot be compiled, or not within their limits.
    pub(super) fn compile(&self, task: &Task<'_>) -> Result<Vec<u8>> {
        match &self.0 {
            None => child::compile(task.bytes, task.build),
            Some(_) => {
                let ended = self.child(task, Stdio::piped())?;
                ended.result(task)?;
                Ok(ended.output)
            }
        }
    }

    /// Writes the compiled form to an empty file. The inner error is one of writing.
    ///
    /// # Errors
    ///
    /// See [`Compiler::compile`].
    pub(super) fn compile_to(&self, task: &Task<'_>, file: &mut File) -> Result<Result<()>> {
        if self.0.is_none() {
            let compiled = child::compile(task.bytes, task.build)?;
            return Ok(file.write_all(&compiled).map_err(Into::into));
        }
        let output = match file.try_clone() {
            Ok(output) => output.into(),
            Err(error) => return Ok(Err(error.into())),
        };
        let ended = self.child(task, output)?;
        if ended.status.code() == Some(child::NOT_WRITTEN.into()) {
            return Ok(Err(ended.said()));
        }
        ended.result(task).map(Ok)
    }

    fn child(&self, task: &Task<'_>, stdout: Stdio) -> Result<Ended> {
        let program = self.0.as_deref().unwrap_or("weir".as_ref());
        let job = Job::new(task.bytes.len(), task.build, task.limits);
        let mut child = Command::new(program)
            .arg0("weir")
            .args(job.arguments())
            .env_clear()
            .envs(FRUGAL)
            .env("RAYON_NUM_THREADS", threads().to_string())
            // Ctrl-C on a terminal is for this process, which decides what becomes of its child.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}` to compile it", program.display()))?;
        let (mut stdin, stderr) = (child.stdin.take(), child.stderr.take());
        thread::scope(|scope| {
            let errors = scope.spawn(move || {
                let mut text = Vec::new();
                let read = stderr.map(|stderr| stderr.take(LONGEST_ERROR).read_to_end(&mut text));
                read.transpose().map(|_| text)
            });
            // One that ends before it has read everything says why on stderr.
            let _ = stdin.as_mut().map(|stdin| stdin.write_all(task.bytes));
            let mut output = Vec::new();
            if let Some(stdout) = &mut child.stdout {
                stdout.read_to_end(&mut output).context("cannot read it")?;
            }
            let status = child.wait().context("cannot wait for it")?;
            // Until here: its end would be the child's.
            drop(stdin);
            let errors = errors.join().unwrap_or_else(|_| Ok(Vec::new()));
            let errors = errors.unwrap_or_else(|error: io::Error| error.to_string().into_bytes());
            let errors = String::from_utf8_lossy(&errors).into_owned();
            Ok(Ended {
                status,
                output,
                errors,
            })
        })
    }
}

/// How a child ended.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    /// What it wrote to stderr.
    errors: String,
}

impl Ended {
    fn result(&self, task: &Task<'_>) -> Result<()> {
        if self.status.success() {
            return Ok(());
        }
        let CompileLimits { time, memory_bytes } = task.limits;
        let bound = |what: String, key: &str| {
            Err(anyhow!(what)).hint(|| {
                format!("if you trust who built it, raise `limits.compile.{key}` of its operator")
            })
        };
        if self.status.signal() == Some(Signal::XCPU.as_raw()) {
            return bound(format!("it takes longer than {}", duration(time)), "time");
        }
        if OUT_OF_MEMORY
            .iter()
            .any(|words| self.errors.contains(words))
        {
            let size = bytesize::ByteSize(memory_bytes as u64);
            return bound(format!("it needs more memory than {size}"), "memory");
        }
        Err(self.said())
    }

    /// The error that it wrote, or how it ended without one.
    fn said(&self) -> anyhow::Error {
        let last = self.errors.lines().last().unwrap_or_default();
        report::from_json(last).unwrap_or_else(|| {
            let said = match last {
                "" => String::new(),
                last => format!(": {last}"),
            };
            let error = anyhow!("the process that compiles ended with {}{said}", self.status);
            report::hint(
                error,
                "check whether the machine or its container has enough memory",
            )
        })
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get().min(MOST_THREADS))
}

/// As a user writes it: `10m`.
fn duration(duration: std::time::Duration) -> String {
    match jiff::SignedDuration::try_from(duration) {
        Ok(duration) => format!("{duration:#}"),
        Err(_) => format!("{duration:?}"),
    }
}

/// `10m and 2.0 GiB`.
impl std::fmt::Display for CompileLimits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let memory = bytesize::ByteSize(self.memory_bytes as u64);
        write!(formatter, "{} and {memory}", duration(self.time))
    }
}
