//! HTTP requests to the servers that the operator's `grants.http` names.
//!
//! ```
//! use std::time::Duration;
//! use weir_sdk::{Error, Message, OrFail, Output, Outputs, http};
//!
//! fn enrich(message: &Message) -> Result<Outputs, Error> {
//!     let request = http::Request::post("https://api.example.com/rates", message.payload.clone());
//!     let request = request.header("idempotency-key", &message.sequence.to_string());
//!     let response = request.timeout(Duration::from_secs(2)).send().or_retry("no rate")?;
//!     match response.status {
//!         200 => Ok(Output::new(response.body).into()),
//!         status => Err(Error::reject(format!("no rate: status {status}"))),
//!     }
//! }
//! # weir_sdk::testing::serve(|request| {
//! #     Ok(http::Response::new(200, [&request.body.clone().unwrap()[..], b"!"].concat()))
//! # });
//! # assert_eq!(enrich(&Message::new("orders", "12")), Ok(Output::new("12!").into()));
//! ```
//!
//! A request is at least once, as its message is: send the sequence as an idempotency key where a repeat does harm.
//! A plugin that calls nothing of this module imports no HTTP and needs no grant. For `cargo test` see
//! [`testing::serve`](crate::testing::serve).

use crate::Header;
#[cfg(not(target_family = "wasm"))]
use crate::testing::http as host;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

#[cfg(target_family = "wasm")]
mod host;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, for example.
    pub method: String,
    /// `http://` or `https://`.
    pub url: String,
    /// `content-length` is added, and `host` is that of the address.
    pub headers: Vec<Header>,
    /// The body, if it has one.
    pub body: Option<Vec<u8>>,
    /// The most that it waits for a connection, for the answer, and between parts of the answer. `None` is half of
    /// the operator's `limits.deadline`.
    pub timeout: Option<Duration>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout: None,
        }
    }

    /// `GET`
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// `POST` with this body.
    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(Header {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Lets it wait no longer than this for a connection, for the answer, and between parts of the answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the response, whatever its status.
    ///
    /// # Errors
    /// There is no response, or not all of it.
    pub fn send(&self) -> Result<Response, Error> {
        host::send(self).response()
    }
}

/// Sends requests at the same time and yields their responses, whatever their status, in the order of the requests.
///
/// At most `most` of them are open at once; more than the operator's `limits.http-requests` fail.
///
/// ```
/// # use weir_sdk::http;
/// # weir_sdk::testing::serve(|request| Ok(http::Response::new(200, request.url.as_bytes())));
/// let requests = ["http://a.example", "http://b.example"].map(http::Request::get);
/// let responses: Result<Vec<_>, _> = http::send_all(&requests, 8).collect();
/// # assert_eq!(responses.unwrap()[1].body, b"http://b.example");
/// ```
pub fn send_all(
    requests: &[Request],
    most: usize,
) -> impl Iterator<Item = Result<Response, Error>> {
    let mut rest = requests.iter();
    let mut sent = VecDeque::new();
    std::iter::from_fn(move || {
        while sent.len() < most.max(1) {
            let Some(request) = rest.next() else { break };
            sent.push_back(host::send(request));
        }
        sent.pop_front().map(host::Sent::response)
    })
}

/// Sends a `GET` and waits for the response, whatever its status.
///
/// # Errors
/// There is no response, or not all of it.
pub fn get(url: &str) -> Result<Response, Error> {
    Request::get(url).send()
}

/// A response, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200, for example.
    pub status: u16,
    /// The names are in lower case.
    pub headers: Vec<Header>,
    /// At most as many bytes as the operator's `limits.http-response`.
    pub body: Vec<u8>,
}

impl Response {
    /// A response without headers, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The first value of a header, compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(&found.value)
    }

    /// The body as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none, or has other fields than `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// In which way a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not granted. The host's log says it, too.
    Denied,
    /// It took too long.
    Timeout,
    /// The body is larger than the operator's `limits.http-response`.
    TooLarge,
    /// No connection, no HTTP, or nothing that can be sent.
    Failed,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// In which way it failed.
    pub kind: ErrorKind,
    /// In words, with the server's name.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Error {}

impl Error {
    #[cfg_attr(
        not(target_family = "wasm"),
        expect(dead_code, reason = "for the host")
    )]
    fn failed(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            kind: ErrorKind::Failed,
            reason,
        }
    }
}
