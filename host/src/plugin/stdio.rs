//! A guest's stdout and stderr: lines for the log, and the end of its stderr for the fault report.
//!
//! Writing never blocks and never fails. What becomes of a line is decided by the lane's log.

use super::services::HostServices;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes of stderr kept for the dead letter: enough for a panic message with its location.
const TAIL: usize = 4 << 10;

/// Bytes after which a line is cut into two, so that a guest which never ends its line does not fill
/// the host's memory.
const LINE: usize = 8 << 10;

/// Bytes that a guest may write after each check whether it may.
const PERMIT: usize = 64 << 10;

/// The last bytes that an instance wrote to stderr or logged as errors: where there is no stderr,
/// on `wasm32-unknown-unknown`, panics are logged.
#[derive(Clone, Default)]
pub(super) struct StderrTail(Arc<Mutex<VecDeque<u8>>>);

impl StderrTail {
    /// As text; bytes that are not UTF-8 are replaced.
    pub(super) fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    /// Drops what earlier calls wrote.
    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn extend(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = bytes
            .get(bytes.len().saturating_sub(TAIL)..)
            .unwrap_or(bytes);
        let surplus = (kept.len() + bytes.len()).saturating_sub(TAIL);
        kept.drain(..surplus);
        kept.extend(bytes);
    }
}

/// Which of the two streams.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Stdout,
    Stderr,
}

/// A line that a stream has begun and not ended.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    /// Takes the next bytes, and emits each line that they complete, without its end. Empty lines are
    /// left out.
    fn take(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LINE.saturating_sub(self.0.len()).min(bytes.len());
            let (head, rest) = bytes.split_at(room);
            match head.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    let (head, rest) = bytes.split_at(end);
                    self.0.extend_from_slice(head);
                    self.end(&mut emit);
                    bytes = rest.get(1..).unwrap_or_default();
                }
                None => {
                    self.0.extend_from_slice(head);
                    if self.0.len() >= LINE {
                        self.end(&mut emit);
                    }
                    bytes = rest;
                }
            }
        }
    }

    /// Emits the line as it is.
    fn end(&mut self, emit: impl FnOnce(&[u8])) {
        let line = self.0.strip_suffix(b"\r").unwrap_or(&self.0);
        if !line.is_empty() {
            emit(line);
        }
        self.0.clear();
    }
}

/// One of the streams of one instance, as its WASI context wants it.
#[derive(Clone)]
pub(super) struct Stdio {
    which: Which,
    services: Arc<dyn HostServices>,
    /// Kept for stderr only.
    tail: StderrTail,
    line: Arc<Mutex<Line>>,
}

impl Stdio {
    pub(super) fn new(which: Which, services: Arc<dyn HostServices>, tail: StderrTail) -> Self {
        Self {
            which,
            services,
            tail,
            line: Arc::default(),
        }
    }

    fn take(&self, bytes: &[u8]) {
        if self.which == Which::Stderr {
            self.tail.extend(bytes);
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.take(bytes, |line| self.emit(line));
    }

    fn emit(&self, line: &[u8]) {
        let level = match self.which {
            Which::Stdout => tracing::Level::INFO,
            Which::Stderr => tracing::Level::WARN,
        };
        self.services.log(level, &String::from_utf8_lossy(line));
    }
}

impl Drop for Stdio {
    /// The last line of an instance may have no end.
    fn drop(&mut self) {
        if Arc::strong_count(&self.line) == 1 {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            line.end(|line| self.emit(line));
        }
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    /// For WASI 0.3, which the host does not link.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[cfg(test)]
mod tests;
