//! A server with three streams, and a folder with a pipeline between them whose plugin does what payloads
//! say. Everything that needs a server is tested on one of these; what a file of tests asks of it beyond
//! this, it adds in an `impl` of its own.

use super::{Finished, NatsServer, Stored, Weir, guests, put, replaced, wait_for, wait_until};
use async_nats::jetstream::stream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// `IN` over `in.>`, `OUT` over `out.>`, `DEAD` over `dead.>`, and a folder with `plugin.wasm` and, once a
/// test has written it, `p.yaml`.
pub struct Site {
    pub nats: NatsServer,
    pub folder: TempDir,
}

impl Site {
    /// A server with the streams, and nothing that runs.
    pub fn new() -> Self {
        Self::with_streams(NatsServer::start())
    }

    /// As [`Site::new`], on a server where the user of [`AS_HOST`] has only these permissions, and whoever
    /// gives no name may do everything.
    pub fn permitting(permissions: &str) -> Self {
        Self::with_streams(NatsServer::start_with(&format!(
            "authorization {{ users = [ {{ user: all, password: a }}, \
             {{ user: host, password: h, {permissions} }} ] }}\nno_auth_user: all"
        )))
    }

    fn with_streams(nats: NatsServer) -> Self {
        let site = Self::on(nats);
        site.create_streams();
        site
    }

    /// A server without streams.
    pub fn bare() -> Self {
        Self::on(NatsServer::start())
    }

    /// A server that was started by the test, as it is.
    pub fn on(nats: NatsServer) -> Self {
        let folder = tempfile::tempdir().expect("cannot create a folder");
        let site = Self { nats, folder };
        site.file("plugin.wasm", guests::bytes("misbehave"));
        site
    }

    /// Creates the three streams. Repeats are recognised for as long as any test may take.
    pub fn create_streams(&self) {
        self.create_streams_on(1);
    }

    /// The same, each on so many servers of a cluster, once that has a leader.
    pub fn create_streams_on(&self, replicas: usize) {
        for (name, subjects) in [("IN", "in.>"), ("OUT", "out.>"), ("DEAD", "dead.>")] {
            self.nats.client().create_stream_with(stream::Config {
                name: name.to_owned(),
                subjects: vec![subjects.to_owned()],
                duplicate_window: Duration::from_secs(3600),
                num_replicas: replicas,
                ..stream::Config::default()
            });
        }
    }

    /// Writes `p.yaml`: from `IN` through the plugin to `out.<subject>`, with a retry every 10 ms, and
    /// whatever `more` adds at the top level.
    pub fn pipeline(&self, more: &str) -> PathBuf {
        self.pipeline_but(&[], more)
    }

    /// As [`Site::pipeline`], with parts of its text replaced: each must be there.
    #[track_caller]
    pub fn pipeline_but(&self, changes: &[(&str, &str)], more: &str) -> PathBuf {
        self.file("p.yaml", replaced(&(self.usual() + more), changes))
    }

    /// Writes `q.yaml`: as the usual `p.yaml`, under the name `q`, from another stream.
    #[track_caller]
    pub fn second_pipeline(&self, stream: &str, changes: &[(&str, &str)]) -> PathBuf {
        let source = format!("stream: {stream}, consumer: q");
        let own = [
            ("name: p\n", "name: q\n"),
            ("stream: IN, consumer: p", &source),
            ("dead.p", "dead.q"),
        ];
        self.file("q.yaml", replaced(&self.usual(), &[&own, changes].concat()))
    }

    /// No call comes near its deadline on a busy machine.
    fn usual(&self) -> String {
        format!(
            "name: p\nnats: {{ url: \"{}\" }}\nsource: {{ stream: IN, consumer: p }}\noperators:\n  \
             - name: op\n    plugin: plugin.wasm\n    limits: {{ deadline: 1m }}\n    \
             rollout: {{ {ANY_TIME} }}\nsink: {{ subject: \"out.{{subject}}\" }}\n\
             dead-letter: {{ subject: dead.p }}\nretry: {{ initial: 10ms, max: 50ms }}\n",
            self.nats.url(),
        )
    }

    /// Writes any file into the folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        put(self.folder.path(), name, content)
    }

    /// Where a file of the folder is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `weir` to its end, in the folder and, where a file or an option does not say otherwise, with
    /// the server.
    pub fn weir(&self, arguments: &[&str]) -> Finished {
        self.weir_with(arguments, &[]).finish()
    }

    /// Runs `weir plugin` with these arguments.
    pub fn plugin(&self, arguments: &[&str]) -> Finished {
        self.weir(&[&["plugin"], arguments].concat())
    }

    /// Starts `weir run` and waits until a pipeline runs.
    pub fn run(&self, file: &Path) -> Weir {
        let mut weir = self.start(file, &[]);
        weir.wait_until_output("running");
        weir
    }

    /// Starts `weir run`.
    pub fn start(&self, file: &Path, environment: &[(&str, &str)]) -> Weir {
        let file = file.to_str().expect("a path of the tests is text");
        self.start_with(&[file], environment)
    }

    /// Starts `weir run` with these arguments, and its pages on free ports.
    pub fn start_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Weir {
        let free = "--metrics-listen=127.0.0.1:0 --admin-listen=127.0.0.1:0";
        let free: Vec<&str> = free.split(' ').collect();
        self.weir_with(&[&["run"], arguments, &free].concat(), environment)
    }

    /// Starts `weir` in the folder.
    pub fn weir_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Weir {
        let url = self.nats.url();
        let environment = [&[("NATS_URL", &*url)], environment].concat();
        Weir::start_with(self.folder.path(), arguments, &environment, Stdio::null())
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
        let client = self.nats.client();
        wait_for(&format!("{stream} holds {count} messages"), || {
            let stored = client.count(stream);
            if stored < count {
                return Err(format!("it holds {stored}"));
            }
            // They may be read from a replica that has yet to get the last of them.
            let messages = client.messages(stream);
            match messages.len() as u64 >= count {
                true => Ok(messages),
                false => Err(format!("{} of {stored} can be read", messages.len())),
            }
        })
    }
}

/// For [`Site::pipeline_but`]: calls of the plugin may take hours, so that what sleeps stays in hand for
/// as long as a test looks at it.
pub const SLEEPER: (&str, &str) = ("deadline: 1m", "deadline: 2h");

/// In `rollout:`, so that a version is not found slow for a busy machine.
pub const ANY_TIME: &str = "max-call-time: 1000000%";

/// What a host had in hand that was killed comes again after seconds. No test may count on more than that:
/// on a busy machine, what a host has in hand that lives may come again as well.
pub const SHORT_ACK_WAIT: (&str, &str) = ("consumer: p", "consumer: p, ack-wait: 5s");

/// The pipeline connects as the user of [`Site::permitting`].
pub const AS_HOST: (&str, &str) = ("nats: { ", "nats: { user: host, password: h, ");

/// The series of a metric of the site's pipeline.
pub fn series(name: &str) -> String {
    format!("weir_{name}{{pipeline=\"p\"}}")
}

/// The series of a metric of one of its operators.
pub fn operator_series(name: &str, operator: &str) -> String {
    format!("weir_{name}{{pipeline=\"p\",operator=\"{operator}\"}}")
}
