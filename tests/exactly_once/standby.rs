//! A host that stands by for the partitions of another takes them over with the state that it has, and it is the right
//! one.

use super::by_subject;
use crate::harness::{Site, Weir, series, wait_for, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;

const KEYS: usize = 100;

/// Waits until each of two hosts owns half of the partitions, and has all of the log of the other half.
fn settle(hosts: &[Weir]) {
    wait_for("each host stands by for the other", || {
        for host in hosts {
            let figures = ["job_standbys", "job_standbys_level"];
            let figures = figures.map(|name| host.metric(&series(name)));
            if figures != [4.0, 4.0] {
                return Err(format!("{figures:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_host_that_stood_by_goes_on_with_what_it_has_when_the_owner_is_killed_or_leaves() {
    let site = Site::new();
    let file = site.stateful("state: { standby: 1 }\n");
    let client = site.nats.client();
    let mut hosts = vec![site.run_job(&file), site.run_job(&file)];
    let mut rounds = 0;
    let mut feed = || {
        client.publish_all((0..4 * KEYS).map(|number| (format!("in.{}", number % KEYS), "count")));
        rounds += 1;
        site.wait_for_messages("OUT", rounds * 4 * KEYS as u64)
    };
    feed();
    for is_killed in [true, false] {
        settle(&hosts);
        feed();
        settle(&hosts);
        let warm = |host: &Weir| host.metric(&series("job_takeovers_warm_total"));
        let before = warm(&hosts[1]);
        let mut gone = hosts.remove(0);
        let status = site.weir(&["status", "--json"]).stdout;
        let status: Vec<Value> = serde_json::from_str(&status).unwrap();
        let status = status.iter().find(|host| host["pid"] == gone.pid());
        let name = status.unwrap()["host"].as_str().unwrap();
        match is_killed {
            true => gone.kill9(),
            false => {
                gone.terminate();
                gone.finish();
            }
        }
        // What comes meanwhile is processed by whoever owns it then.
        feed();
        assert_eq!(warm(&hosts[0]), before + 4.0);
        // With the name that `weir status` shows.
        let died = format!(
            "says nothing any more: others take over its partitions job=\"p\" host=\"{name}\""
        );
        let logged = hosts[0].stderr().contains(&died);
        assert_eq!(logged, is_killed, "{}", hosts[0].stderr());
        let bytes = hosts[0].metric(&series("job_standby_state_bytes"));
        assert_eq!(bytes, 0.0);
        hosts.push(site.run_job(&file));
    }
    settle(&hosts);
    let out = feed();
    let counts = 4 * out.len() / (4 * KEYS);
    let counts: Vec<String> = (1..=counts).map(|count| count.to_string()).collect();
    let expected: BTreeMap<_, _> = (0..KEYS)
        .map(|key| (format!("out.{key}"), counts.clone()))
        .collect();
    assert_eq!(by_subject(&out), expected);

    let url = site.nats.url();
    let output = |command: &[&str]| site.weir(&[command, &["--nats", &url]].concat()).stdout;
    wait_until("the commands say who stands by", || {
        output(&["job", "show", "p"])
            .matches(": 0 records behind\n")
            .count()
            == 8
    });
    let status = output(&["status"]);
    let said = "owns 4 of 8 partitions, stands by for 4 (4 of them level)";
    assert_eq!(status.matches(said).count(), 2, "{status}");
}
