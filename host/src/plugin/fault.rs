//! What a plugin did wrong, in a form that a dead letter can carry.

use super::instance::{MemoryRefusal, REFUSAL_PREFIX};
use crate::config::limits::Limits;
use crate::report::escape::cut;
use std::fmt;
use std::time::Duration;
use wasmtime::{Trap, WasmBacktrace};

/// A call that gave no usable answer. The instance that made it is gone.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// One line, lower case, without a full stop.
    pub message: String,
    /// Functions on the guest's stack, innermost first, demangled; with file and line where the
    /// component has debug information. Empty where nothing was running.
    pub backtrace: Box<[String]>,
    /// The last 4 KiB that this call wrote to stderr or logged as errors: a panic's message, usually.
    pub stderr: String,
    /// Linear memory and tables of the instance when it ended.
    pub memory_bytes: u64,
    /// From the start of the call to its end.
    pub elapsed: Duration,
    /// Whether the instance had answered no call before, so that nothing which earlier messages left
    /// in its memory can be the cause.
    pub first_call: bool,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A panic, an out-of-bounds access, an exit, an import that refused.
    Trap,
    /// No answer within `deadline`.
    Deadline,
    /// A trap after the instance was refused memory.
    Memory,
    /// More bytes returned, or passed to imports, than `output-bytes`.
    Output,
    /// Another number of outcomes than of messages.
    Length { expected: usize, got: usize },
    /// No instance could be made: instantiation failed, or `configure` did or refused.
    Start,
}

impl FaultKind {
    /// The word for it in a dead letter's `Weir-Kind`, in logs and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Length { .. } => "length",
            Self::Start => "start",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// What a plugin's `configure` refused with.
#[derive(Debug)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{REFUSAL_PREFIX}{}", self.0)
    }
}

impl std::error::Error for Refusal {}

/// Why wasmtime ended a call: the kind, a line for people, and the guest's stack.
pub(super) fn explain(
    error: &wasmtime::Error,
    refusal: Option<MemoryRefusal>,
    limits: &Limits,
) -> (FaultKind, String, Vec<String>) {
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .map(frames)
        .unwrap_or_default();
    let trap = error.downcast_ref::<Trap>();
    let root = error.root_cause().to_string();
    let (kind, message) = if trap == Some(&Trap::Interrupt) {
        (FaultKind::Deadline, no_answer(limits.deadline))
    } else if root.contains(FUEL) {
        let limit = bytesize::ByteSize(limits.output_bytes as u64);
        let message = format!("handed back more than `output-bytes` allows, {limit}");
        (FaultKind::Output, message)
    } else if let Some(refusal) = refusal {
        (FaultKind::Memory, refusal.to_string())
    } else {
        let what = root.strip_prefix("wasm trap: ").unwrap_or(&root);
        let what = cut(what, WORDS);
        (FaultKind::Trap, format!("trapped: {what}"))
    };
    (kind, message, frames)
}

/// Most bytes of what an import that refused says: a guest's own text may be in it.
const WORDS: usize = 8 << 10;

/// wasmtime marks exhausted hostcall fuel only by its text; `tests/isolation.rs` notices a change.
const FUEL: &str = "fuel allocated for hostcalls has been exhausted";

/// The message of a call that was ended at its deadline.
pub(super) fn no_answer(deadline: Duration) -> String {
    format!("gave no answer within {deadline:?}")
}

/// The lines of a backtrace without numbers, addresses, the module's name and rustc's hashes.
/// Formatting is wasmtime's, because only that demangles.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.to_string().lines().skip(1) {
        let line = line.trim();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.push_str(" at ");
                frame.push_str(place);
            }
            continue;
        }
        let name = line.split_once("- ").map_or(line, |(_, name)| name);
        let name = name.split_once('!').map_or(name, |(_, name)| name);
        frames.push(without_hash(name).to_owned());
    }
    frames
}

/// `path::to::function::h0123456789abcdef` without its last part.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            path
        }
        _ => name,
    }
}
