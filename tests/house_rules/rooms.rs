//! The rooms of `host/src`, from the lowest floor up, and who may import whom.
//!
//! A room is a file or a folder right below `host/src`. It imports rooms of lower floors and nothing
//! else, so there is no circle. A new room takes its place in this table.

use super::scan::File;

/// Each line is a floor: its rooms know none of each other. A room may import every line above its own.
const FLOORS: &[&[&str]] = &[
    // Plain data, and what everything stands on.
    &["failpoint", "headers", "report", "shutdown", "threads"],
    &[
        "message",
        "outgoing",
        "signature",
        "standard",
        "state",
        "telemetry",
        "time",
    ],
    &["parked", "jsonl", "config"],
    // What knows one library, or compares.
    &["plugin", "compare"],
    &["nats", "oci"],
    &["component"],
    // What becomes of a batch; at least once; versions of plugins; a process.
    &["process"],
    &["delivery", "job"],
    &["rollout"],
    &["host"],
    // How people reach it.
    &["admin"],
    &["cli"],
];

/// Imports of a room that stands no lower, and files that belong to no room of the table.
pub fn imports(file: &File) -> Vec<String> {
    let Some(path) = file.path.strip_prefix("host/src/") else {
        return Vec::new();
    };
    let room = path.split(['/', '.']).next().unwrap_or_default();
    // Unit tests may bring together what their module must not know.
    if ["lib", "main"].contains(&room) || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let Some(floor) = floor(room) else {
        return vec![format!(
            "1: room `{room}` is not in tests/house_rules/rooms.rs"
        )];
    };
    let mut findings = Vec::new();
    for (line, text) in file.code() {
        for imported in imported(&text) {
            if imported != room && self::floor(imported).is_some_and(|other| other >= floor) {
                findings.push(format!(
                    "{line}: `{room}` stands below `{imported}`, and must not import it"
                ));
            }
        }
    }
    findings
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms after each `crate::` of a line.
fn imported(text: &str) -> Vec<&str> {
    let names = text.split("crate::").skip(1).flat_map(|rest| {
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default(),
        };
        list.split(',')
            .map(|part| part.split(':').next().unwrap_or_default().trim())
    });
    names.collect()
}

#[test]
fn a_room_that_imports_a_higher_one_or_is_unknown_is_found() {
    let findings = |path: &str, text: &str| imports(&File::example(path, text));
    let up = "//! x\nuse crate::delivery::lane::Lane;\n";
    assert_eq!(
        findings("host/src/process/mod.rs", up),
        ["2: `process` stands below `delivery`, and must not import it"]
    );
    let beside = "use crate::{message::Message, telemetry::metrics};\n";
    assert_eq!(findings("host/src/outgoing.rs", beside).len(), 2);
    assert!(
        findings(
            "host/src/delivery/lane.rs",
            "use crate::process::Processor;"
        )
        .is_empty()
    );
    assert!(
        findings(
            "host/src/delivery/lane.rs",
            "use crate::delivery::sink::Sink;"
        )
        .is_empty()
    );
    assert!(findings("host/src/process/mod.rs", "// crate::delivery\n").is_empty());
    assert_eq!(findings("host/src/attic/mod.rs", "").len(), 1);
}
