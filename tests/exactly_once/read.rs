//! Who operates a job reads its state while it runs.

use crate::cli::json;
use crate::harness::{Finished, Site, wait_until};
use serde_json::Value;

/// The values of the JSON lines that a command has printed.
fn lines(finished: &Finished) -> Vec<Value> {
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    finished.stdout.lines().map(json).collect()
}

#[test]
fn the_state_of_a_job_is_read_key_by_key_while_it_runs() {
    let site = Site::new();
    let client = site.nats.client();
    let file = site.stateful("partitions: 3\n");
    let _weir = site.run_job(&file);
    let count = |number: usize| (format!("in.{}", number % 7), "count".to_owned());
    client.publish_all((0..700).map(count));
    client.publish(
        "in.other",
        "set plain a\u{1b}b; timer processing 9000000000000000000 tag",
    );
    client.publish("in.other", "set brief x 3600000; drop");
    site.wait_for_messages("OUT", 701);
    let get = |key: &str| site.weir(&["job", "state", "get", "p", key, "--json"]);
    wait_until("all is committed", || {
        let got = get("other");
        got.code == Some(0) && lines(&got).len() == 3
    });
    let got = &lines(&get("3"))[0];
    assert_eq!(
        (&got["operator"], &got["name"], &got["value"]),
        (&"op".into(), &"count".into(), &100.into())
    );
    let other = lines(&get("other"));
    let of = |name: &str| other.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(of("plain")["value"], "a\u{1b}b");
    assert!(of("brief")["expires"].is_string(), "{other:#?}");
    assert_eq!(
        (&of("tag")["kind"], &of("tag")["clock"]),
        (&"timer".into(), &"processing-time".into())
    );
    // Nothing of it reaches a terminal as it is.
    let shown = site.weir(&["job", "state", "get", "p", "6f74686572", "--hex"]);
    assert!(
        shown
            .stdout
            .contains("op  value  \"other\"  \"plain\"  3 bytes  \"a\\u001bb\"\n"),
        "{shown:#?}"
    );

    let listed = site.weir(&["job", "state", "ls", "p", "--json"]);
    assert_eq!(lines(&listed).len(), 10, "{listed:#?}");
    let listed = site.weir(&["job", "state", "ls", "p", "oth", "--operator", "op"]);
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:#?}");
    let listed = site.weir(&["job", "state", "ls", "p", "--operator", "none"]);
    assert_eq!((listed.code, &*listed.stdout), (Some(0), ""));

    let missing = get("nobody");
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(
        missing.stderr.contains("has no state for the key `nobody`"),
        "{missing:#?}"
    );
    let wrong = site.weir(&["job", "state", "get", "p", "xyz", "--hex"]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    let none = site.weir(&["job", "state", "ls", "q"]);
    assert_eq!(none.code, Some(1), "{none:#?}");
    assert!(none.stderr.contains("there is no job `q`"), "{none:#?}");
}
