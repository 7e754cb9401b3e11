//! Bodies: what a plugin writes into a request, and what it reads from a response.

use super::bindings::types::{ErrorCode, HostFutureTrailers, HostIncomingBody, HostOutgoingBody};
use super::call::{CallLog, OpenCall};
use super::fields::Fields;
use crate::plugin::instance::State;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::Resource;
use wasmtime::{Error, Result};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, OutputStream, Pollable, StreamError,
    StreamResult, subscribe,
};
use wasmtime_wasi::runtime::poll_noop;

/// Bytes that a plugin may write at once.
const PERMIT: usize = 64 << 10;

/// Writes that wait for the connection. Further ones wait in the plugin.
const WRITES: usize = 2;

/// The trailers of a body that was finished.
type End = Option<HeaderMap>;

/// The plugin's side of a request's body.
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct OutgoingBody {
    /// Until the plugin takes it.
    stream: Option<Writing>,
    /// The announced content length.
    expected: Option<u64>,
    written: Arc<AtomicU64>,
    /// Dropped unused, it breaks the request off: the plugin did not finish the body.
    end: oneshot::Sender<End>,
}

/// The connection's side of it.
#[derive(Default)]
pub(super) struct RequestBody(Option<Sending>);

struct Sending {
    chunks: mpsc::Receiver<Bytes>,
    end: oneshot::Receiver<End>,
}

/// A request's body that was given up before its end.
#[derive(Debug)]
pub(super) struct Unfinished;

impl std::fmt::Display for Unfinished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the plugin did not finish the body")
    }
}

impl std::error::Error for Unfinished {}

impl OutgoingBody {
    pub(super) fn new(expected: Option<u64>) -> (Self, RequestBody) {
        let (chunk, chunks) = mpsc::channel(WRITES);
        let (end, ended) = oneshot::channel();
        let written = Arc::new(AtomicU64::new(0));
        let stream = Writing {
            chunk,
            expected,
            written: Arc::clone(&written),
        };
        let writing = Self {
            stream: Some(stream),
            expected,
            written,
            end,
        };
        let sending = Sending { chunks, end: ended };
        (writing, RequestBody(Some(sending)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        let Some(sending) = &mut self.0 else {
            return Poll::Ready(None);
        };
        if let Some(chunk) = ready!(sending.chunks.poll_recv(context)) {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let end = ready!(Pin::new(&mut sending.end).poll(context));
        self.0 = None;
        Poll::Ready(match end {
            Ok(None) => None,
            Ok(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Err(_) => Some(Err(Unfinished)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// The stream that a plugin writes a request's body to.
struct Writing {
    chunk: mpsc::Sender<Bytes>,
    expected: Option<u64>,
    written: Arc<AtomicU64>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        let _ = self.chunk.reserve().await;
    }
}

impl OutputStream for Writing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len() as u64;
        let written = self.written.fetch_add(length, Ordering::Relaxed) + length;
        if self.expected.is_some_and(|expected| written > expected) {
            let error = ErrorCode::HttpRequestBodySize(Some(written));
            return Err(StreamError::LastOperationFailed(error.into()));
        }
        self.chunk.try_send(bytes).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => StreamError::Closed,
            mpsc::error::TrySendError::Full(_) => StreamError::trap("wrote more than permitted"),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.chunk.is_closed() {
            return Err(StreamError::Closed);
        }
        Ok(if self.chunk.capacity() > 0 { PERMIT } else { 0 })
    }
}

impl HostOutgoingBody for State {
    fn write(
        &mut self,
        body: Resource<OutgoingBody>,
    ) -> Result<Result<Resource<DynOutputStream>, ()>> {
        let Some(stream) = self.table.get_mut(&body)?.stream.take() else {
            return Ok(Err(()));
        };
        let stream: DynOutputStream = Box::new(stream);
        Ok(Ok(self.table.push_child(stream, &body)?))
    }

    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<Fields>>,
    ) -> Result<Result<(), ErrorCode>> {
        let body = self.table.delete(body)?;
        let trailers = match trailers {
            Some(trailers) => Some(self.table.delete(trailers)?.into_map()),
            None => None,
        };
        let written = body.written.load(Ordering::Relaxed);
        if body.expected.is_some_and(|expected| expected != written) {
            return Ok(Err(ErrorCode::HttpRequestBodySize(Some(written))));
        }
        // Nobody listens once the request has failed, of which its response tells.
        let _ = body.end.send(trailers);
        Ok(Ok(()))
    }

    fn drop(&mut self, body: Resource<OutgoingBody>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

/// A response's body as it comes in, within its bounds.
pub(super) struct ResponseBody {
    pub(super) incoming: Incoming,
    /// Bytes that may still come, of `max` in all.
    pub(super) left: u64,
    pub(super) max: u64,
    pub(super) between_bytes: Duration,
    /// When its last part came, or its head.
    pub(super) since: Instant,
    pub(super) log: CallLog,
    /// Ends the connection when the body goes.
    pub(super) _open: OpenCall,
}

impl ResponseBody {
    /// The next part, `None` at the end. May be dropped half-way without a loss.
    async fn frame(&mut self) -> Option<Result<Frame<Bytes>, ErrorCode>> {
        let next = poll_fn(|context| Pin::new(&mut self.incoming).poll_frame(context));
        let result = match timeout_at(self.since + self.between_bytes, next).await {
            Ok(frame) => frame?.map_err(|error| super::call::explain(&error)),
            Err(_) => Err(ErrorCode::ConnectionReadTimeout),
        };
        self.since = Instant::now();
        let result = result.and_then(|frame| {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => return Err(ErrorCode::HttpResponseBodySize(Some(self.max))),
            }
            Ok(frame)
        });
        Some(result.inspect_err(|error| self.log.failed(error)))
    }
}

/// The resource of a response's body.
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct IncomingBody {
    /// Until the plugin takes it.
    body: Option<ResponseBody>,
    trailers: Arc<Mutex<End>>,
}

impl IncomingBody {
    pub(super) fn new(body: ResponseBody) -> Self {
        Self {
            body: Some(body),
            trailers: Arc::default(),
        }
    }
}

/// The stream that a plugin reads a response's body from.
struct Reading {
    /// `None` once all of it was read, or none can be.
    body: Option<ResponseBody>,
    /// Come, and not yet read.
    buffer: Bytes,
    /// To be told at the next read.
    error: Option<ErrorCode>,
    trailers: Arc<Mutex<End>>,
}

impl Reading {
    fn take(&mut self, frame: Option<Result<Frame<Bytes>, ErrorCode>>) {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.buffer = data,
                Err(frame) => {
                    let mut slot = self.trailers.lock().unwrap_or_else(PoisonError::into_inner);
                    *slot = frame.into_trailers().ok();
                    self.body = None;
                }
            },
            Some(Err(error)) => {
                self.error = Some(error);
                self.body = None;
            }
            None => self.body = None,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reading {
    async fn ready(&mut self) {
        while self.buffer.is_empty()
            && let Some(body) = &mut self.body
        {
            let frame = body.frame().await;
            self.take(frame);
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reading {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        // Looks once without waiting; what is not there yet is what `ready` waits for.
        poll_noop(pin!(self.ready()));
        if !self.buffer.is_empty() {
            return Ok(self.buffer.split_to(size.min(self.buffer.len())));
        }
        match self.error.take() {
            Some(error) => Err(StreamError::LastOperationFailed(Error::from(error))),
            None if self.body.is_none() => Err(StreamError::Closed),
            None => Ok(Bytes::new()),
        }
    }
}

impl HostIncomingBody for State {
    fn stream(
        &mut self,
        body: Resource<IncomingBody>,
    ) -> Result<Result<Resource<DynInputStream>, ()>> {
        let found = self.table.get_mut(&body)?;
        let Some(taken) = found.body.take() else {
            return Ok(Err(()));
        };
        let stream: DynInputStream = Box::new(Reading {
            body: Some(taken),
            buffer: Bytes::new(),
            error: None,
            trailers: Arc::clone(&found.trailers),
        });
        Ok(Ok(self.table.push_child(stream, &body)?))
    }

    fn finish(&mut self, body: Resource<IncomingBody>) -> Result<Resource<FutureTrailers>> {
        let body = self.table.delete(body)?;
        Ok(self.table.push(FutureTrailers(Some(body.trailers)))?)
    }

    fn drop(&mut self, body: Resource<IncomingBody>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

/// The trailers of a body that was read to its end; none of any other. Never waits, since what is
/// not read is not fetched either.
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct FutureTrailers(Option<Arc<Mutex<End>>>);

#[wasmtime_wasi::async_trait]
impl Pollable for FutureTrailers {
    async fn ready(&mut self) {}
}

impl HostFutureTrailers for State {
    fn subscribe(&mut self, trailers: Resource<FutureTrailers>) -> Result<Resource<DynPollable>> {
        subscribe(&mut self.table, trailers)
    }

    fn get(
        &mut self,
        trailers: Resource<FutureTrailers>,
    ) -> Result<Option<Result<Result<Option<Resource<Fields>>, ErrorCode>, ()>>> {
        let Some(slot) = self.table.get_mut(&trailers)?.0.take() else {
            return Ok(Some(Err(())));
        };
        let found = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fields = match found {
            Some(map) => Some(self.table.push(Fields::received(map))?),
            None => None,
        };
        Ok(Some(Ok(Ok(fields))))
    }

    fn drop(&mut self, trailers: Resource<FutureTrailers>) -> Result<()> {
        self.table.delete(trailers)?;
        Ok(())
    }
}
