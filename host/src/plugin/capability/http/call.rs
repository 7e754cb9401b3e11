//! One request over the wire: the name, the address, the connection, TLS, HTTP/1.1.

use super::address::Reach;
use super::bindings::types::{DnsErrorPayload, ErrorCode};
use super::body::{RequestBody, ResponseBody};
use super::request::{Target, Times};
use super::response::Reply;
use crate::config::limits::Limits;
use crate::config::origin::{Host, Scheme};
use crate::plugin::OperatorSettings;
use crate::plugin::services::HostServices;
use anyhow::{Context, ensure};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

/// Bytes of a response's head; also what is read at once. Servers rarely send more than 8 KiB.
const HEAD: usize = 64 << 10;

/// What a request holds until its response has been read or dropped.
pub(super) struct OpenCall {
    _connection: AbortOnDropJoinHandle<()>,
    _permit: OwnedSemaphorePermit,
}

/// Counts the requests of one instance and logs those that are denied.
#[derive(Clone)]
pub(super) struct CallLog {
    settings: Arc<OperatorSettings>,
    services: Arc<dyn HostServices>,
}

impl CallLog {
    pub(super) fn new(settings: &Arc<OperatorSettings>, services: &Arc<dyn HostServices>) -> Self {
        Self {
            settings: Arc::clone(settings),
            services: Arc::clone(services),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    pub(super) fn started(&self) {
        self.settings.metrics.http_requests.inc();
    }

    /// Logs why a request was denied. [`CallLog::failed`] counts it, as it does every error.
    pub(super) fn denied(&self, target: &Target, why: &str) {
        let entry = format!("denied a request to `{target}`: {why}");
        self.services.log(tracing::Level::WARN, &entry);
    }

    pub(super) fn failed(&self, error: &ErrorCode) {
        let metrics = &self.settings.metrics;
        match error {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
                &metrics.http_denied
            }
            _ => &metrics.http_failed,
        }
        .inc();
    }
}

/// A granted request, from the resolution of its name to the head of its response.
pub(super) struct HttpCall {
    pub(super) reach: Reach,
    pub(super) times: Times,
    /// The most bytes that the response's body may have.
    pub(super) max_body: u64,
    pub(super) tls: Option<TlsConnector>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) log: CallLog,
}

impl HttpCall {
    /// Sends the request and waits for the head of its response.
    pub(super) async fn run(self, target: Target, request: Request<RequestBody>) -> Reply {
        let log = self.log.clone();
        let reply = self.exchange(&target, request).await;
        reply.inspect_err(|error| log.failed(error))
    }

    async fn exchange(self, target: &Target, request: Request<RequestBody>) -> Reply {
        let (mut sender, connection) = timeout(self.times.connect, self.connect(target))
            .await
            .map_err(|_| ErrorCode::ConnectionTimeout)??;
        let response = timeout(self.times.first_byte, sender.send_request(request))
            .await
            .map_err(|_| ErrorCode::ConnectionReadTimeout)?
            .map_err(|error| explain(&error))?;
        self.bounded(response, connection)
    }

    /// Resolves the name, checks its addresses, and connects to one that passed.
    async fn connect(
        &self,
        target: &Target,
    ) -> Result<(SendRequest<RequestBody>, AbortOnDropJoinHandle<()>), ErrorCode> {
        let addresses = self.allowed(target, resolve(target).await?)?;
        let stream = reach_one_of(&addresses).await?;
        let stream: Box<dyn Wire> = match (target.scheme, &self.tls) {
            (Scheme::Http, _) => Box::new(stream),
            (Scheme::Https, Some(tls)) => Box::new(secure(tls, target, stream).await?),
            (Scheme::Https, None) => return Err(ErrorCode::ConfigurationError),
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| explain(&error))?;
        // What goes wrong on the connection is told by the response or its body.
        let connection = spawn(async move { drop(connection.await) });
        Ok((sender, connection))
    }

    /// The addresses that the grant allows.
    fn allowed(
        &self,
        target: &Target,
        found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, ErrorCode> {
        let refused = found
            .iter()
            .map(SocketAddr::ip)
            .find(|address| !self.reach.allows(*address));
        let allowed: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| self.reach.allows(address.ip()))
            .collect();
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, None) => Err(ErrorCode::DestinationNotFound),
            (true, Some(address)) => {
                self.log.denied(target, &prohibited(self.reach, address));
                Err(ErrorCode::DestinationIpProhibited)
            }
        }
    }

    /// The response, with a body that enforces its bounds.
    fn bounded(self, response: Response<Incoming>, connection: AbortOnDropJoinHandle<()>) -> Reply {
        let announced = response.body().size_hint().lower();
        if announced > self.max_body {
            return Err(ErrorCode::HttpResponseBodySize(Some(announced)));
        }
        let open = OpenCall {
            _connection: connection,
            _permit: self.permit,
        };
        Ok(response.map(|incoming| ResponseBody {
            incoming,
            left: self.max_body,
            max: self.max_body,
            between_bytes: self.times.between_bytes,
            since: Instant::now(),
            log: self.log,
            _open: open,
        }))
    }
}

fn prohibited(reach: Reach, address: IpAddr) -> String {
    let advice = if reach == Reach::Public && Reach::Private.allows(address) {
        "; put a name of your own network into `grants.http-private`"
    } else {
        ""
    };
    format!("it leads to `{address}`, which is not a public address{advice}")
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, ErrorCode> {
    let name = match &target.host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, target.port)]),
        Host::Name(name) | Host::Under(name) => name.as_str(),
    };
    let found = lookup_host((name, target.port)).await.map_err(|error| {
        ErrorCode::DnsError(DnsErrorPayload {
            rcode: Some(error.to_string()),
            info_code: None,
        })
    })?;
    Ok(found.collect())
}

/// A connection to the first address that takes one.
async fn reach_one_of(addresses: &[SocketAddr]) -> Result<TcpStream, ErrorCode> {
    let mut failed = ErrorCode::DestinationNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is written at once; waiting for more of it would only cost time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failed = unreachable(&error),
        }
    }
    Err(failed)
}

fn unreachable(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ErrorCode::DestinationUnavailable
        }
        _ => ErrorCode::ConnectionTerminated,
    }
}

/// A stream of bytes, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn secure(
    tls: &TlsConnector,
    target: &Target,
    stream: TcpStream,
) -> Result<impl Wire + use<>, ErrorCode> {
    let name = match &target.host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) | Host::Under(name) => {
            ServerName::try_from(name.clone()).map_err(|_| ErrorCode::TlsCertificateError)?
        }
    };
    tls.connect(name, stream).await.map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => ErrorCode::TlsCertificateError,
            Some(_) => ErrorCode::TlsProtocolError,
            None => unreachable(&error),
        }
    })
}

/// TLS that trusts the system's roots and those in `ca`, as the connection to NATS does.
pub(super) fn tls(ca: Option<&Path>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = ca {
        let certificates = CertificateDer::pem_file_iter(ca)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("cannot read `{}`", ca.display()))?;
        roots.add_parsable_certificates(certificates);
    }
    ensure!(
        !roots.is_empty(),
        "this system has no certificates of authorities, and `nats.tls.ca` names none"
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// hyper's errors as those of `wasi:http`.
pub(super) fn explain(error: &hyper::Error) -> ErrorCode {
    if error.is_parse_too_large() {
        ErrorCode::HttpResponseHeaderSectionSize(None)
    } else if error.is_incomplete_message() {
        ErrorCode::HttpResponseIncomplete
    } else if error.is_canceled() || error.is_closed() {
        ErrorCode::ConnectionTerminated
    } else {
        ErrorCode::HttpProtocolError
    }
}
