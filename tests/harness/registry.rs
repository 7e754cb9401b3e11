//! A real registry of OCI artifacts, on a free port of loopback and with a folder of its own.

use super::{repository, tail, wait_for};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// One `docker-registry`. Killed, by its own process id, when dropped.
pub struct OciRegistry {
    child: Child,
    folder: TempDir,
    port: u16,
}

/// An answer of the registry.
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Vec<u8>,
}

/// Where the program is: on the `PATH`, or where `cargo xtask setup` puts it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push(repository().join("target/tools/bin"));
    places
        .iter()
        .map(|place| place.join("docker-registry"))
        .find(|candidate| candidate.is_file())
        .expect(
            "no `docker-registry`: run `cargo xtask setup`, or leave these tests out with `--skip`",
        )
}

impl OciRegistry {
    /// A registry that lets everybody in.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A registry that wants to know the user `shop` with the password `secret`.
    pub fn start_closed() -> Self {
        Self::start_with("auth: { htpasswd: { realm: tests, path: users } }\n")
    }

    /// A registry with this certificate and key.
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        let (certificate, key) = (certificate.display(), key.display());
        Self::start_with(&format!(
            "  tls: {{ certificate: {certificate}, key: {key} }}\n"
        ))
    }

    /// `more` follows the section `http:`.
    fn start_with(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("cannot create a folder for the registry");
        let file = |name: &str| folder.path().join(name);
        let configuration = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http:\n  addr: 127.0.0.1:0\n{more}",
            file("store").display()
        );
        std::fs::write(file("registry.yml"), configuration).unwrap();
        // bcrypt of `secret`.
        let users = "shop:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
        std::fs::write(file("users"), users).unwrap();
        let log = std::fs::File::create(file("log")).unwrap();
        let mut child = Command::new(program())
            .args(["serve", "registry.yml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("cannot start `docker-registry`");
        let log = file("log");
        let port = wait_for("the registry listens", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("`docker-registry` ended with {status}:\n{}", tail(&log));
            }
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let (_, rest) = text
                .split_once("listening on 127.0.0.1:")
                .ok_or_else(|| text.clone())?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().map_err(|_| text.clone())
        });
        Self {
            child,
            folder,
            port,
        }
    }

    /// The registry as references name it.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `oci://<registry>/<rest>`.
    pub fn reference(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.name())
    }

    /// Changes stored bytes behind the registry's back.
    pub fn falsify(&self, digest: &str, bytes: &[u8]) {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let place = format!(
            "store/docker/registry/v2/blobs/sha256/{}/{hex}/data",
            &hex[..2]
        );
        let file = self.folder.path().join(place);
        assert!(file.is_file(), "{}", file.display());
        std::fs::write(file, bytes).unwrap();
    }

    /// Sends one request, with no client but HTTP between.
    pub fn ask(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.name())
            .header("accept", content_type)
            .header("content-type", content_type)
            .body(axum::body::Body::from(body.to_vec()))
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(self.name()).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let answer = sender.send_request(request).await.unwrap();
            let (head, body) = answer.into_parts();
            let body = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX);
            Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.await.unwrap().to_vec(),
            }
        })
    }
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Drop for OciRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- docker-registry\n{}",
                tail(&self.folder.path().join("log"))
            );
        }
    }
}
