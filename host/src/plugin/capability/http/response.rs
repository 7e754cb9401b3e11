//! The resources `future-incoming-response` and `incoming-response`, and those of servers, which no
//! plugin of this contract is: nothing makes one, and what would is a trap.

use super::bindings::types::{
    self, ErrorCode, HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse,
    HostOutgoingResponse, HostResponseOutparam, IncomingRequest, Method, OutgoingResponse,
    ResponseOutparam, Scheme,
};
use super::body::{IncomingBody, OutgoingBody, ResponseBody};
use super::fields::Fields;
use crate::plugin::instance::State;
use hyper::Response;
use wasmtime::component::Resource;
use wasmtime::{Result, bail};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;

/// What came of a request.
pub(super) type Reply = Result<Response<ResponseBody>, ErrorCode>;

/// A request that was sent. Dropping it breaks the request off.
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct FutureIncomingResponse(Progress);

enum Progress {
    Waiting(AbortOnDropJoinHandle<Reply>),
    Here(Box<Reply>),
    Taken,
}

#[wasmtime_wasi::async_trait]
impl Pollable for FutureIncomingResponse {
    async fn ready(&mut self) {
        if let Progress::Waiting(task) = &mut self.0 {
            self.0 = Progress::Here(Box::new(task.await));
        }
    }
}

impl FutureIncomingResponse {
    pub(super) fn new(task: AbortOnDropJoinHandle<Reply>) -> Self {
        Self(Progress::Waiting(task))
    }
}

/// A response whose head is here.
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct IncomingResponse {
    status: u16,
    headers: Fields,
    /// Until the plugin takes it.
    body: Option<IncomingBody>,
}

impl HostFutureIncomingResponse for State {
    fn subscribe(
        &mut self,
        future: Resource<FutureIncomingResponse>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(&mut self.table, future)
    }

    fn get(
        &mut self,
        future: Resource<FutureIncomingResponse>,
    ) -> Result<Option<Result<Result<Resource<IncomingResponse>, ErrorCode>, ()>>> {
        let progress = &mut self.table.get_mut(&future)?.0;
        let reply = match std::mem::replace(progress, Progress::Taken) {
            Progress::Waiting(task) => {
                *progress = Progress::Waiting(task);
                return Ok(None);
            }
            Progress::Taken => return Ok(Some(Err(()))),
            Progress::Here(reply) => *reply,
        };
        let response = match reply {
            Ok(response) => response,
            Err(error) => return Ok(Some(Ok(Err(error)))),
        };
        let (head, body) = response.into_parts();
        let response = self.table.push(IncomingResponse {
            status: head.status.as_u16(),
            headers: Fields::received(head.headers),
            body: Some(IncomingBody::new(body)),
        })?;
        Ok(Some(Ok(Ok(response))))
    }

    fn drop(&mut self, future: Resource<FutureIncomingResponse>) -> Result<()> {
        self.table.delete(future)?;
        Ok(())
    }
}

impl HostIncomingResponse for State {
    fn status(&mut self, response: Resource<IncomingResponse>) -> Result<u16> {
        Ok(self.table.get(&response)?.status)
    }

    fn headers(&mut self, response: Resource<IncomingResponse>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn consume(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> Result<Result<Resource<IncomingBody>, ()>> {
        match self.table.get_mut(&response)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, response: Resource<IncomingResponse>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl types::Host for State {
    fn http_error_code(&mut self, error: Resource<types::IoError>) -> Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref().cloned())
    }
}

fn no_server<T>() -> Result<T> {
    bail!("a plugin cannot serve requests")
}

impl HostIncomingRequest for State {
    fn method(&mut self, _: Resource<IncomingRequest>) -> Result<Method> {
        no_server()
    }

    fn path_with_query(&mut self, _: Resource<IncomingRequest>) -> Result<Option<String>> {
        no_server()
    }

    fn scheme(&mut self, _: Resource<IncomingRequest>) -> Result<Option<Scheme>> {
        no_server()
    }

    fn authority(&mut self, _: Resource<IncomingRequest>) -> Result<Option<String>> {
        no_server()
    }

    fn headers(&mut self, _: Resource<IncomingRequest>) -> Result<Resource<Fields>> {
        no_server()
    }

    fn consume(
        &mut self,
        _: Resource<IncomingRequest>,
    ) -> Result<Result<Resource<IncomingBody>, ()>> {
        no_server()
    }

    fn drop(&mut self, _: Resource<IncomingRequest>) -> Result<()> {
        no_server()
    }
}

impl HostOutgoingResponse for State {
    fn new(&mut self, _: Resource<Fields>) -> Result<Resource<OutgoingResponse>> {
        no_server()
    }

    fn status_code(&mut self, _: Resource<OutgoingResponse>) -> Result<u16> {
        no_server()
    }

    fn set_status_code(&mut self, _: Resource<OutgoingResponse>, _: u16) -> Result<Result<(), ()>> {
        no_server()
    }

    fn headers(&mut self, _: Resource<OutgoingResponse>) -> Result<Resource<Fields>> {
        no_server()
    }

    fn body(
        &mut self,
        _: Resource<OutgoingResponse>,
    ) -> Result<Result<Resource<OutgoingBody>, ()>> {
        no_server()
    }

    fn drop(&mut self, _: Resource<OutgoingResponse>) -> Result<()> {
        no_server()
    }
}

impl HostResponseOutparam for State {
    fn send_informational(
        &mut self,
        _: Resource<ResponseOutparam>,
        _: u16,
        _: Resource<Fields>,
    ) -> Result<Result<(), ErrorCode>> {
        no_server()
    }

    fn set(
        &mut self,
        _: Resource<ResponseOutparam>,
        _: Result<Resource<OutgoingResponse>, ErrorCode>,
    ) -> Result<()> {
        no_server()
    }

    fn drop(&mut self, _: Resource<ResponseOutparam>) -> Result<()> {
        no_server()
    }
}
