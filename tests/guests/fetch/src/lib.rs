//! Sends the HTTP requests that the payload asks for, for the tests of grants.
//!
//! The payload is `VERB URL`, see [`obey`]; what is neither is passed on as it came. The output is
//! the status and the body; an error of `wasi:http` is the reason of a rejection.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, FutureIncomingResponse, Headers, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;
use weir_sdk::{Error, Message, Operator, Output, Outputs};

/// An hour, in nanoseconds.
const LONG: u64 = 3_600_000_000_000;

struct Fetch;

impl Operator for Fetch {
    type Config = ();

    fn configure((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match message.text()?.split_once(' ') {
            Some((verb, url)) => Ok(Output::new(obey(verb, url, message)?).into()),
            None => Ok(Outputs::pass()),
        }
    }
}

fn obey(verb: &str, url: &str, message: &Message) -> Result<String, Error> {
    match verb {
        "get" => read(wait(send(request(url, None)?, None)?)?),
        // With a body, and the message's sequence as the idempotency key.
        "post" => {
            let request = request(url, Some(message.sequence))?;
            let body = request.body().expect("the body is taken once");
            let future = send(request, None)?;
            let stream = body.write().expect("the stream is taken once");
            stream.blocking_write_and_flush(b"hello")?;
            drop(stream);
            OutgoingBody::finish(body, None).map_err(reason)?;
            read(wait(future)?)
        }
        // Goes where the answer points to, once.
        "follow" => {
            let response = wait(send(request(url, None)?, None)?)?;
            let location = response.headers().get("location").pop().unwrap_or_default();
            let location = String::from_utf8(location)?;
            read(wait(send(request(&location, None)?, None)?)?)
        }
        // Would wait for an hour, and then for another.
        "patient" => loop {
            let options = RequestOptions::new();
            let _ = options.set_connect_timeout(Some(LONG));
            let _ = options.set_first_byte_timeout(Some(LONG));
            let _ = options.set_between_bytes_timeout(Some(LONG));
            let future = send(request(url, None)?, Some(options))?;
            if let Ok(text) = wait(future).and_then(read) {
                break Ok(text);
            }
        },
        // A passing fault, as a plugin that is well made sees it.
        "retry" => {
            let future = send(request(url, None)?, None)?;
            match wait(future) {
                Ok(response) => read(response),
                Err(Error::Reject(reason)) => Err(Error::retry(reason)),
                Err(error) => Err(error),
            }
        }
        // Three at once.
        "thrice" => {
            let open: Vec<_> = (0..3)
                .map(|_| send(request(url, None)?, None))
                .collect::<Result<_, Error>>()?;
            let bodies = open.into_iter().map(|future| read(wait(future)?));
            Ok(bodies.collect::<Result<Vec<_>, Error>>()?.join(", "))
        }
        _ => Err(Error::reject(format!("`{verb}` is no verb"))),
    }
}

fn request(url: &str, key: Option<u64>) -> Result<OutgoingRequest, Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest
        .find('/')
        .map_or((rest, "/"), |slash| rest.split_at(slash));
    let headers = Headers::new();
    if let Some(key) = key {
        headers.append("idempotency-key", key.to_string().as_bytes())?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if scheme == "http" {
        Scheme::Http
    } else {
        Scheme::Https
    };
    let method = if key.is_some() {
        Method::Post
    } else {
        Method::Get
    };
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .and_then(|()| request.set_method(&method))
        .map_err(|()| Error::reject(format!("`{url}` is no address")))?;
    Ok(request)
}

fn send(
    request: OutgoingRequest,
    options: Option<RequestOptions>,
) -> Result<FutureIncomingResponse, Error> {
    handle(request, options).map_err(reason)
}

fn wait(future: FutureIncomingResponse) -> Result<IncomingResponse, Error> {
    future.subscribe().block();
    let response = future
        .get()
        .expect("it is ready")
        .expect("it is taken once");
    response.map_err(reason)
}

fn read(response: IncomingResponse) -> Result<String, Error> {
    let body = response.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error)
                    .map_or_else(|| Error::reject(error.to_debug_string()), reason));
            }
        }
    }
    Ok(format!(
        "{} {}",
        response.status(),
        String::from_utf8_lossy(&bytes)
    ))
}

/// The case's name, with what it holds.
fn reason(error: ErrorCode) -> Error {
    Error::reject(format!("{error:?}"))
}

weir_sdk::export!(Fetch);
