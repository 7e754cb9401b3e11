//! The resources `outgoing-request` and `request-options`.
//!
//! A request is only text until it is sent: whether it is granted is judged in `http.rs`.

use super::bindings::types::{self, ErrorCode, HostOutgoingRequest, Method};
use super::body::{OutgoingBody, RequestBody};
use super::fields::Fields;
use crate::config::origin::{Host, Scheme};
use crate::plugin::instance::State;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use hyper::{Request, Uri};
use std::time::Duration;
use wasmtime::Result;
use wasmtime::component::Resource;

/// A request that has not been sent.
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct OutgoingRequest {
    method: Method,
    scheme: Option<types::Scheme>,
    authority: Option<String>,
    path: Option<String>,
    headers: Fields,
    /// Once the plugin has asked for it.
    body: Option<RequestBody>,
}

/// Where a request goes to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, host) = (self.scheme.as_str(), &self.host);
        write!(formatter, "{scheme}://{host}:{}", self.port)
    }
}

impl OutgoingRequest {
    /// Where it goes to.
    ///
    /// # Errors
    ///
    /// When it does not say, or in no form that an entry of the grant could match.
    pub(super) fn target(&self) -> Result<Target, ErrorCode> {
        let scheme = match &self.scheme {
            None | Some(types::Scheme::Https) => Scheme::Https,
            Some(types::Scheme::Http) => Scheme::Http,
            Some(types::Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
        };
        let invalid = || ErrorCode::HttpRequestUriInvalid;
        let text = self.authority.as_deref().unwrap_or_default();
        let authority: Authority = text.parse().map_err(|_| invalid())?;
        if text.contains('@') {
            return Err(invalid());
        }
        Ok(Target {
            scheme,
            host: Host::parse(authority.host()).ok_or_else(invalid)?,
            port: authority.port_u16().unwrap_or(scheme.default_port()),
        })
    }

    /// The request as it goes over the wire. The host header says what was checked.
    ///
    /// # Errors
    ///
    /// When it makes no sense as HTTP.
    pub(super) fn into_message(self, target: &Target) -> Result<Request<RequestBody>, ErrorCode> {
        let method = method(&self.method).ok_or(ErrorCode::HttpRequestMethodInvalid)?;
        // A tunnel would carry whatever the plugin likes to whomever it likes.
        if method == hyper::Method::CONNECT {
            return Err(ErrorCode::HttpRequestMethodInvalid);
        }
        let length = self.headers.content_length();
        if self.body.is_none() && length.is_some_and(|length| length > 0) {
            return Err(ErrorCode::HttpRequestBodySize(Some(0)));
        }
        let path = path(self.path.as_deref().unwrap_or_default());
        let mut host = target.host.to_string();
        if target.port != target.scheme.default_port() {
            host = format!("{host}:{}", target.port);
        }
        let host = HeaderValue::try_from(host).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let mut request = Request::new(self.body.unwrap_or_default());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path.ok_or(ErrorCode::HttpRequestUriInvalid)?);
        *request.headers_mut() = self.headers.into_map();
        request.headers_mut().insert(HOST, host);
        Ok(request)
    }
}

fn method(method: &Method) -> Option<hyper::Method> {
    Some(match method {
        Method::Get => hyper::Method::GET,
        Method::Head => hyper::Method::HEAD,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Delete => hyper::Method::DELETE,
        Method::Connect => hyper::Method::CONNECT,
        Method::Options => hyper::Method::OPTIONS,
        Method::Trace => hyper::Method::TRACE,
        Method::Patch => hyper::Method::PATCH,
        Method::Other(name) => hyper::Method::from_bytes(name.as_bytes()).ok()?,
    })
}

/// The path of a request line. An absolute address in it would name another server than the one
/// that it is sent to.
fn path(text: &str) -> Option<PathAndQuery> {
    match text.bytes().next() {
        None => Some(PathAndQuery::from_static("/")),
        Some(b'/') => text.parse().ok(),
        Some(b'?') => format!("/{text}").parse().ok(),
        Some(_) => None,
    }
}

impl HostOutgoingRequest for State {
    fn new(&mut self, headers: Resource<Fields>) -> Result<Resource<OutgoingRequest>> {
        let headers = self.table.delete(headers)?.frozen();
        Ok(self.table.push(OutgoingRequest {
            method: Method::Get,
            scheme: None,
            authority: None,
            path: None,
            headers,
            body: None,
        })?)
    }

    fn body(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> Result<Result<Resource<OutgoingBody>, ()>> {
        let request = self.table.get_mut(&request)?;
        if request.body.is_some() {
            return Ok(Err(()));
        }
        let (writing, sending) = OutgoingBody::new(request.headers.content_length());
        request.body = Some(sending);
        Ok(Ok(self.table.push(writing)?))
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> Result<Method> {
        Ok(self.table.get(&request)?.method.clone())
    }

    fn set_method(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Method,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let sound = method(&value).is_some();
        Ok(sound.then(|| request.method = value).ok_or(()))
    }

    fn path_with_query(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.path.clone())
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let sound = value.as_deref().is_none_or(|text| path(text).is_some());
        Ok(sound.then(|| request.path = value).ok_or(()))
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<types::Scheme>> {
        Ok(self.table.get(&request)?.scheme.clone())
    }

    fn set_scheme(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Option<types::Scheme>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let sound = match &value {
            Some(types::Scheme::Other(name)) => UriScheme::try_from(name.as_str()).is_ok(),
            _ => true,
        };
        Ok(sound.then(|| request.scheme = value).ok_or(()))
    }

    fn authority(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.authority.clone())
    }

    fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let sound = value
            .as_deref()
            .is_none_or(|text| text.parse::<Authority>().is_ok());
        Ok(sound.then(|| request.authority = value).ok_or(()))
    }

    fn headers(&mut self, request: Resource<OutgoingRequest>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&request)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

/// How long a request may wait for each of its steps, as far as the plugin says it.
#[derive(Clone, Copy, Debug, Default)]
#[expect(unreachable_pub, reason = "what bindgen makes re-exports it")]
pub struct RequestOptions {
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    between_bytes: Option<Duration>,
}

/// How long a request may wait for each of its steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// For the name, the connection and TLS together.
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
    pub(super) between_bytes: Duration,
}

impl RequestOptions {
    /// At most `deadline`, which ends the whole call anyway. Half of it unless the plugin says
    /// otherwise, so that it can still answer for its message when the server does not.
    pub(super) fn times(self, deadline: Duration) -> Times {
        let limit = |asked: Option<Duration>| asked.unwrap_or(deadline / 2).min(deadline);
        Times {
            connect: limit(self.connect),
            first_byte: limit(self.first_byte),
            between_bytes: limit(self.between_bytes),
        }
    }
}

/// As the contract counts time.
fn nanoseconds(duration: Option<Duration>) -> Option<u64> {
    duration.and_then(|duration| u64::try_from(duration.as_nanos()).ok())
}

macro_rules! options {
    ($($get:ident $set:ident $field:ident)*) => {
        impl types::HostRequestOptions for State {
            fn new(&mut self) -> Result<Resource<RequestOptions>> {
                Ok(self.table.push(RequestOptions::default())?)
            }

            $(
                fn $get(&mut self, options: Resource<RequestOptions>) -> Result<Option<u64>> {
                    Ok(nanoseconds(self.table.get(&options)?.$field))
                }

                fn $set(
                    &mut self,
                    options: Resource<RequestOptions>,
                    value: Option<u64>,
                ) -> Result<Result<(), ()>> {
                    self.table.get_mut(&options)?.$field = value.map(Duration::from_nanos);
                    Ok(Ok(()))
                }
            )*

            fn drop(&mut self, options: Resource<RequestOptions>) -> Result<()> {
                self.table.delete(options)?;
                Ok(())
            }
        }
    };
}

options! {
    connect_timeout set_connect_timeout connect
    first_byte_timeout set_first_byte_timeout first_byte
    between_bytes_timeout set_between_bytes_timeout between_bytes
}
