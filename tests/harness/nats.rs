//! A real `nats-server` with JetStream, in a directory of its own.

use super::{Client, repository, signal, tail, wait_for};
use std::net::TcpListener;
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

    /// Three servers that make up a cluster. It has a leader once a stream can be created.
    pub fn start_cluster() -> [Self; 3] {
        Self::start_cluster_with("")
    }

    /// As [`start_cluster`](Self::start_cluster), each with this configuration.
    pub fn start_cluster_with(configuration: &str) -> [Self; 3] {
        // Taken together, so that they differ; free again before the servers start.
        let routes = [0; 3]
            .map(|port| TcpListener::bind(("127.0.0.1", port)).expect("there is no free port"));
        let ports = routes.map(|route| route.local_addr().expect("it has a port").port());
        let all = ports
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .join(", ");
        ports.map(|port| {
            Self::start_with(&format!(
                "server_name: s{port}\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", \
                 routes: [{all}] }}\n{configuration}\n"
            ))
        })
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

    /// Stops the server as an administrator would, and waits for its end.
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

    /// Stops the server and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Gives the running server another configuration, and waits until it has it.
    pub fn reload(&self, configuration: &str) {
        let file = self.directory.path().join("server.conf");
        std::fs::write(file, configuration).expect("cannot write the server's configuration");
        let done = || {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            log.matches("Reloaded server configuration").count()
        };
        let before = done();
        signal(self.pid(), "HUP");
        wait_for("the server has its new configuration", || {
            (done() > before)
                .then_some(())
                .ok_or_else(|| tail(&self.log()))
        });
    }

    /// Freezes the process: connections stay open and silent. Undone by [`NatsServer::resume`].
    pub fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen process go on.
    pub fn resume(&self) {
        signal(self.pid(), "CONT");
    }

    /// Lets the process shut down as an operator does, so that its clients have time to go elsewhere.
    pub fn lame_duck(&self) {
        signal(self.pid(), "USR2");
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
