//! Messages near the server's size limit: a replay refuses the same ones as the pipeline, and counts each dead letter
//! once.

use crate::harness::{Site, Stored, guests};

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

#[test]
fn a_dead_letter_in_parts_is_missing_once() {
    let reject = format!("reject:{}", "x".repeat(LIMIT - 400));
    let (past, _weir) = Site::with_past(None, [reject]);
    assert_eq!(past.nats.client().count("DEAD"), 2);
    let file = past.file("echo.wasm", guests::bytes("echo"));
    let report = past.compare(1, &["--operator", &format!("op={}", file.display())]);
    let found = &report["comparison"]["differences"];
    assert_eq!(
        (&found["missing"], &found["additional"]),
        (&1.into(), &1.into()),
        "{report}"
    );
}
