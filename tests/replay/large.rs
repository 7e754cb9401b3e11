//! Messages near the server's size limit: a replay refuses the same ones as the pipeline.

use crate::harness::{Site, Stored};

/// The server's limit, in bytes.
const LIMIT: usize = 1 << 20;

impl Stored {
    /// The bytes of its headers as a result: the frame, the id under this name, and the digest.
    pub(crate) fn overhead(&self, id: &str) -> usize {
        let lines = [id, "Weir-Digest"].map(|name| {
            let value = self.header(name).unwrap();
            name.len() + value.len() + 4
        });
        12 + lines.iter().sum::<usize>()
    }
}

#[test]
fn a_result_that_is_a_little_too_large_is_refused_in_a_replay_as_well() {
    let (past, weir) = Site::with_past(None, ["small"]);
    let small = &past.wait_for_messages("OUT", 1)[0];
    let most = LIMIT - small.overhead("Nats-Msg-Id");
    let client = past.nats.client();
    client.publish("in.a", "x".repeat(most));
    client.publish("in.a", "x".repeat(most + 1));
    past.wait_until_settled();
    assert_eq!(client.count("OUT"), 2);
    drop(weir);
    let report = past.compare(0, &[]);
    assert_eq!(report["comparison"]["same"], 3, "{report}");
}
