//! A host that is started while servers elect a leader waits for it. What no waiting mends ends it all the same.

use crate::harness::{NatsServer, Site, wait_for, wait_until};
use std::path::PathBuf;

/// A pipeline that settles what it reads, and a job.
fn pipelines(site: &Site) -> [PathBuf; 2] {
    let job = [
        ("name: p\n", "name: j\n"),
        ("IN, consumer: p", "IN"),
        ("out.{subject}", "out.job.{subject}"),
    ];
    let more = "delivery: exactly-once\nkey: \"{subject[1]}\"\n";
    let job = site.pipeline_but(&job, more);
    let text = std::fs::read(job).unwrap();
    [site.pipeline(""), site.file("j.yaml", text)]
}

#[test]
fn hosts_that_are_started_without_a_leader_say_so_and_run_once_there_is_one() {
    let [first, mut second, mut third] = NatsServer::start_cluster();
    let site = Site::on(first);
    site.create_streams_on(3);
    let files = pipelines(&site);
    second.kill9();
    third.kill9();
    let hosts = files.map(|file| {
        let mut host = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
        // A server is silent at first, and says later that it has no leader.
        host.wait_until_output(": JetStream ");
        host.wait_until_output("waiting for it");
        host
    });
    let shown = site.weir(&["job", "show", "j"]);
    assert_eq!(shown.code, Some(1), "{shown:#?}");
    let hint = "hint: try again in some seconds: servers that elect a leader";
    assert!(shown.stderr.contains(hint), "{shown:#?}");
    second.start_again();
    third.start_again();
    for mut host in hosts {
        host.wait_until_output("running");
    }
}

#[test]
fn a_host_that_is_started_while_the_leader_of_its_source_is_killed_runs() {
    let [first, second, third] = NatsServer::start_cluster();
    let site = Site::on(first);
    site.create_streams_on(3);
    let [file, job] = pipelines(&site);
    let client = site.nats.client();
    // The harness asks the first server, so that one stays.
    let mut others = [second, third];
    let name = |server: &NatsServer| {
        let info = server.client().jetstream.client().server_info();
        info.server_name
    };
    let leader = wait_for("another server leads the source", || {
        let leader = client
            .stream_info("IN")
            .and_then(|info| info.cluster?.leader);
        let leader = leader.ok_or("there is none")?;
        if leader == name(&site.nats) {
            let step_down = "$JS.API.STREAM.LEADER.STEPDOWN.IN";
            let nats = client.jetstream.client();
            let asked = client.run(nats.request(step_down, "".into()));
            return Err(format!("{asked:?}"));
        }
        Ok(leader)
    });
    let leading = others.iter_mut().find(|server| name(server) == leader);
    leading.unwrap().kill9();
    let files = [file.to_str().unwrap(), job.to_str().unwrap(), "--create"];
    let mut host = site.start_with(&files, &[]);
    wait_until("both run", || {
        assert!(host.is_running(), "{}", host.stderr());
        host.stderr().matches("running").count() >= 2
    });
}
