//! A pipeline that has worked on messages, for what looks at its past.

use super::guests::{guest, versions as version};
use super::{Finished, Scene, Weir};
use serde_json::Value;
use std::path::PathBuf;

/// A pipeline that has worked on some messages.
pub struct Past {
    pub scene: Scene,
    /// The pipeline's.
    pub file: PathBuf,
    weir: Option<Weir>,
}

impl Past {
    /// Over these payloads, with `versions` as this version.
    pub fn of_version(name: &str, payloads: impl IntoIterator<Item = String>) -> Self {
        let scene = Scene::new();
        let text = std::fs::read_to_string(scene.pipeline("")).unwrap();
        let plugin = scene.folder.path().join("plugin.wasm");
        std::fs::write(&plugin, version(name)).unwrap();
        let usual = guest("misbehave").display().to_string();
        let text = text.replace(&usual, &plugin.display().to_string());
        let file = scene.file("p.yaml", &text);
        Self::run(scene, file, payloads)
    }

    /// Over these payloads, with a plugin that does what they say.
    pub fn of_payloads(payloads: &[&str]) -> Self {
        let scene = Scene::new();
        let file = scene.pipeline("");
        let payloads = payloads.iter().map(|payload| (*payload).to_owned());
        Self::run(scene, file, payloads)
    }

    fn run(scene: Scene, file: PathBuf, payloads: impl IntoIterator<Item = String>) -> Self {
        let client = scene.nats.client();
        client.publish_all(payloads.into_iter().map(|payload| ("in.a", payload)));
        let weir = scene.run(&file);
        scene.wait_until_settled();
        Self {
            scene,
            file,
            weir: Some(weir),
        }
    }

    /// Lets the pipeline work on nothing any more.
    pub fn stop(&mut self) {
        let weir = self.weir.take().unwrap();
        weir.terminate();
        assert_eq!(weir.finish().code, Some(0));
    }

    /// Runs `weir replay` to its end.
    pub fn replay(&self, more: &[&str]) -> Finished {
        let file = self.file.to_str().unwrap();
        let arguments = [&["replay", file], more].concat();
        Weir::run_in(self.scene.folder.path(), &arguments)
    }

    /// Compares; the report.
    #[track_caller]
    pub fn compare(&self, code: i32, more: &[&str]) -> Value {
        let finished = self.replay(&[&["--compare", "--json"], more].concat());
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        serde_json::from_str(&finished.stdout).unwrap()
    }

    /// An option that has this version in the place of what the file says.
    pub fn candidate(&self, name: &str) -> String {
        let file = self.scene.folder.path().join(format!("{name}.wasm"));
        std::fs::write(&file, version(name)).unwrap();
        format!("op={}", file.display())
    }

    /// What the server knows of the pipeline's consumer, but for the time of asking.
    pub fn consumer(&self) -> String {
        let info = self.scene.nats.client().consumer("IN", "p").unwrap();
        format!(
            "{:?} {:?} {:?} {} {} {} {}",
            info.created,
            info.delivered,
            info.ack_floor,
            info.num_ack_pending,
            info.num_redelivered,
            info.num_pending,
            info.config.max_ack_pending,
        )
    }

    /// Removes one message of a stream.
    pub fn delete(&self, stream: &str, sequence: u64) {
        let client = self.scene.nats.client();
        client.run(async {
            let stream = client.jetstream.get_stream(stream).await.unwrap();
            stream.delete_message(sequence).await.unwrap();
        });
    }

    /// Removes the first messages of a stream, so that this one is the first.
    pub fn begin_at(&self, stream: &str, sequence: u64) {
        let client = self.scene.nats.client();
        client.run(async {
            let stream = client.jetstream.get_stream(stream).await.unwrap();
            stream.purge().sequence(sequence).await.unwrap();
        });
    }

    /// When a message of `IN` was stored, RFC 3339.
    pub fn stored(&self, sequence: u64) -> String {
        let client = self.scene.nats.client();
        let time = client.run(async {
            let stream = client.jetstream.get_stream("IN").await.unwrap();
            stream.get_raw_message(sequence).await.unwrap().time
        });
        let time = jiff::Timestamp::from_nanosecond(time.unix_timestamp_nanos());
        time.unwrap().to_string()
    }
}
