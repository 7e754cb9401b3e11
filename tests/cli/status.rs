//! `weir status` shows every host that runs, each with its own pipelines.

use super::json;
use crate::harness::{SLEEPER, Site, wait_for};
use serde_json::Value;

/// The status once so many hosts answer, as text and as JSON.
fn status(site: &Site, hosts: usize) -> (String, Vec<Value>) {
    let ask = |more: &[&str]| site.weir(&[&["status", "--wait", "1"], more].concat());
    let found = wait_for("every host answers", || {
        let Value::Array(found) = json(&ask(&["--json"]).stdout) else {
            panic!("not a list")
        };
        match found.len() {
            count if count == hosts => Ok(found),
            _ => Err(format!("{found:?}")),
        }
    });
    let text = wait_for("every host answers", || {
        let text = ask(&[]).stdout;
        match text.matches("host ").count() {
            count if count == hosts => Ok(text),
            _ => Err(text),
        }
    });
    (text, found)
}

/// The names of a host's pipelines.
fn pipelines(host: &Value) -> Vec<&str> {
    let pipelines = host["pipelines"].as_array().unwrap();
    pipelines
        .iter()
        .map(|pipeline| pipeline["name"].as_str().unwrap())
        .collect()
}

#[test]
fn every_host_of_a_pipeline_is_shown_with_what_it_did_itself() {
    let site = Site::new();
    let file = site.pipeline("");
    let (first, second) = (site.run(&file), site.run(&file));
    for number in 0..40 {
        site.nats.client().publish("in.a", format!("{number}"));
    }
    site.wait_for_messages("OUT", 40);
    site.wait_until_settled();
    let (text, found) = status(&site, 2);
    let mut pids: Vec<u64> = found
        .iter()
        .map(|host| host["pid"].as_u64().unwrap())
        .collect();
    pids.sort_unstable();
    let mut expected = [first.pid(), second.pid()].map(u64::from);
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert!(found.iter().all(|host| pipelines(host) == ["p"]));
    let published = found.iter().map(|host| &host["pipelines"][0]["published"]);
    let published: u64 = published.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(published, 40, "{found:#?}");
    for host in &found {
        let server = |name: &str| host[name].as_str().unwrap();
        let (admin, metrics) = (server("admin"), server("metrics"));
        let line =
            format!("  status at http://{admin}/status, metrics at http://{metrics}/metrics\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    for pid in pids {
        assert!(text.contains(&format!(", process {pid}, up ")), "{text}");
    }
    assert_eq!(
        text.matches("  pipeline p: IN -> out.{subject}, 1 lane")
            .count(),
        2,
        "{text}"
    );
}

#[test]
fn a_host_that_ended_is_not_shown_and_of_two_pipelines_both_and_who_is_trusted() {
    let site = Site::new();
    site.nats.client().create_stream("MORE", &["more.>"]);
    site.pipeline("");
    let trusted = [("    plugin: ", "    trusted: true\n    plugin: ")];
    let single = site.run(&site.second_pipeline("MORE", &trusted));
    let both = site.start_with(&["p.yaml", "q.yaml"], &[]);
    let (text, found) = status(&site, 2);
    let of = |pid: u32| {
        let found = found.iter().find(|host| host["pid"] == pid);
        pipelines(found.unwrap())
    };
    assert_eq!(of(both.pid()), ["p", "q"]);
    assert_eq!(of(single.pid()), ["q"]);
    assert_eq!(text.matches("  pipeline p: IN -> ").count(), 1, "{text}");
    assert_eq!(text.matches("  pipeline q: MORE -> ").count(), 2, "{text}");
    assert_eq!(text.matches("operator op: ").count(), 3, "{text}");
    assert_eq!(text.matches(", trusted\n").count(), 2, "{text}");

    both.terminate();
    assert_eq!(both.finish().code, Some(0));
    let (text, found) = status(&site, 1);
    assert_eq!(found[0]["pid"], single.pid());
    assert!(!text.contains("pipeline p"), "{text}");
}

#[test]
fn what_the_server_has_yet_to_deliver_is_shown_as_the_lag() {
    let site = Site::new();
    let messages = (0..50).map(|_| ("in.a", "sleep"));
    site.nats.client().publish_all(messages);
    let one = "in-flight: { max-messages: 1 }\nbatch: { max-messages: 1 }\n";
    let _host = site.run(&site.pipeline_but(&[SLEEPER], one));
    // The host asks the server every other second.
    wait_for("the lag is known", || {
        let (text, _) = status(&site, 1);
        let now = "\n    now: lag 49, in flight 1, ack pending 1, parked 0\n";
        let done = "\n    since the start: received 1, without a result 0, dead letters 0, retries 0, \
                    retries after a failure 0, messages published 0\n";
        match text.contains(&format!("{now}{}", &done[1..])) {
            true => Ok(()),
            false => Err(text),
        }
    });
    let (_, found) = status(&site, 1);
    let pipeline = &found[0]["pipelines"][0];
    assert_eq!(
        (&pipeline["lag"], &pipeline["ack_pending"]),
        (&49.into(), &1.into())
    );
}
