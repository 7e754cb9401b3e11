//! Requests through the host: `wasi:http/outgoing-handler`.

use super::{Error, ErrorKind, Request, Response};
use crate::Header;
use crate::http_bindings::wasi::http::outgoing_handler::handle;
use crate::http_bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use crate::http_bindings::wasi::io::streams::StreamError;
use std::time::Duration;

/// Bytes that a stream takes at once, by its contract.
const WRITTEN: usize = 4096;

/// Bytes to ask for at once.
const READ: u64 = 64 << 10;

/// An address, taken apart.
struct Address<'a> {
    scheme: Scheme,
    /// `scheme://host:port`: a path may hold secrets, so that errors name this alone.
    server: &'a str,
    authority: &'a str,
    path: String,
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let begins = |prefix: &str| {
            let start = url.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let (scheme, start) = match (begins("https://"), begins("http://")) {
            (true, _) => (Scheme::Https, "https://".len()),
            (_, true) => (Scheme::Http, "http://".len()),
            _ => return None,
        };
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        let end = url[start..]
            .find(['/', '?'])
            .map_or(url.len(), |end| start + end);
        let path = &url[end..];
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Self {
            scheme,
            server: &url[..end],
            authority: &url[start..end],
            path: format!("{slash}{path}"),
        })
    }

    fn explain(&self, code: &ErrorCode) -> Error {
        let server = self.server;
        let (kind, reason) = match code {
            ErrorCode::HttpRequestDenied => {
                let reason =
                    format!("a request to `{server}` was denied: it is not in `grants.http`");
                (ErrorKind::Denied, reason)
            }
            ErrorCode::DestinationIpProhibited => {
                let reason = format!(
                    "a request to `{server}` was denied: it leads to an address that is not public, and it is not in \
                     `grants.http-private`"
                );
                (ErrorKind::Denied, reason)
            }
            ErrorCode::HttpResponseBodySize(_) => {
                let reason =
                    format!("the response of `{server}` is larger than `limits.http-response`");
                (ErrorKind::TooLarge, reason)
            }
            ErrorCode::DnsTimeout
            | ErrorCode::ConnectionTimeout
            | ErrorCode::ConnectionReadTimeout
            | ErrorCode::ConnectionWriteTimeout
            | ErrorCode::HttpResponseTimeout => (
                ErrorKind::Timeout,
                format!("a request to `{server}` timed out"),
            ),
            other => {
                let code = format!("{other:?}");
                let code = code.trim_start_matches("ErrorCode::");
                (
                    ErrorKind::Failed,
                    format!("a request to `{server}` failed: {code}"),
                )
            }
        };
        Error { kind, reason }
    }
}

/// A request that was sent.
pub(super) struct Sent<'r>(Result<(Address<'r>, FutureIncomingResponse), Error>);

pub(super) fn send(request: &Request) -> Sent<'_> {
    Sent(start(request))
}

impl Sent<'_> {
    /// Waits for the response.
    pub(super) fn response(self) -> Result<Response, Error> {
        let (address, future) = self.0?;
        wait(&future)
            .and_then(read)
            .map_err(|code| address.explain(&code))
    }
}

fn start(request: &Request) -> Result<(Address<'_>, FutureIncomingResponse), Error> {
    let missing = "a request needs an address that begins with `https://` or `http://`";
    let address = Address::parse(&request.url).ok_or_else(|| Error::failed(missing))?;
    let message = make(request, &address)?;
    let bytes = request.body.as_deref();
    let body = bytes.and_then(|bytes| Some((message.body().ok()?, bytes)));
    let future = handle(message, request.timeout.map(options));
    let future = future.map_err(|code| address.explain(&code))?;
    if let Some((body, bytes)) = body {
        write(body, bytes);
    }
    Ok((address, future))
}

fn make(request: &Request, address: &Address<'_>) -> Result<OutgoingRequest, Error> {
    let server = address.server;
    let line = |header: &Header| (header.name.clone(), header.value.clone().into_bytes());
    let mut lines: Vec<_> = request.headers.iter().map(line).collect();
    if let Some(body) = &request.body {
        lines.push(("content-length".into(), body.len().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&lines).map_err(|_| {
        Error::failed(format!(
            "a request to `{server}` has a header that cannot be sent"
        ))
    })?;
    let message = OutgoingRequest::new(headers);
    message
        .set_method(&Method::Other(request.method.clone()))
        .and_then(|()| message.set_scheme(Some(&address.scheme)))
        .and_then(|()| message.set_authority(Some(address.authority)))
        .and_then(|()| message.set_path_with_query(Some(&address.path)))
        .map_err(|()| {
            Error::failed(format!(
                "a request to `{server}` has an address or a method that is not valid"
            ))
        })?;
    Ok(message)
}

fn options(timeout: Duration) -> RequestOptions {
    let nanoseconds = Some(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    let options = RequestOptions::new();
    // A host that knows none of them has its own.
    let _ = options.set_connect_timeout(nanoseconds);
    let _ = options.set_first_byte_timeout(nanoseconds);
    let _ = options.set_between_bytes_timeout(nanoseconds);
    options
}

/// Sends the body. What goes wrong on the way is told by the response.
fn write(body: OutgoingBody, bytes: &[u8]) {
    if let Ok(stream) = body.write() {
        let _ = bytes
            .chunks(WRITTEN)
            .try_for_each(|chunk| stream.blocking_write_and_flush(chunk));
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Waits for the head of the response.
fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    future.subscribe().block();
    let unready = || ErrorCode::InternalError(Some("the host had no response".into()));
    future.get().ok_or_else(unready)?.map_err(|()| unready())?
}

fn read(response: IncomingResponse) -> Result<Response, ErrorCode> {
    let header = |(name, value): (String, Vec<u8>)| Header {
        name,
        value: String::from_utf8_lossy(&value).into_owned(),
    };
    let headers = response.headers().entries().into_iter().map(header);
    let taken = |()| ErrorCode::InternalError(Some("the host had no body".into()));
    let body = response.consume().map_err(taken)?;
    let stream = body.stream().map_err(taken)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(part) if bytes.is_empty() => bytes = part,
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).unwrap_or(ErrorCode::HttpResponseIncomplete));
            }
        }
    }
    Ok(Response {
        status: response.status(),
        headers: headers.collect(),
        body: bytes,
    })
}
