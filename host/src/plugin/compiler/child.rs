//! The child process that compiles one component: sets its limits, reads the component, compiles it.
//!
//! The operating system enforces the limits, so that no component can exceed them: address space, processor
//! time, no core dump. One thread measures the elapsed time, and another waits for the end of stdin, which is
//! the end of the host.

use crate::config::limits::CompileLimits;
use crate::plugin::component::{self, Form};
use crate::plugin::engine::{self, Build};
use crate::plugin::error::from_wasmtime;
use crate::report::ResultExt;
use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use std::fs;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;
use wasmtime::component::Component;

/// The command of the child.
pub(super) const COMMAND: &str = "compile-component";

/// The child's exit code when it has compiled the component, and cannot write the result.
pub const NOT_WRITTEN: u8 = 3;

/// Bytes of the largest compiled form. A component of 18 MB in Python has one of 60 MB.
const LARGEST: usize = 512 << 20;

/// What a child is to do, as its command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Job {
    /// Bytes of the component on stdin, which stays open behind them.
    #[arg(long)]
    length: u64,
    /// Milliseconds on the clock, and of processor time.
    #[arg(long)]
    time: u64,
    /// Bytes of address space.
    #[arg(long)]
    memory: u64,
    /// For calls that no deadline ends.
    #[arg(long)]
    untimed: bool,
    /// For a machine that limits address space.
    #[arg(long)]
    scarce: bool,
}

impl Job {
    pub(super) fn new(length: usize, build: Build, limits: CompileLimits) -> Self {
        Self {
            length: length as u64,
            time: u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX),
            memory: limits.memory_bytes as u64,
            untimed: !build.timed,
            scarce: build.scarce,
        }
    }

    /// The command line, without the program.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--json".to_owned(),
            COMMAND.to_owned(),
            format!("--length={}", self.length),
            format!("--time={}", self.time),
            format!("--memory={}", self.memory),
        ];
        let flags = [(self.untimed, "--untimed"), (self.scarce, "--scarce")];
        let set = flags.iter().filter(|(set, _)| *set);
        arguments.extend(set.map(|(_, flag)| (*flag).to_owned()));
        arguments
    }
}

/// Does the job of a child: what it returns belongs on stdout.
///
/// # Errors
///
/// When the component cannot be compiled.
pub fn run(job: &Job) -> Result<Vec<u8>> {
    bound(job).context("cannot limit the process that compiles")?;
    let mut bytes = Vec::new();
    let read = io::stdin().take(job.length).read_to_end(&mut bytes);
    read.context("cannot read the component")?;
    ensure!(bytes.len() as u64 == job.length, "the component is cut off");
    thread::spawn(|| {
        // Nothing comes but the end.
        let _ = io::stdin().read(&mut [0]);
        end(Signal::KILL);
    });
    let build = Build {
        timed: !job.untimed,
        scarce: job.scarce,
    };
    compile(&bytes, build)
}

/// Compiles a component, or a core module, in this process.
///
/// # Errors
///
/// When it is damaged, or its compiled form would be too large.
pub(super) fn compile(bytes: &[u8], build: Build) -> Result<Vec<u8>> {
    let engine = engine::for_compiling(build)?;
    let component = match component::form(bytes)? {
        Form::Component => Component::from_binary(&engine, bytes),
        Form::Module => Component::from_binary(&engine, &component::encode(bytes)?),
    };
    let component = component
        .map_err(from_wasmtime)
        .hint(|| "build it again with `weir plugin build`")?;
    let compiled = component.serialize().map_err(from_wasmtime)?;
    ensure!(
        compiled.len() <= LARGEST,
        "its compiled form is larger than {}",
        bytesize::ByteSize(LARGEST as u64)
    );
    Ok(compiled)
}

fn bound(job: &Job) -> io::Result<()> {
    // Where memory runs out, this process goes and the host stays.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let time = Duration::from_millis(job.time);
    let seconds = job.time.div_ceil(1000);
    limit(Resource::Core, 0, 0)?;
    // The first ends it with SIGXCPU, which says why.
    limit(Resource::Cpu, seconds, seconds.saturating_add(5))?;
    // Elsewhere the system does not limit it.
    if cfg!(target_os = "linux") {
        limit(Resource::As, job.memory, job.memory)?;
    }
    thread::Builder::new().spawn(move || {
        thread::sleep(time);
        end(Signal::XCPU);
    })?;
    Ok(())
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum;
    let within = |value: u64| Some(most.map_or(value, |most| most.min(value)));
    let limit = Rlimit {
        current: within(current),
        maximum: within(maximum),
    };
    Ok(setrlimit(resource, limit)?)
}

/// Ends this process at once, and with it all threads that compile.
fn end(signal: Signal) {
    // A process may always signal itself.
    let _ = kill_process(getpid(), signal);
}
