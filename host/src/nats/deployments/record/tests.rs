//! What decisions leave behind in the record of an operator.

use super::*;

fn component(digest: &str) -> Component {
    Component {
        digest: digest.to_owned(),
        origin: format!("{digest}.wasm"),
    }
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|&each| each.to_owned()).collect()
}

fn deploy(record: &mut Deployment, digest: &str, over: &[&str]) {
    record.install(component(digest), texts(over));
    record.decided("deployed", digest, None);
}

fn reject(record: &mut Deployment, digest: &str, reason: &str) {
    record.reject(digest);
    record.decided(REFUSED, digest, Some(reason.to_owned()));
}

fn runs(record: &Deployment, configured: &str) -> String {
    let wanted = record.instead_of(configured);
    wanted
        .map_or(configured, |wanted| &wanted.digest)
        .to_owned()
}

#[test]
fn a_refused_version_leaves_each_host_with_what_it_ran() {
    let mut record = Deployment::default();
    deploy(&mut record, "new", &["file1", "file2"]);
    assert_eq!(runs(&record, "file1"), "new");
    reject(&mut record, "new", "it does not fit");
    assert_eq!(
        (runs(&record, "file1"), runs(&record, "file2")),
        ("file1".into(), "file2".into())
    );
    assert_eq!(record.stable, None);

    deploy(&mut record, "first", &["file1"]);
    let before = record.stable.clone();
    deploy(&mut record, "second", &["file1", "file2"]);
    deploy(&mut record, "second", &["file1", "file2"]);
    reject(&mut record, "second", "it does not fit");
    assert_eq!(record.stable, before);
    // Another host says the same.
    reject(&mut record, "second", "it does not fit");
    assert_eq!(record.stable, before);
}

#[test]
fn what_is_in_quarantine_never_runs_in_the_place_of_another() {
    let mut record = Deployment::default();
    deploy(&mut record, "bad", &["file"]);
    deploy(&mut record, "next", &["file"]);
    record.banish("bad", "worse");
    reject(&mut record, "next", "it does not fit");
    assert_eq!(record.stable, None);

    deploy(&mut record, "next", &["file"]);
    record.roll_back(true, "next", &component("bad"), "file");
    assert_eq!(runs(&record, "file"), "file");

    deploy(&mut record, "next", &["file"]);
    record.roll_back(true, "next", &component("good"), "file");
    record.banish("next", "worse");
    assert_eq!(
        (runs(&record, "file"), runs(&record, "next")),
        ("good".into(), "good".into())
    );
    // A host that was not there, with a file that is in quarantine.
    assert_eq!(
        (runs(&record, "bad"), runs(&record, "other")),
        ("good".into(), "other".into())
    );
    record.stable = Some(Stable {
        component: component("bad"),
        over: texts(&["file"]),
    });
    assert_eq!(runs(&record, "file"), "file");
    record.release("bad");
    assert_eq!(runs(&record, "file"), "bad");
}

#[test]
fn what_was_in_quarantine_runs_again_only_where_somebody_decides_so() {
    let mut record = Deployment::default();
    deploy(&mut record, "bad", &["file"]);
    record.roll_back(false, "bad", &component("file"), "file");
    record.banish("bad", "worse");
    record.release("bad");
    assert_eq!(runs(&record, "file"), "file");

    deploy(&mut record, "old", &["file"]);
    deploy(&mut record, "new", &["file"]);
    record.banish("old", "worse");
    record.roll_back(true, "new", &component("old"), "file");
    record.release("old");
    // Tried once more, and worse than what a host runs by its file.
    record.roll_back(false, "new", &component("old"), "old");
    assert_eq!(runs(&record, "file"), "file");
}

#[test]
fn a_canary_that_is_taken_back_is_replaced_where_it_is_configured_and_nowhere_else() {
    let mut record = Deployment::default();
    record.roll_back(false, "bad", &component("good"), "file");
    record.banish("bad", "worse");
    assert_eq!(
        (runs(&record, "bad"), runs(&record, "file")),
        ("good".into(), "file".into())
    );
}

#[test]
fn a_deployed_version_that_is_taken_back_leaves_each_host_with_what_it_ran() {
    let mut record = Deployment::default();
    deploy(&mut record, "bad", &["file1", "file2"]);
    record.roll_back(true, "bad", &component("file1"), "file1");
    record.banish("bad", "worse");
    assert_eq!(runs(&record, "file1"), "file1");
    assert_eq!(runs(&record, "file2"), "file2");
    assert_eq!(runs(&record, "bad"), "file1");

    deploy(&mut record, "fine", &["file1", "file2"]);
    deploy(&mut record, "bad", &["file1", "file2"]);
    record.roll_back(true, "bad", &component("fine"), "file1");
    assert_eq!(
        (runs(&record, "file1"), runs(&record, "file2")),
        ("fine".into(), "fine".into())
    );
    // Over one that was itself on probation, to the one before that: the same for all.
    deploy(&mut record, "bad", &["file1", "file2"]);
    record.roll_back(true, "bad", &component("older"), "file1");
    assert_eq!(
        (runs(&record, "file1"), runs(&record, "file2")),
        ("older".into(), "older".into())
    );
}

#[test]
fn what_became_of_a_version_is_known_after_other_decisions() {
    let mut record = Deployment::default();
    deploy(&mut record, "new", &["file"]);
    reject(&mut record, "new", "long ago");
    deploy(&mut record, "new", &["file"]);
    let mark = record.last.clone();
    assert_eq!(record.undone(&mark, "new"), None);
    reject(&mut record, "new", "it does not fit");
    deploy(&mut record, "other", &["file"]);
    let undone = record.undone(&mark, "new").unwrap();
    assert_eq!(undone.reason.as_deref(), Some("it does not fit"));
    assert_eq!(record.undone(&record.last.clone(), "other"), None);
    for _ in 0..100 {
        record.decided("deployed", "other", None);
    }
    assert_eq!(record.earlier.len(), EARLIER);
}

#[test]
fn a_record_of_an_earlier_weir_is_read() {
    let text = r#"{"stable":null,"trial":null,"quarantine":[],"last":{"what":"deployed"}}"#;
    let record: Deployment = serde_json::from_str(text).unwrap();
    assert_eq!((record.before, record.earlier.len()), (None, 0));
}

#[test]
fn a_record_is_not_believed() {
    let digest = "0123456789abcdef".repeat(4);
    let component = |digest: &str| serde_json::json!({ "digest": digest, "origin": "o" });
    let stable = |digest: &str, over: &str| serde_json::json!({ "stable": { "component": component(digest), "over": [over] } });
    let trial = |percent: f64| {
        let kind = serde_json::json!({ "canary": percent });
        serde_json::json!({ "trial": { "component": component(&digest), "kind": kind, "over": [] } })
    };
    let read = |value: &serde_json::Value| Deployment::read(value.to_string().as_bytes(), "p.op");
    assert!(read(&stable(&digest, &digest)).is_ok());
    assert!(read(&trial(10.0)).is_ok());
    assert!(read(&serde_json::json!({ "of": "p.op" })).is_ok());
    let bad = serde_json::json!({ "digest": digest, "reason": "", "since": "" });
    for wrong in [
        stable("../../etc/passwd", &digest),
        stable(&digest.to_uppercase(), &digest),
        stable(&digest, "x"),
        trial(100.5),
        trial(-1.0),
        serde_json::json!({ "of": "other.op" }),
        serde_json::json!({ "quarantine": vec![bad; QUARANTINED + 1] }),
        serde_json::json!({ "last": { "reason": "x".repeat(LARGEST) } }),
        serde_json::json!("p.op"),
    ] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
}
