//! A server with three streams, and a pipeline between them whose plugin does what payloads say.

use super::guests::guest;
use super::{Finished, NatsServer, Stored, Weir, wait_for, wait_until};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// `IN` over `in.>`, `OUT` over `out.>`, `DEAD` over `dead.>`, and a folder for pipeline files.
pub struct Scene {
    pub nats: NatsServer,
    pub folder: TempDir,
}

impl Scene {
    /// A server with the streams, and nothing that runs.
    pub fn new() -> Self {
        let scene = Self::bare();
        scene.create_streams();
        scene
    }

    /// A server without streams.
    pub fn bare() -> Self {
        Self::on(NatsServer::start())
    }

    /// A server that was started by the test, as it is.
    pub fn on(nats: NatsServer) -> Self {
        let folder = tempfile::tempdir().expect("cannot create a folder");
        Self { nats, folder }
    }

    /// Creates the three streams.
    pub fn create_streams(&self) {
        let client = self.nats.client();
        client.create_stream("IN", &["in.>"]);
        client.create_stream("OUT", &["out.>"]);
        client.create_stream("DEAD", &["dead.>"]);
    }

    /// Runs `weir plugin` with these arguments over the server, in the scene's folder.
    pub fn plugin(&self, arguments: &[&str]) -> Finished {
        let url = self.nats.url();
        let all = [&["plugin"], arguments, &["--nats", &url]].concat();
        Weir::run_in(self.folder.path(), &all)
    }

    /// Writes `p.yaml`: from `IN` through the misbehaving plugin to `out.<rest of the subject>`,
    /// with a retry every 10 ms, and whatever `more` adds at the top level.
    pub fn pipeline(&self, more: &str) -> PathBuf {
        let url = format!("url: \"{}\"", self.nats.url());
        self.pipeline_over(&url, more)
    }

    /// As [`Scene::pipeline`], with fields for the `nats:` section.
    pub fn pipeline_over(&self, nats: &str, more: &str) -> PathBuf {
        let plugin = guest("misbehave");
        self.file(
            "p.yaml",
            &format!(
                "name: p\nnats: {{ {nats} }}\nsource: {{ stream: IN, consumer: p, ack-wait: 5s }}\n\
                 operators:\n  - name: op\n    plugin: {}\nsink: {{ subject: \"out.{{subject}}\" }}\n\
                 dead-letter: {{ subject: dead.p }}\nretry: {{ initial: 10ms, max: 50ms }}\n{more}",
                plugin.display(),
            ),
        )
    }

    /// As [`Scene::pipeline`], with parts of its text replaced: each must be there.
    pub fn pipeline_but(&self, changes: &[(&str, &str)], more: &str) -> PathBuf {
        let file = self.pipeline(more);
        let mut text = std::fs::read_to_string(file).expect("cannot read the pipeline");
        for (from, to) in changes {
            assert!(text.contains(from), "there is no {from:?} in:\n{text}");
            text = text.replace(from, to);
        }
        self.file("p.yaml", &text)
    }

    /// Writes any file into the folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("cannot write a file");
        path
    }

    /// Starts `weir run` and waits until its pipelines run.
    pub fn run(&self, file: &Path) -> Weir {
        let mut weir = self.start(file, &[]);
        weir.wait_until_output("running");
        weir
    }

    /// Starts `weir run`.
    pub fn start(&self, file: &Path, environment: &[(&str, &str)]) -> Weir {
        let file = file.to_str().expect("a path of the tests is text");
        let arguments = [
            "run",
            file,
            "--metrics-listen",
            "127.0.0.1:0",
            "--admin-listen",
            "off",
        ];
        Weir::start_with(self.folder.path(), &arguments, environment, Stdio::null())
    }

    /// Waits until everything in `IN` is settled.
    #[track_caller]
    pub fn wait_until_settled(&self) {
        wait_for("every message of IN is settled", || {
            let info = self
                .nats
                .client()
                .consumer("IN", "p")
                .ok_or("no consumer")?;
            match (info.num_pending, info.num_ack_pending) {
                (0, 0) => Ok(()),
                (pending, unacked) => Err(format!("{pending} not delivered, {unacked} not acked")),
            }
        });
    }

    /// Waits until a stream holds this many messages.
    #[track_caller]
    pub fn wait_for_messages(&self, stream: &str, count: u64) -> Vec<Stored> {
        wait_until(&format!("{stream} holds {count} messages"), || {
            self.nats.client().count(stream) >= count
        });
        self.nats.client().messages(stream)
    }
}

/// For [`Scene::pipeline_but`]: calls of the plugin may take an hour, so that what sleeps stays in
/// hand for as long as a test looks at it.
pub const SLEEPER: (&str, &str) = ("    plugin: ", "    limits: { deadline: 2h }\n    plugin: ");

/// The series of a metric of the scene's pipeline.
pub fn series(name: &str) -> String {
    format!("weir_{name}{{pipeline=\"p\"}}")
}

/// The series of a metric of one of its operators.
pub fn operator_series(name: &str, operator: &str) -> String {
    format!("weir_{name}{{pipeline=\"p\",operator=\"{operator}\"}}")
}
