//! The connections of one HTTP server: few, short, and each for one request.
//!
//! Whoever reaches the port can open connections and say nothing. They must not take the descriptors that
//! the host needs for NATS, nor keep a probe from its answer. So there is a bound, and beyond it the oldest
//! connection makes room for the newest.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Connections at once. A few scrapers, probes and people use one each, for milliseconds.
const MOST: usize = 64;

/// Time for the head of a request, from the moment of the connection.
const HEAD: Duration = Duration::from_secs(5);

/// Time for all of a connection, with an answer to a reader that is slow.
const WHOLE: Duration = Duration::from_secs(30);

/// Time before the next attempt after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections. Never ends; they end when it is dropped.
pub(super) async fn serve(listener: TcpListener, pages: Router) {
    let mut connections = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.retain(|connection| !connection.is_finished());
                    if open.len() >= MOST && let Some(oldest) = open.pop_front() {
                        oldest.abort();
                    }
                    open.push_back(connections.spawn(answer(stream, pages.clone())));
                    // It can answer what has arrived before a flood of others closes it.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    tracing::debug!("cannot accept an HTTP connection: {error}");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request. What goes wrong is the client's business.
async fn answer(stream: TcpStream, pages: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    let _ = timeout(WHOLE, connection).await;
}
