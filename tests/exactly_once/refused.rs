//! Whoever operates a job with too few permissions is told at once which one is missing.

use crate::harness::{Finished, NatsServer, Site, wait_until};

/// The server's configuration in which the user of the commands may not publish to these.
fn denying(denied: &[&str]) -> String {
    format!(
        "authorization {{ users = [ {{ user: all, password: a }}, {{ user: host, password: h, \
         permissions: {{ publish: {{ deny: {denied:?} }} }} }} ] }}\nno_auth_user: all"
    )
}

/// A job that has stopped, and a savepoint of it.
fn site() -> Site {
    let site = Site::on(NatsServer::start_with(&denying(&[])));
    site.create_streams();
    let file = site.stateful("partitions: 2\n");
    let weir = site.run_job(&file);
    site.count_each(3);
    site.wait_for_counts("OUT", 3);
    wait_until("all of it is in the state", || {
        site.operate(&["state", "ls", "p"]).stdout.lines().count() == 7
    });
    drop(weir);
    site.operate(&["savepoint", "create", "p", "--name", "s"]);
    site
}

impl Site {
    /// Runs `weir job` as the user who lacks a permission.
    fn denied(&self, command: &str) -> Finished {
        let url = format!("nats://host:h@127.0.0.1:{}", self.nats.port());
        let words: Vec<&str> = command.split(' ').collect();
        self.weir_with(&[&["job"], &words[..]].concat(), &[("NATS_URL", &url)])
            .finish()
    }
}

/// A command fails without a permission and says so, and what to do; then it succeeds with it.
#[track_caller]
fn each(site: &Site, table: &[(&str, &[&str])]) {
    for (command, permissions) in table {
        for permission in *permissions {
            site.nats.reload(&denying(&[permission]));
            let refused = site.denied(command);
            let said = permission.trim_end_matches(".>");
            let place = format!("`{command}` without `{permission}`: {refused:#?}");
            assert_eq!(refused.code, Some(1), "{place}");
            assert!(refused.stderr.contains("Permissions Violation"), "{place}");
            let hint = format!("allow this user to publish to `{said}");
            assert!(refused.stderr.contains(&hint), "{place}");
        }
        site.nats.reload(&denying(&[]));
        let done = site.denied(command);
        assert_eq!(done.code, Some(0), "`{command}`: {done:#?}");
    }
}

const INFO: &str = "$JS.API.STREAM.INFO.WEIR_JOB_P";
const GET: &str = "$JS.API.STREAM.MSG.GET.WEIR_JOB_P";
const CONSUMER: &str = "$JS.API.CONSUMER.CREATE.WEIR_JOB_P.>";
const BUCKET: &str = "$JS.API.STREAM.INFO.OBJ_weir-savepoints";

#[test]
fn who_may_not_read_a_job_is_told_which_permission_is_missing() {
    let site = site();
    each(
        &site,
        &[
            ("ls", &["$JS.API.STREAM.NAMES", INFO]),
            ("show p", &["$JS.API.STREAM.NAMES", INFO, GET]),
            ("state ls p", &[INFO, GET, CONSUMER]),
            ("state get p 3", &[INFO, GET, CONSUMER]),
            (
                "savepoint ls",
                &[BUCKET, "$JS.API.CONSUMER.CREATE.OBJ_weir-savepoints"],
            ),
        ],
    );
    // Without these, what is left is shown with the reason.
    site.nats
        .reload(&denying(&["$JS.API.DIRECT.GET.KV_weir-members"]));
    let shown = site.denied("show p");
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    let words = "hosts unknown: the server refused: Permissions Violation";
    assert!(shown.stdout.contains(words), "{shown:#?}");
    site.nats.reload(&denying(&["$JS.API.STREAM.INFO.IN"]));
    let shown = site.denied("show p");
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    assert!(shown.stdout.contains("lag unknown"), "{shown:#?}");
    let words =
        "lag in IN unknown: cannot read stream `IN`: the server refused: Permissions Violation";
    assert!(shown.stdout.contains(words), "{shown:#?}");
}

#[test]
fn who_may_not_change_a_job_is_told_which_permission_is_missing_and_can_try_again() {
    let site = site();
    each(
        &site,
        &[
            ("pause p", &[INFO, GET, "weir.job.p.control"]),
            ("resume p", &[INFO, GET, "weir.job.p.control"]),
            (
                "savepoint create p --name t",
                &[
                    INFO,
                    GET,
                    CONSUMER,
                    "$JS.API.STREAM.INFO.IN",
                    BUCKET,
                    "$O.weir-savepoints.>",
                ],
            ),
            (
                "savepoint restore p s --yes",
                &[
                    BUCKET,
                    "$JS.API.CONSUMER.CREATE.OBJ_weir-savepoints",
                    "$JS.API.STREAM.NAMES",
                    "weir.job.p.>",
                    "$JS.API.STREAM.PURGE.WEIR_JOB_P",
                ],
            ),
            (
                "reset p --to 1 --yes",
                &[
                    INFO,
                    GET,
                    "$JS.API.STREAM.INFO.IN",
                    "$JS.API.STREAM.NAMES",
                    "weir.job.p.>",
                    "$JS.API.STREAM.PURGE.WEIR_JOB_P",
                ],
            ),
            (
                "reset p --to 2026-01-01T00:00:00Z --yes",
                &["$JS.API.CONSUMER.CREATE.IN"],
            ),
            ("savepoint rm p t", &[BUCKET, "$O.weir-savepoints.>"]),
        ],
    );
    // Nobody sees it any more, and its bytes are left.
    let purge = "$JS.API.STREAM.PURGE.OBJ_weir-savepoints";
    site.nats.reload(&denying(&[purge]));
    let refused = site.denied("savepoint rm p s");
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let hint = format!("allow this user to publish to `{purge}`");
    assert!(refused.stderr.contains(&hint), "{refused:#?}");
}
