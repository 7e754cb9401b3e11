//! Where a write to the server or its answer is lost, nothing that was decided or done is lost with it: not
//! that a version was found worse, not the receipt of a swap, and no part of a list.

use crate::harness::deployments::digest;
use crate::harness::{
    Fate, Finished, Proxy, Sender, Site, refused, replaced, rollbacks, series, swaps, wait_until,
};
use serde_json::Value;

/// What a host or a person writes of deployments and receipts.
const DEPLOYMENTS: &str = "$KV.weir-deployments.";
const RECEIPTS: &str = "$KV.weir-receipts.";

/// A pipeline that reaches its server by a proxy.
fn behind_a_proxy(rollout: &str, more: &str) -> (Site, Proxy) {
    let site = Site::of_versions(rollout);
    let proxy = Proxy::before(&site.nats);
    let text = std::fs::read_to_string(site.path("p.yaml")).unwrap();
    let behind = replaced(&text, &[(&site.nats.url(), &proxy.url())]);
    site.file("p.yaml", behind + more);
    (site, proxy)
}

impl Site {
    /// Runs `weir plugin` behind a proxy.
    fn plugin_behind(&self, proxy: &Proxy, arguments: &[&str]) -> Finished {
        let arguments = [&["plugin"], arguments].concat();
        let weir = self.weir_with(&arguments, &[("NATS_URL", &proxy.url())]);
        weir.finish()
    }

    /// Lets the lanes of a host end and start again: their consumer is deleted.
    fn restart_lanes(&self, restarted: impl Fn() -> bool) {
        let client = self.nats.client();
        let deleted = client.jetstream.delete_consumer_from_stream("p", "IN");
        client.run(deleted).unwrap();
        wait_until("the lanes are at work again", restarted);
    }
}

/// Whether a message is the answer to a write of this stream.
fn is_ack(sender: Sender, content: &str, stream: &str) -> bool {
    sender == Sender::Server && content.starts_with(&format!("{{\"stream\":\"{stream}\""))
}

/// Once the number of a host's restarts is this and its pipeline runs.
fn has_restarted(weir: &crate::harness::Weir, times: f64) -> bool {
    weir.metric(&series("restarts_total")) == times && weir.metric(&series("running")) == 1.0
}

#[test]
fn a_version_that_was_found_worse_stays_away_although_that_could_not_be_stored_at_first() {
    let (site, proxy) = behind_a_proxy("max-errors: 0.4%, min-messages: 300", "");
    let host = site.host();
    site.round();
    proxy.rule(|sender, subject, _| match sender {
        Sender::Host if subject.starts_with(DEPLOYMENTS) => Fate::Lost,
        _ => Fate::Arrives,
    });
    site.install("picky");
    site.feed_until("it is rolled back", || rollbacks(&host) == 1.0);
    wait_until("the decision does not arrive", || proxy.withheld() > 0);
    // Written once more, as a build does that finds nothing to do.
    let before = refused(&host);
    site.install("picky");
    wait_until("the host refuses it", || refused(&host) > before);
    assert_eq!(site.versions(), ["v0"]);
    assert_eq!(site.deployment(), Value::Null);

    proxy.release();
    site.wait_until_decided("rolled back");
    let deployment = site.deployment();
    assert_eq!(deployment["quarantine"][0]["digest"], digest("picky"));
    assert_eq!(deployment["stable"]["component"]["digest"], digest("v0"));
    drop(host);
    let _host = site.host();
    assert_eq!(site.versions(), ["v0"]);
}

#[test]
fn a_version_that_one_host_cannot_run_is_refused_by_all_although_that_could_not_be_stored_at_first()
{
    let (site, proxy) = behind_a_proxy("", "");
    let host = site.host();
    site.status(1);
    let hash = site.done(&["deploy", "p/op", "refuse", "--json"]);
    let hash: Value = serde_json::from_str(&hash).unwrap();
    proxy.rule(|sender, subject, _| match sender {
        Sender::Host if subject.starts_with(DEPLOYMENTS) => Fate::Lost,
        _ => Fate::Arrives,
    });
    let arguments = ["deploy", "p/op", "refuse", "--apply"];
    let deployed = site.plugin(&[&arguments[..], &[hash["hash"].as_str().unwrap()]].concat());
    assert_eq!(deployed.code, Some(1), "{deployed:#?}");
    wait_until("the decision does not arrive", || proxy.withheld() > 0);
    assert_eq!(site.deployment()["last"]["what"], "deployed");
    proxy.release();
    site.wait_until_decided("refused");
    drop(host);
    let _host = site.host();
    assert_eq!(site.versions(), ["v0"]);
}

#[test]
fn a_receipt_is_complete_although_no_answer_to_its_writes_arrives() {
    let (site, proxy) = behind_a_proxy("probation: 0s", "");
    let host = site.host();
    proxy.rule(
        |sender, _, content| match is_ack(sender, content, "KV_weir-receipts") {
            true => Fate::Lost,
            false => Fate::Arrives,
        },
    );
    site.install("v1");
    wait_until("the lane has the new version", || swaps(&host) == 1.0);
    assert_eq!(site.versions(), ["v1"]);
    wait_until("the receipt is complete", || {
        let receipts = site.history();
        assert_eq!(receipts.len(), 1, "{receipts:#?}");
        receipts[0]["taken"].is_string() && receipts[0]["new"]["sequence"] == 1
    });
    // Begun, taken, first message.
    assert_eq!(proxy.withheld(), 3);
    assert_eq!(refused(&host), 0.0);
}

#[test]
fn a_deployment_is_applied_although_the_answer_to_its_write_is_lost() {
    let (site, proxy) = behind_a_proxy("", "");
    let _host = site.host();
    site.status(1);
    let plan = site.done(&["deploy", "p/op", "v1", "--json"]);
    let plan: Value = serde_json::from_str(&plan).unwrap();
    proxy.rule(
        |sender, _, content| match is_ack(sender, content, "KV_weir-deployments") {
            true => Fate::Lost,
            false => Fate::Arrives,
        },
    );
    let hash = plan["hash"].as_str().unwrap();
    let applied = site.plugin_behind(&proxy, &["deploy", "p/op", "v1", "--apply", hash]);
    assert_eq!(applied.done(), "v1 is running on 1 host\n");
    assert_eq!(proxy.withheld(), 1);
}

#[test]
fn a_swap_whose_receipts_cannot_be_begun_changes_no_lane_not_even_one_that_starts_meanwhile() {
    let (site, proxy) = behind_a_proxy("", "lanes: 2\n");
    let host = site.host();
    let second = |subject: &str| subject.starts_with(RECEIPTS) && subject.contains(".1.");
    proxy.rule(move |sender, subject, _| match sender {
        Sender::Host if second(subject) => Fate::Lost,
        _ => Fate::Arrives,
    });
    site.install("v1");
    wait_until("a receipt does not arrive", || proxy.withheld() > 0);
    site.restart_lanes(|| has_restarted(&host, 1.0));
    wait_until("the swap is refused", || refused(&host) == 1.0);
    assert_eq!(site.versions(), ["v0"]);
    // What was begun for the other lane is no swap.
    assert_eq!(site.history().len(), 0);
    assert_eq!(swaps(&host), 0.0);
}

#[test]
fn a_lane_that_starts_in_the_middle_of_a_swap_takes_it_with_a_receipt() {
    let (site, proxy) = behind_a_proxy("", "lanes: 2\n");
    let host = site.host();
    proxy.rule(
        |sender, _, content| match is_ack(sender, content, "KV_weir-receipts") {
            true => Fate::Late,
            false => Fate::Arrives,
        },
    );
    site.install("v1");
    wait_until("a receipt is being begun", || proxy.withheld() > 0);
    site.restart_lanes(|| has_restarted(&host, 1.0));
    proxy.release();
    wait_until("both lanes have the new version", || swaps(&host) == 2.0);
    site.feed_until("both lanes have called it", || {
        let receipts = site.history();
        let is_complete =
            |receipt: &Value| receipt["taken"].is_string() && receipt["new"]["sequence"].is_u64();
        assert_eq!(receipts.len(), 2, "{receipts:#?}");
        receipts.iter().all(is_complete)
    });
    assert_eq!(site.versions(), ["v1"]);
}

#[test]
fn results_whose_acks_are_lost_with_the_connection_are_published_again_over_the_next_one() {
    let mut site = Site::new();
    let proxy = Proxy::before(&site.nats);
    let url = site.nats.url();
    let weir = site.run(&site.pipeline_but(&[(&url, &proxy.url())], ""));
    proxy.rule(
        |sender, _, content| match is_ack(sender, content.trim_start(), "OUT") {
            true => Fate::Lost,
            false => Fate::Arrives,
        },
    );
    let client = site.nats.client();
    client.publish_all((0..20).map(|number| ("in.a", number.to_string())));
    wait_until("no ack arrives", || proxy.withheld() >= 20);
    proxy.release();
    site.nats.restart();
    wait_until("they are published again", || {
        weir.metric(&series("publish_duplicates_total")) == 20.0
    });
    site.wait_until_settled();
    let said = weir.stderr();
    assert!(
        said.contains("the connection was lost before a publish ack came"),
        "{said}"
    );
    assert_eq!(site.nats.client().count("OUT"), 20);
    assert_eq!(weir.metric(&series("publish_failures_total")), 20.0);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
}

#[test]
fn a_part_of_the_receipts_is_never_taken_for_all_of_them() {
    let site = Site::new();
    let client = site.nats.client();
    let config = async_nats::jetstream::kv::Config {
        bucket: "weir-receipts".to_owned(),
        ..Default::default()
    };
    let bucket = client
        .run(client.jetstream.create_key_value(config))
        .unwrap();
    for lane in 0..5 {
        let version = serde_json::json!({ "digest": "a", "sequence": null });
        let receipt = serde_json::json!({
            "pipeline": "p", "operator": "op", "host": "h", "lane": lane, "old": version,
            "new": version, "origin": "file", "began": "2026-01-01T00:00:00Z", "taken": null,
        });
        let key = format!("p.op.h.{lane}.1");
        client
            .run(bucket.put(key, receipt.to_string().into()))
            .unwrap();
    }
    let proxy = Proxy::before(&site.nats);
    let loses_behind_two = |times: usize| {
        let (mut arrived, mut lost) = (0, 0);
        move |sender, subject: &str, _: &str| match subject.starts_with(RECEIPTS) {
            true if sender == Sender::Server && arrived < 2 => {
                arrived += 1;
                Fate::Arrives
            }
            true if sender == Sender::Server && lost < times => {
                lost += 1;
                Fate::Lost
            }
            _ => Fate::Arrives,
        }
    };
    proxy.rule(loses_behind_two(usize::MAX));
    let part = site.plugin_behind(&proxy, &["history", "p"]);
    assert_eq!((part.code, &*part.stdout), (Some(1), ""), "{part:#?}");
    let words =
        "cannot read the bucket `weir-receipts`\n  cause: the server sent only a part of it";
    assert!(part.stderr.contains(words), "{part:#?}");
    // What is lost once is asked for once more.
    proxy.rule(loses_behind_two(3));
    let all = site.plugin_behind(&proxy, &["history", "p"]).done();
    assert_eq!(all.lines().count(), 5, "{all}");

    client
        .run(bucket.put("p.op.h.5.1", "not a receipt".into()))
        .unwrap();
    let foreign = site.plugin(&["history", "p"]);
    assert_eq!(foreign.code, Some(1), "{foreign:#?}");
    let words = "delete it with `nats kv del weir-receipts p.op.h.5.1`";
    assert!(foreign.stderr.contains(words), "{foreign:#?}");
}
