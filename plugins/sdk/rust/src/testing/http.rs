//! What answers requests in a test.

use crate::http::{Error, ErrorKind, Request, Response};
use std::cell::RefCell;
use std::rc::Rc;

type Server = Rc<dyn Fn(&Request) -> Result<Response, Error>>;

thread_local! {
    static SERVER: RefCell<Option<Server>> = RefCell::default();
}

pub(super) fn set(server: Server) {
    SERVER.set(Some(server));
}

/// A request that was answered.
pub(crate) struct Sent(Result<Response, Error>);

pub(crate) fn send(request: &Request) -> Sent {
    Sent(match SERVER.with_borrow(Clone::clone) {
        Some(server) => server(request),
        None => Err(Error {
            kind: ErrorKind::Failed,
            reason: "nothing answers requests in this test: see `testing::serve`".into(),
        }),
    })
}

impl Sent {
    pub(crate) fn response(self) -> Result<Response, Error> {
        self.0
    }
}
