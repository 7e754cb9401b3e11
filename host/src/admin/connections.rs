//! Limits the connections of one HTTP server: few at a time, one request each, and short, except for
//! watchers.
//!
//! Any client that reaches the port can open connections and stay silent. Such clients must not use up the
//! file descriptors that the host needs for NATS, or prevent an answer to a probe. So the number is limited,
//! and a new connection beyond the limit closes the oldest one.

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Connections at once. A few scrapers, probes and people use one each, for milliseconds.
const MOST: usize = 64;

/// Time for the head of a request, from the moment of the connection.
const HEAD: Duration = Duration::from_secs(5);

/// Time for all of a connection, with an answer to a reader that is slow. One that [lasts](Lasting) must go on within
/// it.
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
                    open.push_back(connections.spawn(answer(stream, pages.clone(), WHOLE)));
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

/// Of a connection whose answer has no end: whether it has gone on since this was last asked. One to whose reader
/// nothing can be written does not.
#[derive(Clone, Default)]
pub(super) struct Lasting(Arc<Progress>);

#[derive(Default)]
struct Progress {
    has_gone_on: AtomicBool,
    is_given_up: AtomicBool,
}

impl Lasting {
    pub(super) fn goes_on(&self) {
        self.0.has_gone_on.store(true, Ordering::Relaxed);
    }

    /// Whether the connection ends because its reader is too slow.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.is_given_up.load(Ordering::Relaxed)
    }

    fn has_gone_on(&self) -> bool {
        let has_gone_on = self.0.has_gone_on.swap(false, Ordering::Relaxed);
        self.0.is_given_up.store(!has_gone_on, Ordering::Relaxed);
        has_gone_on
    }
}

/// Answers one request, within `whole` or as long as it goes on. What goes wrong is the client's business.
async fn answer(stream: TcpStream, pages: Router, whole: Duration) {
    let lasting = Lasting::default();
    let pages = pages.layer(Extension(lasting.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    let mut connection = pin!(connection);
    while timeout(whole, &mut connection).await.is_err() && lasting.has_gone_on() {}
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use futures_util::stream;
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    const WHOLE: Duration = Duration::from_secs(1);

    /// What a body without an end holds. It tells, when it ends, whether its reader was given up.
    struct Endless {
        lasting: Lasting,
        ended: Option<oneshot::Sender<bool>>,
    }

    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.ended.take().unwrap().send(self.lasting.is_given_up());
        }
    }

    /// A client of a page that goes on with `part` for as long as it is read, every `pause`.
    async fn client(part: &'static str, pause: Duration) -> (TcpStream, oneshot::Receiver<bool>) {
        let (sender, ended) = oneshot::channel();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        let page = move |Extension(lasting): Extension<Lasting>| async move {
            let ended = sender.lock().unwrap().take();
            let held = Endless { lasting, ended };
            Body::from_stream(stream::unfold(held, move |held| async move {
                held.lasting.goes_on();
                tokio::time::sleep(pause).await;
                Some((Ok::<_, Infallible>(part), held))
            }))
        };
        let pages = Router::new().route("/", get(page));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream, pages, WHOLE).await;
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        (client, ended)
    }

    #[tokio::test]
    async fn a_reader_who_takes_nothing_is_given_up() {
        let large = "x".repeat(1 << 20).leak();
        let (client, ended) = client(large, Duration::ZERO).await;
        assert!(ended.await.unwrap());
        drop(client);
    }

    #[tokio::test]
    async fn an_answer_that_goes_on_outlasts_the_bound_of_others_until_its_reader_goes() {
        let (mut client, ended) = client("x", WHOLE / 20).await;
        let (mut bytes, mut part) = (0, [0; 64]);
        // Twice the bound, and more than the head of the answer.
        while bytes < 200 {
            bytes += client.read(&mut part).await.unwrap();
        }
        for _ in 0..40 {
            assert_ne!(client.read(&mut part).await.unwrap(), 0);
        }
        drop(client);
        assert!(!ended.await.unwrap());
    }
}
