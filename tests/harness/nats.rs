//! A real `nats-server` with JetStream, in a directory of its own, and a client that waits for its
//! answers, so that tests are plain functions.

use super::{repository, signal, tail, wait_for};
use async_nats::jetstream::{self, consumer, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// One server. Killed, by its own process id, when dropped.
pub struct NatsServer {
    program: PathBuf,
    directory: TempDir,
    child: Option<Child>,
    port: u16,
    client: OnceLock<Client>,
}

/// Where the server program is: `WEIR_NATS_SERVER`, the `PATH`, or where `cargo xtask setup` puts it.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_NATS_SERVER") {
        return path.into();
    }
    let mut places: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    places.push(repository().join("target/tools/bin"));
    places
        .iter()
        .map(|place| place.join("nats-server"))
        .find(|candidate| candidate.is_file())
        .expect("no `nats-server`: run `cargo xtask setup`, or set WEIR_NATS_SERVER to its path")
}

/// A server that is older than the host accepts, where `cargo xtask setup` puts it.
fn old_program() -> PathBuf {
    let place = repository().join("target/tools/old/nats-server");
    assert!(
        place.is_file(),
        "no old `nats-server`: run `cargo xtask setup`, or leave this test out with `--skip`"
    );
    place
}

impl NatsServer {
    /// A server with defaults: no authorization, JetStream on.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A server with text for its configuration file: authorization, permissions, TLS. Address, port
    /// and store directory are set by the harness. Certificates are named by absolute paths.
    pub fn start_with(configuration: &str) -> Self {
        Self::start_program(program(), configuration)
    }

    /// A server that the host must refuse.
    pub fn start_old() -> Self {
        Self::start_program(old_program(), "")
    }

    fn start_program(program: PathBuf, configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("cannot create a directory for the server");
        std::fs::write(directory.path().join("server.conf"), configuration)
            .expect("cannot write the server's configuration");
        let mut server = Self {
            program,
            directory,
            child: None,
            port: 0,
            client: OnceLock::new(),
        };
        server.launch();
        server
    }

    /// Starts the process and waits until it accepts connections. On the port it had, if it had one.
    fn launch(&mut self) {
        let directory = self.directory.path();
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let child = Command::new(&self.program)
            .args(["-a", "127.0.0.1", "-p", &port, "-js"])
            .args([Path::new("-sd"), &directory.join("store")])
            .args([Path::new("--ports_file_dir"), directory])
            .args([Path::new("-c"), &directory.join("server.conf")])
            .args([Path::new("-l"), &self.log()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start `nats-server`");
        let ports = directory.join(format!("nats-server_{}.ports", child.id()));
        let log = self.log();
        let child = self.child.insert(child);
        self.port = wait_for("the server accepts connections", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("`nats-server` ended with {status}:\n{}", tail(&log));
            }
            read_port(&ports).ok_or_else(|| tail(&log))
        });
    }

    /// `nats://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port, the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's own log.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// A client without credentials, connected once and shared.
    pub fn client(&self) -> &Client {
        self.client
            .get_or_init(|| Client::connect(&self.url(), async_nats::ConnectOptions::new()))
    }

    /// As [`NatsServer::client`], for a server that demands something. The first call decides.
    pub fn client_with(&self, options: async_nats::ConnectOptions) -> &Client {
        self.client
            .get_or_init(|| Client::connect(&self.url(), options))
    }

    /// OperatorSet the server as an administrator would, and waits for its end.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Kills the server where it stands.
    pub fn kill9(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, name: &str) {
        let mut child = self.child.take().expect("the server is not running");
        signal(child.id(), name);
        child.wait().expect("cannot wait for the server");
    }

    /// Starts a stopped server again, on the same port and with the same store.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        self.launch();
    }

    /// Starts a stopped server again, on the same port and without anything it had stored.
    pub fn start_empty(&mut self) {
        std::fs::remove_dir_all(self.directory.path().join("store")).expect("cannot empty it");
        self.start_again();
    }

    /// OperatorSet the server and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Freezes the process: connections stay open and silent. Undone by [`NatsServer::resume`].
    pub fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen process go on.
    pub fn resume(&self) {
        signal(self.pid(), "CONT");
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is not running").id()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- nats-server\n{}", tail(&self.log()));
        }
    }
}

/// The client port from the file that the server writes once it is ready.
fn read_port(ports: &Path) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    let url = ports["nats"].get(0)?.as_str()?;
    url.rsplit(':').next()?.parse().ok()
}

/// A message as a stream holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub subject: String,
    pub payload: Bytes,
    pub headers: async_nats::HeaderMap,
    pub sequence: u64,
}

impl Stored {
    /// The payload as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).expect("the payload is not JSON")
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }
}

/// A connection whose work is done by a thread of its own; every call waits for its answer.
pub struct Client {
    runtime: tokio::runtime::Handle,
    pub nats: async_nats::Client,
    pub jetstream: jetstream::Context,
}

impl Client {
    /// Connects with credentials of the caller's choice.
    pub fn connect(url: &str, options: async_nats::ConnectOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("cannot start a runtime");
        let handle = runtime.handle().clone();
        // Ends with the process: it holds nothing that outlives the server.
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let nats = handle
            .block_on(options.connect(url))
            .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"));
        let jetstream = {
            let _context = handle.enter();
            jetstream::new(nats.clone())
        };
        Self {
            jetstream,
            runtime: handle,
            nats,
        }
    }

    /// Waits for anything asynchronous.
    pub fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Creates a stream over `subjects` with the server's defaults, in files.
    pub fn create_stream(&self, name: &str, subjects: &[&str]) {
        self.create_stream_with(stream::Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            ..Default::default()
        });
    }

    /// Creates a stream as it is told.
    pub fn create_stream_with(&self, config: stream::Config) {
        self.run(self.jetstream.create_stream(config))
            .expect("cannot create the stream");
    }

    /// Publishes one message and waits until it is stored. Returns its sequence.
    pub fn publish(&self, subject: &str, payload: impl Into<Bytes>) -> u64 {
        self.publish_with_headers(subject, &[], payload)
    }

    /// As [`Client::publish`], with headers.
    pub fn publish_with_headers(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: impl Into<Bytes>,
    ) -> u64 {
        let mut map = async_nats::HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, value);
        }
        let payload = payload.into();
        self.run(async {
            self.jetstream
                .publish_with_headers(subject.to_owned(), map, payload)
                .await?
                .await
        })
        .expect("cannot publish")
        .sequence
    }

    /// Publishes many messages in their order and waits until all are stored.
    pub fn publish_all<S: Into<String>, P: Into<Bytes>>(
        &self,
        messages: impl IntoIterator<Item = (S, P)>,
    ) {
        self.run(async {
            let mut pending = VecDeque::new();
            for (subject, payload) in messages {
                let ack = self.jetstream.publish(subject.into(), payload.into());
                pending.push_back(ack.await.expect("cannot publish"));
                // Well below the client's bound on unawaited acks, which blocks for ever.
                if pending.len() > 1000 {
                    pending.pop_front().unwrap().await.expect("cannot publish");
                }
            }
            for ack in pending {
                ack.await.expect("cannot publish");
            }
        });
    }

    /// How many messages a stream holds; 0 when there is none of that name.
    pub fn count(&self, stream: &str) -> u64 {
        self.stream_info(stream)
            .map_or(0, |info| info.state.messages)
    }

    /// Removes every message of a stream.
    pub fn purge(&self, stream: &str) {
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.expect("no stream");
            stream.purge().await
        })
        .expect("cannot purge the stream");
    }

    /// A stream's configuration and state.
    pub fn stream_info(&self, stream: &str) -> Option<stream::Info> {
        self.run(async {
            self.jetstream
                .get_stream(stream)
                .await?
                .get_info()
                .await
                .map_err(Into::into)
        })
        .map_err(|error: async_nats::Error| error)
        .ok()
    }

    /// A consumer's configuration and state, when there is one.
    pub fn consumer(&self, stream: &str, consumer: &str) -> Option<consumer::Info> {
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.ok()?;
            stream.consumer_info(consumer).await.ok()
        })
    }

    /// Every message of a stream, in its order.
    pub fn messages(&self, stream: &str) -> Vec<Stored> {
        if self.count(stream) == 0 {
            return Vec::new();
        }
        self.run(async {
            let stream = self.jetstream.get_stream(stream).await.unwrap();
            let config = consumer::pull::OrderedConfig::default();
            let consumer = stream.create_consumer(config).await.unwrap();
            let mut messages = consumer.messages().await.unwrap();
            let mut stored = Vec::new();
            while let Some(message) = messages.next().await {
                let message = message.expect("cannot read the stream");
                let info = message.info().expect("not a JetStream message");
                let (sequence, pending) = (info.stream_sequence, info.pending);
                let message = message.message.clone();
                stored.push(Stored {
                    subject: message.subject.to_string(),
                    payload: message.payload,
                    headers: message.headers.unwrap_or_default(),
                    sequence,
                });
                if pending == 0 {
                    break;
                }
            }
            stored
        })
    }
}
