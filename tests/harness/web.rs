//! A web server on loopback, for plugins that send requests.

use super::certificates::Authority;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::{StreamExt, future, stream};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server with a thread of its own, stopped when this is dropped.
pub struct Web {
    port: u16,
    hits: Arc<AtomicUsize>,
    /// Closed for as long as the gate is.
    gate: Arc<Semaphore>,
    _runtime: tokio::runtime::Runtime,
}

impl Web {
    /// Over plain HTTP.
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// Over TLS, as `localhost`.
    pub fn start_tls(authority: &Authority) -> Self {
        let signed = authority.sign("web", &["localhost"]);
        let certificate = CertificateDer::from_pem_file(signed.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(signed.key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// The port on `127.0.0.1`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests so far.
    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }

    /// Answers whoever waits at `/gate`, now and from now on.
    pub fn open_gate(&self) {
        self.gate.close();
    }

    fn serve(tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let hits = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let router = router(Arc::clone(&hits), Arc::clone(&gate));
        runtime.spawn(async move {
            let Some(tls) = tls else {
                return axum::serve(listener, router).await.unwrap();
            };
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, service) = (tls.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        let http = hyper::server::conn::http1::Builder::new();
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        });
        Self {
            port,
            hits,
            gate,
            _runtime: runtime,
        }
    }
}

fn router(hits: Arc<AtomicUsize>, gate: Arc<Semaphore>) -> Router {
    let pass = async move || {
        let _closed = gate.acquire().await;
        "open"
    };
    let late = Arc::new(AtomicUsize::new(0));
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/host", get(host))
        .route("/key", get(key))
        .route("/echo", post(echo))
        .route("/sized/{bytes}", get(sized))
        .route("/chunked/{bytes}", get(chunked))
        .route("/redirect", get(redirect))
        .route("/items/{sku}", get(move |path| item(path, late)))
        .route("/gate", get(pass))
        .route("/never", get(future::pending::<()>))
        .route("/stall", get(stall))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here") })
        .layer(axum::middleware::from_fn_with_state(hits, count))
}

async fn count(
    State(hits): State<Arc<AtomicUsize>>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> impl IntoResponse {
    hits.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or("none").to_owned()
}

async fn host(headers: HeaderMap) -> String {
    header(&headers, "host")
}

async fn key(headers: HeaderMap) -> String {
    header(&headers, "idempotency-key")
}

/// What was sent, and the idempotency key.
async fn echo(headers: HeaderMap, body: Bytes) -> String {
    let key = header(&headers, "idempotency-key");
    format!("{} with key {key}", String::from_utf8_lossy(&body))
}

async fn sized(Path(bytes): Path<usize>) -> Vec<u8> {
    vec![b'x'; bytes]
}

/// Bytes that are sent at once where no header tells how many there are.
const CHUNK: usize = 100;

/// So many bytes, of which no header tells.
async fn chunked(Path(bytes): Path<usize>) -> Body {
    let chunk = |at| Bytes::from(vec![b'x'; CHUNK.min(bytes - at)]);
    let chunks: Vec<_> = (0..bytes)
        .step_by(CHUNK)
        .map(chunk)
        .map(Ok::<_, Infallible>)
        .collect();
    Body::from_stream(stream::iter(chunks))
}

async fn redirect(Query(query): Query<HashMap<String, String>>) -> impl IntoResponse {
    (StatusCode::FOUND, [(header::LOCATION, query["to"].clone())])
}

/// What an article costs. Of some there is nothing to be known, or not yet.
async fn item(Path(sku): Path<String>, late: Arc<AtomicUsize>) -> Result<String, StatusCode> {
    match &*sku {
        "none" => Err(StatusCode::NOT_FOUND),
        "forbidden" => Err(StatusCode::FORBIDDEN),
        "busy" => Err(StatusCode::SERVICE_UNAVAILABLE),
        "late" if late.fetch_add(1, Ordering::Relaxed) == 0 => Err(StatusCode::TOO_MANY_REQUESTS),
        "page" => Ok("<p>hello".into()),
        "large" => Ok(format!(
            "{{\"cents\":150,\"note\":\"{}\"}}",
            "x".repeat(2000)
        )),
        "empty" => Ok("{}".into()),
        _ => Ok("{\"cents\":150}".into()),
    }
}

/// The head and the first bytes, and nothing after them.
async fn stall() -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"first"))]);
    Body::from_stream(first.chain(stream::pending()))
}
