//! The permissions that docs/security.md lists are all that a host needs, for each thing that it does. The
//! lists are read from the page, so that it cannot say anything else.

mod users;

use crate::harness::guests::versions as version;
use crate::harness::{AS_HOST, Site, replaced, repository, series, swaps, wait_until};
use crate::views::pages::{pages, wait_for_value};

/// The names of the page, and those of a site, in the order in which they are replaced.
const NAMES: [(&str, &str); 12] = [
    ("WEIR_PARKED_REBATES", "WEIR_PARKED_P"),
    ("WEIR_JOB_REBATES", "WEIR_JOB_P"),
    ("KV_rebates-current", "KV_p-v"),
    ("weir.parked.rebates", "weir.parked.p"),
    ("weir.job.rebates", "weir.job.p"),
    // The usual pipeline of a site has a consumer of another name than a job would.
    ("weir-rebates", "p"),
    ("CONSUMER.INFO.ORDERS.p", "CONSUMER.INFO.ORDERS.*"),
    ("ORDERS", "IN"),
    ("orders.>", "in.>"),
    ("RESULTS", "OUT"),
    ("dead.rebates", "dead.p"),
    ("rebates.>", "out.>"),
];

/// The list under a heading of the page.
fn list(heading: &str) -> String {
    let page = std::fs::read_to_string(repository().join("docs/security.md")).unwrap();
    let section = page.split(&format!("\n### {heading}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("there is no `### {heading}`"));
    let block = section.split("```").nth(1).unwrap();
    block.strip_prefix("text\n").unwrap().to_owned()
}

/// The list under a heading, with the names of a site.
fn of_site(heading: &str) -> String {
    let names = NAMES.into_iter();
    names.fold(list(heading), |list, name| match list.contains(name.0) {
        true => replaced(&list, &[name]),
        false => list,
    })
}

/// The permissions of a host that also does these things.
pub fn permitted(headings: &[&str]) -> String {
    let is_job = headings.contains(&"Jobs");
    let base = of_site(if is_job { "Jobs" } else { "A pipeline" });
    let more = headings.iter().filter(|heading| **heading != "Jobs");
    let more = more.map(|heading| match *heading {
        // The page says which lines are for jobs.
        "Shadows" if is_job => {
            let of_job = |line: &&str| {
                ["OUT", "DEAD", "weir-shadows"]
                    .iter()
                    .any(|it| line.contains(it))
            };
            let list = of_site("Shadows");
            let lines: Vec<&str> = list.lines().filter(of_job).collect();
            lines.join("\n") + "\n"
        }
        heading => of_site(heading),
    });
    let begin = "publish: [\n";
    let more: String = more.collect();
    replaced(&base, &[(begin, &format!("{begin}{more}"))])
}

#[test]
fn the_permissions_of_a_pipeline_that_the_page_names_are_enough() {
    let site = Site::permitting(&permitted(&[]));
    let client = site.nats.client();
    let later = "initial: 300ms, max: 300ms, park-after: 100ms";
    site.pipeline_but(&[AS_HOST, ("initial: 10ms, max: 50ms", later)], "");
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    for payload in ["x", "retry-until:2", "reject"] {
        client.publish("in.a", payload);
    }
    site.wait_for_messages("OUT", 2);
    site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    site.wait_until_status("pipeline p: IN");
    let parked = weir.metric(&series("parked_total"));
    assert!(parked > 0.0, "nothing was parked");
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
}

#[test]
fn the_permissions_that_the_page_names_are_enough_for_a_job() {
    let site = Site::permitting(&permitted(&["Jobs"]));
    let client = site.nats.client();
    let changes = [AS_HOST, ("stream: IN, consumer: p", "stream: IN")];
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\n";
    site.pipeline_but(&changes, job);
    let mut stored = 0;
    for _ in 0..2 {
        let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
        weir.wait_until_output("running");
        for payload in ["x", "retry-until:2", "reject"] {
            client.publish("in.a", payload);
        }
        stored += 2;
        site.wait_for_messages("OUT", stored);
        site.wait_for_messages("DEAD", stored / 2);
        wait_until("what was sourced is removed", || {
            let job = client.stream_info("WEIR_JOB_P").unwrap();
            job.state.messages < 20 && weir.metric(&series("lag")) == 0.0
        });
        weir.terminate();
        let ended = weir.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for word in [
            "nats refused",
            "cannot use the bucket",
            "cannot get the lag",
        ] {
            assert!(!ended.stderr.contains(word), "{}", ended.stderr);
        }
    }
}

#[test]
fn the_permissions_that_the_page_names_are_enough_for_a_view() {
    let site = Site::permitting(&permitted(&["Jobs", "Views"]));
    let file = site.viewed("views: [{ name: v }]\n");
    let text = std::fs::read_to_string(&file).unwrap();
    site.file("p.yaml", replaced(&text, &[AS_HOST]));
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    site.set("a", "1");
    wait_for_value(&weir, "/views/v/a", "1");
    assert_eq!(pages(&weir, "v", "").0.len(), 1);
    wait_until("what was sourced is removed", || {
        let job = site.nats.client().stream_info("WEIR_JOB_P").unwrap();
        job.state.messages < 10
    });
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
}

#[test]
fn the_permissions_that_the_page_names_are_enough_to_swap() {
    let site = Site::permitting(&permitted(&["Swaps"]));
    site.install("v0");
    let weir = site.run(&site.pipeline_but(&[AS_HOST], ""));
    assert_eq!(site.result(1), "v0 1");
    site.install("v1");
    wait_until("the host has swapped", || swaps(&weir) == 1.0);
    assert_eq!(site.result(2), "v1 2");
    // Both versions are kept, for a rollback.
    wait_until("both are in the bucket", || {
        site.nats.client().count("OBJ_weir-components") > 1
    });
    weir.terminate();
    let ended = weir.finish();
    for word in ["nats refused", "will not find"] {
        assert!(!ended.stderr.contains(word), "{}", ended.stderr);
    }
}

#[test]
fn the_permissions_that_the_page_names_are_enough_to_follow_deployments_and_take_them_back() {
    let site = Site::permitting(&permitted(&["Swaps", "Deployments"]));
    site.install("v0");
    for name in ["v1", "refuse"] {
        site.file(name, version(name));
    }
    let file = site.pipeline_but(&[AS_HOST], "");
    let weir = site.run(&file);
    assert_eq!(site.deploy("v1", &[]).code, Some(0));
    assert_eq!(site.result(1), "v1 1");
    // One that starts anew fetches what is deployed.
    weir.terminate();
    let ended = weir.finish();
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
    let weir = site.fresh_host("another");
    assert_eq!(site.result(2), "v1 2");
    // The host writes that it refuses a version, for all.
    assert_eq!(site.deploy("refuse", &[]).code, Some(1));
    assert_eq!(site.result(3), "v1 3");
    weir.terminate();
    let ended = weir.finish();
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
}

#[test]
fn the_permissions_that_the_page_names_are_enough_for_shadows() {
    let site = Site::permitting(&permitted(&["Swaps", "Deployments", "Shadows"]));
    site.install("same");
    site.file("wrong", version("wrong"));
    let weir = site.run(&site.pipeline_but(&[AS_HOST], ""));
    site.shadow("wrong");
    let numbers = (0..200).map(|number| ("in.a", number.to_string()));
    site.nats.client().publish_all(numbers);
    let total = site.compared(200);
    assert_eq!(total["comparison"]["different"], 2, "{total}");
    site.done(&["rollback", "p/op"]);
    wait_until("nothing of it is left", || !site.has_shadow("wrong"));
    weir.terminate();
    let ended = weir.finish();
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
}

#[test]
fn the_permissions_that_the_page_names_are_enough_for_shadows_of_jobs() {
    let site = Site::permitting(&permitted(&["Jobs", "Swaps", "Deployments", "Shadows"]));
    site.install("same");
    site.file("wrong", version("wrong"));
    let changes = [AS_HOST, ("stream: IN, consumer: p", "stream: IN")];
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\npartitions: 1\n";
    site.pipeline_but(&changes, job);
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    let applied = site.deploy("wrong", &["--shadow"]);
    assert_eq!(applied.code, Some(0), "{applied:#?}");
    let mut published = 0;
    wait_until("a difference is found", || {
        let numbers = (published..published + 100).map(|number| ("in.a", number.to_string()));
        site.nats.client().publish_all(numbers);
        published += 100;
        site.plugin(&["diff", "p/op"])
            .stdout
            .contains("with a different payload")
    });
    site.done(&["rollback", "p/op"]);
    site.wait_until_decided("abandoned");
    weir.terminate();
    let ended = weir.finish();
    assert!(!ended.stderr.contains("nats refused"), "{}", ended.stderr);
}

#[test]
fn a_user_for_replay_and_trace_needs_what_the_page_names() {
    let site = Site::permitting(&of_site("A user for replay"));
    let client = site.nats.client();
    site.install("same");
    client.publish_all((0..100).map(|number| ("in.a", number.to_string())));
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("OUT", 100);
    site.wait_until_settled();
    weir.terminate();
    weir.finish();
    site.pipeline_but(&[AS_HOST], "");
    site.weir(&["replay", "p.yaml", "--compare"]).done();
    site.weir(&["trace", "out.in.a", "7", "--file", "p.yaml"])
        .done();
}

#[test]
fn a_user_for_dead_letters_needs_what_the_page_names_and_may_do_nothing_else() {
    let site = Site::permitting(&of_site("A user for dead letters"));
    let client = site.nats.client();
    client.publish("in.a", "reject");
    client.publish("in.b", "reject");
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("DEAD", 2);
    weir.terminate();
    weir.finish();
    site.pipeline_but(&[AS_HOST], "");
    site.weir(&["dlq", "ls", "p.yaml"]).done();
    site.weir(&["dlq", "show", "p.yaml"]).done();
    site.weir(&["dlq", "replay", "p.yaml", "1"]).done();
    site.weir(&["dlq", "purge", "p.yaml", "2"]).done();
    assert_eq!((client.count("IN"), client.count("DEAD")), (3, 0));
    let status = site.weir(&[
        "run",
        "p.yaml",
        "--metrics-listen=off",
        "--admin-listen=off",
    ]);
    assert_ne!(status.code, Some(0), "{status:#?}");
}
