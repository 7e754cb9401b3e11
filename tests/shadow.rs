//! A shadow works on what the live pipeline works on: every difference in outputs is counted and can
//! be read, and nothing of it is published.

use crate::harness::guests::versions as version;
use crate::harness::{Finished, Site, operator_series, series, wait_for, wait_until};
use serde_json::Value;

impl Site {
    /// Lets a file of the folder run as a shadow on all hosts.
    pub fn shadow(&self, candidate: &str) {
        let applied = self.deploy(candidate, &["--shadow"]);
        assert_eq!(applied.code, Some(0), "{applied:#?}");
        wait_until("the shadow has its consumer", || self.has_shadow(candidate));
    }

    /// Whether the consumer of a shadow is there.
    pub fn has_shadow(&self, candidate: &str) -> bool {
        let digest = blake3::hash(&std::fs::read(self.path(candidate)).unwrap()).to_hex();
        let consumer = format!("p-shadow-op-{}", &digest[..8]);
        self.nats.client().consumer("IN", &consumer).is_some()
    }

    fn diff(&self, more: &[&str]) -> Finished {
        self.plugin(&[&["diff", "p/op"], more].concat())
    }

    /// The comparison, as soon as this many outputs have been looked at.
    pub fn compared(&self, count: u64) -> Value {
        wait_for("all outputs are compared", || {
            let finished = self.diff(&["--json"]);
            let total: Value =
                serde_json::from_str(&finished.stdout).map_err(|_| finished.stderr)?;
            let found = &total["comparison"];
            let of = |name: &str| found[name].as_u64().unwrap();
            match of("same") + of("different") >= count {
                true => Ok(total.clone()),
                false => Err(total.to_string()),
            }
        })
    }
}

#[test]
fn a_shadow_finds_what_is_wrong_and_publishes_nothing() {
    let site = Site::new();
    site.install("same");
    site.file("wrong", version("wrong"));
    let weir = site.run(&site.pipeline("lanes: 2\n"));
    site.shadow("wrong");
    let client = site.nats.client();
    client.publish_all((0..1000).map(|number| ("in.a", number.to_string())));
    let total = site.compared(1000);
    let found = &total["comparison"];
    assert_eq!(
        (&found["same"], &found["different"]),
        (&990.into(), &10.into()),
        "{total}"
    );
    assert_eq!(found["differences"]["payload"], 10);
    assert_eq!(total["hosts"].as_array().unwrap().len(), 1);
    // The lanes compare at the same time, so any of the ten may be the first.
    let sample = &found["samples"][0];
    let of = |side: &str, version: &str| {
        let text = sample[side]["text"].as_str().unwrap();
        text.strip_prefix(version).unwrap().to_owned()
    };
    assert_eq!(of("live", "same "), of("candidate", "wrong "));

    let finished = site.diff(&[]);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(
        finished
            .stdout
            .contains("990 outputs are the same, 10 differ"),
        "{finished:#?}"
    );
    wait_until("the differences are in the metrics", || {
        weir.metric(&operator_series("shadow_differences_total", "op")) == 10.0
    });
    assert_eq!(
        weir.metric(&operator_series("shadow_compared_total", "op")),
        1000.0
    );
    assert_eq!(client.count("OUT"), 1000);
    assert_eq!(client.count("DEAD"), 0);
    assert_eq!(weir.metric(&series("received_total")), 1000.0);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);

    site.done(&["rollback", "p/op"]);
    wait_until("nothing of it is left", || !site.has_shadow("wrong"));
    client.publish("in.a", "7");
    assert_eq!(site.wait_for_messages("OUT", 1001)[1000].text(), "same 7");
}

#[test]
fn drops_retries_and_dead_letters_of_both_sides_are_compared_by_two_hosts() {
    let site = Site::new();
    let file = site.pipeline("");
    let _hosts = [site.run(&file), site.run(&file)];
    site.shadow("plugin.wasm");
    let payloads = ["plain", "emit:3", "drop", "reject", "retry-until:3", "trap"];
    let client = site.nats.client();
    client.publish_all(
        (0..20)
            .flat_map(|_| payloads)
            .map(|payload| ("in.a", payload)),
    );
    // Of six, one is dropped and one has three results.
    let total = site.compared(20 * 7);
    assert_eq!(total["comparison"]["same"], 20 * 7, "{total}");
    assert_eq!(total["comparison"]["different"], 0, "{total}");
    assert_eq!(total["comparison"]["inputs"], 20 * 6, "{total}");
    assert_eq!(site.diff(&[]).code, Some(0));
}

#[test]
fn what_only_one_side_publishes_is_found() {
    let site = Site::new();
    site.file("v1", version("v1"));
    let _weir = site.run(&site.pipeline(""));
    site.shadow("v1");
    let client = site.nats.client();
    client.publish_all(["drop", "reject", "emit:2"].map(|payload| ("in.a", payload)));
    let total = site.compared(5);
    let found = &total["comparison"]["differences"];
    // Additional for the first two; missing are a dead letter and the second of two results.
    assert_eq!(
        (&found["additional"], &found["missing"]),
        (&2.into(), &2.into()),
        "{total}"
    );
    assert_eq!(found["payload"], 1, "{total}");
}

#[test]
fn an_operator_without_a_shadow_has_nothing_to_show() {
    let site = Site::new();
    let finished = site.diff(&[]);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(
        finished.stderr.contains("has had no shadow"),
        "{finished:#?}"
    );
    let wrong = site.plugin(&["diff", "p"]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
}
