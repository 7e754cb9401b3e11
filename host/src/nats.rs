//! The connection to NATS: credentials, TLS, and events of the server outside of requests.
//!
//! `health.rs` has what the client reports only through its events.

mod adopt;
mod api;
pub mod attachment;
mod auth;
pub mod bench;
mod buckets;
pub mod by_subject;
pub mod components;
pub mod consumers;
pub mod dead_letters;
pub mod deployments;
mod explain;
pub mod feed;
mod health;
pub mod history;
pub mod job;
pub mod job_admin;
pub mod job_input;
pub mod job_outputs;
pub mod job_progress;
mod job_sources;
pub mod job_stream;
pub mod jobs;
pub mod limits;
mod loops;
pub mod members;
pub mod outputs;
pub mod parking;
pub mod receipts;
pub mod refusal;
pub mod registry;
pub mod savepoints;
pub mod service;
pub mod shadows;
mod sourcing;
pub mod stored;
pub mod streams;
pub mod targets;
pub mod trace;
mod unanswered;
pub mod views;
pub mod wire;

pub use api::Api;
pub use health::Health;
use unanswered::failed;
pub use unanswered::passes;

use crate::config::resolved::{Auth, Nats};
use crate::report::{self, ResultExt};
use crate::telemetry::metrics::Counter;
use crate::threads::locked;
use anyhow::{Context, Result, anyhow};
use async_nats::{AuthError, Client, ConnectOptions};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The oldest server that the tests run; what at-least-once pipelines use is older.
pub const OLDEST_SERVER: (u64, u64, u64) = (2, 11, 0);

/// A connection for everything but the path of messages, with what its events said.
#[derive(Clone)]
pub struct Connection {
    /// Another takes its place when its task has ended: [`keep`].
    client: Arc<Mutex<(Client, Ended)>>,
    pub health: Arc<Health>,
    pub api: Api,
    settings: Arc<Nats>,
    purpose: Arc<str>,
}

/// Closed when the task of a client has ended: its event callback has the other end, and goes with it.
type Ended = watch::Receiver<()>;

impl Connection {
    /// The client of the moment. Not to be kept: it may be replaced.
    #[must_use]
    pub fn client(&self) -> Client {
        locked(&self.client).0.clone()
    }

    /// See [`Health::unless_refused`].
    ///
    /// # Errors
    /// The server's words, with a hint.
    pub async fn unless_refused<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.health.unless_refused(work).await
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn settings(&self) -> &Nats {
        &self.settings
    }
}

/// Connects, and refuses a server that is too old.
///
/// `purpose` names the connection in the server's own lists, as `weir/<purpose>`.
///
/// # Errors
/// Names the servers and the cause: nobody answers, credentials are refused, TLS fails, too old.
pub async fn connect(settings: &Nats, purpose: &str) -> Result<Connection> {
    let health = Arc::new(Health::new(&settings.inbox_prefix, Counter::default()));
    let client = connect_client(settings, purpose, &health).await?;
    health.opened();
    let servers = settings.servers.join(", ");
    refuse_old(&client.0.server_info().version)
        .with_context(|| format!("cannot use the nats server at `{servers}`"))?;
    Ok(Connection {
        client: Arc::new(Mutex::new(client)),
        health,
        api: Api::of(settings),
        settings: Arc::new(settings.clone()),
        purpose: purpose.into(),
    })
}

async fn connect_client(
    settings: &Nats,
    purpose: &str,
    health: &Arc<Health>,
) -> Result<(Client, Ended)> {
    let servers = settings.servers.join(", ");
    let on_event = Arc::clone(health);
    let (task, ended) = watch::channel(());
    let options = options(settings)
        .await
        .with_context(|| format!("cannot connect to nats at `{servers}`"))?;
    let client = options
        .name(format!("weir/{purpose}"))
        .custom_inbox_prefix(&settings.inbox_prefix)
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(20))
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            let _lives = &task;
            let health = Arc::clone(&on_event);
            async move { health.on_event(event) }
        })
        .connect(&settings.servers)
        .await
        .map_err(|error| explain::connect(&error, &settings.tls))
        .with_context(|| format!("cannot connect to nats at `{servers}`"))?;
    Ok((client, ended))
}

/// The pause before the client for management connects again: never none, for a server may take a connection
/// and end it at once.
fn pause(attempts: usize) -> Duration {
    let doubled = 1_u64 << attempts.min(5);
    Duration::from_millis(125 * doubled).mul_f64(rand::random_range(0.5..1.0))
}

async fn options(settings: &Nats) -> Result<ConnectOptions> {
    let mut options = ConnectOptions::new();
    options = match settings.auth.clone() {
        Auth::None => options,
        Auth::CredentialsFile(file) => {
            // What is wrong with it is said before the client says only that it cannot sign.
            auth::token(&file, b"").await?;
            ConnectOptions::with_auth_callback(move |nonce| {
                let file = file.clone();
                async move {
                    let read = auth::token(&file, &nonce).await;
                    let (jwt, signature) =
                        read.map_err(|error| AuthError::new(report::line(&error)))?;
                    let mut auth = async_nats::Auth::new();
                    (auth.jwt, auth.signature) = (Some(jwt), Some(signature));
                    Ok(auth)
                }
            })
        }
        Auth::NkeySeed(seed) => options.nkey(seed),
        Auth::UserPassword { user, password } => options.user_and_password(user, password),
        Auth::Token(token) => options.token(token),
    };
    if let Some(ca) = &settings.tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &settings.tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    if settings.tls.first {
        options = options.tls_first();
    }
    Ok(options.require_tls(settings.tls.required))
}

/// What to do where answers cannot be received.
pub const INBOXES: &str =
    "allow this user to subscribe to its inboxes: `nats.inbox-prefix`, followed by `.>`";

/// How long a connection without its inboxes is left alone.
const DEAF: Duration = Duration::from_secs(5);

/// Connects anew when the server has ended the subscriptions to the inboxes of a connection: it does not
/// say when they are permitted again. Takes another client when the task of the present one has ended, which
/// a message that it cannot read may bring about; `replaced` counts that. Never ends.
pub async fn keep(connection: &Connection, replaced: &Counter) {
    loop {
        let mut ended = locked(&connection.client).1.clone();
        tokio::select! {
            _ = connection.health.deaf() => {
                tokio::time::sleep(DEAF).await;
                if let Err(error) = connection.client().force_reconnect().await {
                    tracing::debug!("cannot connect again: {error}");
                }
                connection.health.down().await;
            }
            _ = ended.changed() => {
                connection.health.lost(&"the client has ended, perhaps over a message that it cannot read");
                while let Err(error) = replace(connection).await {
                    connection.health.not_found(&report::line(&error));
                    tokio::time::sleep(DEAF).await;
                }
                replaced.inc();
            }
        }
    }
}

async fn replace(connection: &Connection) -> Result<()> {
    let (settings, health) = (&connection.settings, &connection.health);
    let client = connect_client(settings, &connection.purpose, health).await?;
    *locked(&connection.client) = client;
    Ok(())
}

/// The result of a request, unless the server says that this user may not send it, or hear the answer: nobody answers
/// then, and waiting for the request to time out would take long. `api` is the subject of the request,
/// or what it begins with.
///
/// # Errors
/// The server's words.
async fn unless_refused<T>(
    connection: &Connection,
    api: &str,
    request: impl IntoFuture<Output = T>,
) -> Result<T, String> {
    let began = Instant::now();
    let mut request = std::pin::pin!(request.into_future());
    loop {
        let changed = connection.health.changed.notified();
        let health = &connection.health;
        let refused = health.violation(api, began).or_else(|| health.is_deaf());
        if let Some(refused) = refused {
            return Err(refused);
        }
        tokio::select! {
            biased;
            answer = &mut request => return Ok(answer),
            () = changed => {}
        }
    }
}

/// As [`unless_refused`], for what cannot be done without.
///
/// # Errors
/// The server's words, with a hint.
async fn permitted<T>(
    connection: &Connection,
    api: &str,
    request: impl IntoFuture<Output = T>,
) -> Result<T> {
    let answer = unless_refused(connection, api, request).await;
    answer
        .map_err(|refused| anyhow!("the server refused: {refused}"))
        .hint(|| match connection.health.is_deaf() {
            Some(_) => INBOXES.to_owned(),
            None => format!("allow this user to publish to `{api}`"),
        })
}

/// Whether a server's version is this one or a later one, whatever its suffix.
fn is_at_least(version: &str, (major, minor, patch): (u64, u64, u64)) -> bool {
    let numbers: Vec<u64> = version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .take(3)
        .collect();
    numbers.as_slice() >= [major, minor, patch].as_slice()
}

fn refuse_old(version: &str) -> Result<()> {
    let (major, minor, patch) = OLDEST_SERVER;
    if is_at_least(version, OLDEST_SERVER) {
        return Ok(());
    }
    Err(anyhow!(
        "it is version {version}; weir needs {major}.{minor}.{patch} or later"
    ))
    .hint(|| "update nats-server: older servers accept unknown settings and ignore them")
}

#[cfg(test)]
mod tests {
    use super::refuse_old;

    #[test]
    fn servers_before_2_11_are_refused_whatever_their_suffix() {
        assert!(refuse_old("2.15.1").is_ok());
        assert!(refuse_old("2.11.0").is_ok());
        assert!(refuse_old("3.0.0-beta.1").is_ok());
        assert!(refuse_old("2.9.10").is_err());
        assert!(refuse_old("2.10.29-RC.1").is_err());
        assert!(refuse_old("").is_err());
    }
}
