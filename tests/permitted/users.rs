//! The lists of docs/security.md for persons and scripts: one who operates, one who reads, one who asks for the status.

use super::of_site;
use crate::harness::guests::versions;
use crate::harness::{AS_HOST, Finished, Site, Weir, wait_until};

/// A site whose user has the list under a heading, with a job that has rejected two messages, and its host. The host
/// connects as another user.
fn site(heading: &str) -> (Site, Weir) {
    let site = Site::permitting(&of_site(heading));
    let client = site.nats.client();
    client.publish("in.a", "reject");
    client.publish("in.b", "reject");
    client.publish("in.c", "x");
    let source = ("stream: IN, consumer: p", "stream: IN");
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\npartitions: 2\n";
    site.pipeline_but(&[source], job);
    let mut weir = site.start_with(&["p.yaml", "--create"], &[]);
    weir.wait_until_output("running");
    site.wait_for_messages("DEAD", 2);
    site.wait_for_messages("OUT", 1);
    // What follows reads the file as the user.
    site.pipeline_but(&[source, AS_HOST], job);
    (site, weir)
}

impl Site {
    /// Runs a command as the user.
    fn as_user(&self, command: &str) -> Finished {
        let url = format!("nats://host:h@127.0.0.1:{}", self.nats.port());
        let words: Vec<&str> = command.split(' ').collect();
        self.weir_with(&words, &[("NATS_URL", &url)]).finish()
    }

    /// The command does all that it is for.
    #[track_caller]
    fn may(&self, command: &str) -> String {
        let done = self.as_user(command);
        assert_eq!(done.code, Some(0), "{command}: {done:#?}");
        let said = format!("{}{}", done.stdout, done.stderr);
        let is_refused = ["refused", "unknown", "Violation"]
            .iter()
            .any(|it| said.contains(it));
        assert!(!is_refused, "{command}: {said}");
        done.stdout
    }

    #[track_caller]
    fn may_not(&self, command: &str) {
        let refused = self.as_user(command);
        assert_ne!(refused.code, Some(0), "{command}: {refused:#?}");
    }
}

#[test]
fn a_user_who_operates_needs_what_the_page_names() {
    let (site, weir) = site("A user who operates");
    for command in [
        "status",
        "job ls",
        "job show p",
        "job pause p",
        "job resume p",
        "job savepoint create p --name s",
        "job savepoint ls",
        "job savepoint restore p s --yes",
        "job reset p --to 1 --yes",
        "job reset p --to 2026-01-01T00:00:00Z --yes",
        "job savepoint rm p s",
        "job state ls p",
        "dlq ls p.yaml",
        "dlq show p.yaml",
        "dlq resend p.yaml 1",
        "dlq purge p.yaml 2",
    ] {
        site.may(command);
    }
    let beside = site.as_user("job savepoint create p --name t");
    assert_eq!(beside.code, Some(0), "{beside:#?}");
    let beside = site.as_user("job savepoint restore p t --partitions 4 --yes");
    assert!(beside.stderr.contains("runs it"), "{beside:#?}");
    for name in ["v1", "v2", "same"] {
        site.file(name, versions(name));
    }
    let deploy = |what: &str| {
        let plan = site.may(&format!("plugin deploy p/op {what} --json"));
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let hash = plan["hash"].as_str().unwrap();
        site.may(&format!("plugin deploy p/op {what} --apply {hash}"));
    };
    deploy("same --shadow");
    wait_until("the shadow has a report", || {
        let diff = site.as_user("plugin diff p/op");
        assert!(!diff.stderr.contains("Violation"), "{diff:#?}");
        diff.stdout.starts_with("p/op: shadow ")
    });
    site.may("plugin rollback p/op");
    deploy("v1");
    wait_until("the host has a receipt", || {
        site.may("plugin history p/op").contains('\n')
    });
    site.may("plugin rollback p/op");
    deploy("v2 --canary 10%");
    site.may("plugin promote p/op");
    site.may("plugin rollback p/op");
    site.may_not("run p.yaml --metrics-listen=off --admin-listen=off");
    weir.terminate();
    weir.finish();
}

#[test]
fn a_user_who_reads_needs_what_the_page_names_and_changes_nothing() {
    let (site, _weir) = site("A user who reads");
    for command in [
        "status",
        "job ls",
        "job show p",
        "dlq ls p.yaml",
        "dlq show p.yaml",
    ] {
        site.may(command);
    }
    for command in [
        "job pause p",
        "job reset p --to 1 --yes",
        "job savepoint create p --name s",
        "dlq purge p.yaml 1",
        "dlq resend p.yaml 1",
        "plugin rollback p/op",
    ] {
        site.may_not(command);
    }
    assert_eq!(site.nats.client().count("DEAD"), 2);
}

#[test]
fn a_user_for_status_needs_what_the_page_names_and_reads_nothing_else() {
    let (site, _weir) = site("A user for status");
    assert!(site.may("status").contains("pipeline p: IN"));
    for command in ["job show p", "dlq ls p.yaml"] {
        site.may_not(command);
    }
}
