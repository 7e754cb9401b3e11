//! The rules about Rust sources and manifests. Each returns `line: what is wrong` or
//! ` what is wrong`, once for every place.

use super::scan::File;

/// The longest a source file may be; what does not fit belongs in a module of its own.
const LINES: usize = 400;

/// The files that may import the broker's client: those at the two ends of the corridor.
const AT_THE_BROKER: [&str; 5] = [
    "host/src/nats",
    "host/src/pipeline/source",
    "host/src/pipeline/delivery",
    "host/src/pipeline/sink",
    "host/src/pipeline/settle",
];

pub fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    match lines > LINES {
        true => vec![format!("{lines}: longer than {LINES} lines")],
        false => Vec::new(),
    }
}

/// A module header says what the file is for; unit tests beside a module need none.
pub fn header(file: &File) -> Vec<String> {
    let exempt = file.path.ends_with("/tests.rs") || file.text.starts_with("//!");
    match exempt {
        true => Vec::new(),
        false => vec!["1: does not open with a `//!` header".to_owned()],
    }
}

/// `expect` tells when it is no longer needed; an `allow` that must be says why.
pub fn allowances(file: &File) -> Vec<String> {
    let code: Vec<String> = file.code().into_iter().map(|(_, text)| text).collect();
    let code = code.join("\n");
    let mut findings = Vec::new();
    for start in ["#[allow(", "#![allow("] {
        for (at, _) in code.match_indices(start) {
            let attribute = code[at..].split(']').next().unwrap_or_default();
            if !attribute.contains("reason =") {
                let line = code[..at].matches('\n').count() + 1;
                findings.push(format!("{line}: `{start}` without a reason: use `expect`"));
            }
        }
    }
    findings
}

pub fn wasmtime(file: &File) -> Vec<String> {
    if !file.is_in("host/src") || file.is_in("host/src/plugin") {
        return Vec::new();
    }
    let banned = ["wasmtime"];
    words(file, &banned, "only host/src/plugin/ imports wasmtime")
}

pub fn async_nats(file: &File) -> Vec<String> {
    let allowed = AT_THE_BROKER
        .iter()
        .any(|place| file.path == format!("{place}.rs") || file.is_in(place));
    if !file.is_in("host/src") || allowed {
        return Vec::new();
    }
    words(
        file,
        &["async_nats"],
        "only the stations at the broker import async_nats",
    )
}

/// The protocol's words for settling, and the client's methods that say them.
pub fn settling(file: &File) -> Vec<String> {
    let settle = "host/src/pipeline/settle";
    if !file.is_in("host/src") || file.is_in(settle) || file.path == format!("{settle}.rs") {
        return Vec::new();
    }
    let calls = ["AckKind", ".double_ack", ".ack()", ".ack_with("];
    let mut findings = words(file, &calls, "only settle.rs settles a message");
    for (line, text) in file.code_and_strings() {
        let protocol = ["+ACK", "-NAK", "+NXT", "+TERM"];
        if protocol
            .iter()
            .any(|word| text.contains(&format!("\"{word}")))
        {
            findings.push(format!("{line}: only settle.rs settles a message"));
        }
    }
    findings
}

pub fn purity(file: &File) -> Vec<String> {
    let pure = file.is_in("host/src/config")
        || file.is_in("host/src/window")
        || file.path == "host/src/pipeline/route.rs";
    if !pure {
        return Vec::new();
    }
    let banned = [
        "tokio",
        "async ",
        ".await",
        "std::net",
        "std::thread",
        "std::process",
    ];
    words(
        file,
        &banned,
        "configuration and routing are pure and synchronous",
    )
}

/// Only the harness has a clock; guests may sleep, being slow is what some are for.
pub fn tests_wait_on_conditions(file: &File) -> Vec<String> {
    if file.is_in("tests/guests") {
        return Vec::new();
    }
    let mut findings = words(file, &["#[ignore"], "a test runs or does not exist");
    if file.is_in("tests") && file.path != "tests/harness/wait.rs" {
        let banned = ["sleep("];
        findings.extend(words(
            file,
            &banned,
            "wait on a condition, with `wait_until`",
        ));
    }
    findings
}

/// `contents` is the text of `tests/main.rs`.
pub fn promises(file: &File, contents: &str) -> Vec<String> {
    let name = file
        .path
        .strip_prefix("tests/")
        .and_then(|rest| rest.strip_suffix(".rs"));
    let Some(name) = name.filter(|name| !name.contains('/') && *name != "main") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if !file.text.starts_with("//! ") {
        findings.push("1: does not open with its promise in a `//!` comment".to_owned());
    }
    if !contents.lines().any(|line| line == format!("mod {name};")) {
        findings.push(format!("1: `mod {name};` is missing in tests/main.rs"));
    }
    findings
}

/// Guests have workspaces of their own, with what their targets need.
pub fn inherited_lints(file: &File) -> Vec<String> {
    let guest = [
        "plugins",
        "tests/guests",
        "benches/guests",
        "examples/rebates/plugin",
        "examples/advisories/plugin",
    ];
    let exempt = guest.iter().any(|folder| file.is_in(folder));
    if exempt
        || !file.text.contains("[package]")
        || file.text.contains("[lints]\nworkspace = true\n")
    {
        return Vec::new();
    }
    vec!["1: does not inherit the workspace's lints".to_owned()]
}

/// A published contract never changes, so the copy that an author gets with the SDK is equal to it
/// for ever. `read` gives the text of a published file.
pub fn contract_copy(file: &File, read: &dyn Fn(&str) -> String) -> Vec<String> {
    let Some(name) = file.path.strip_prefix("plugins/sdk/rust/wit/") else {
        return Vec::new();
    };
    match file.text == read(&format!("wit/deps/weir-plugin@0.1.0/{name}")) {
        true => Vec::new(),
        false => vec!["1: differs from the published contract".to_owned()],
    }
}

/// A finding for every line of code that has one of the words.
fn words(file: &File, banned: &[&str], instead: &str) -> Vec<String> {
    let has = |text: &String| banned.iter().find(|word| text.contains(*word));
    file.code()
        .into_iter()
        .filter_map(|(line, text)| has(&text).map(|word| format!("{line}: `{word}`: {instead}")))
        .collect()
}

#[cfg(test)]
mod broken {
    //! Every rule is broken once, so that none can pass by looking at nothing.

    use super::*;

    fn lines(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
        let findings = rule(&File::example(path, text));
        let line = |finding: &String| finding.split(':').next().unwrap().to_owned();
        findings.iter().map(line).collect()
    }

    #[test]
    fn the_rules_about_form_can_be_broken() {
        assert_eq!(lines(length, "a.rs", &"x\n".repeat(401)), ["401"]);
        assert!(lines(length, "a.rs", &"x\n".repeat(400)).is_empty());
        assert_eq!(lines(header, "a.rs", "// a\n"), ["1"]);
        assert!(lines(header, "a/tests.rs", "use a;\n").is_empty());
        assert_eq!(
            lines(allowances, "a.rs", "//! a\n#[allow(dead_code)]\n"),
            ["2"]
        );
        assert!(lines(allowances, "a.rs", "// #[allow(dead_code)]\n").is_empty());
        let argued = "#![allow(\n dead_code,\n reason = \"a helper\"\n)]\n";
        assert!(lines(allowances, "a.rs", argued).is_empty());
    }

    #[test]
    fn the_rules_about_imports_can_be_broken() {
        let engine = "use wasmtime::Engine;\n";
        assert_eq!(lines(wasmtime, "host/src/cli/run.rs", engine), ["1"]);
        assert_eq!(lines(wasmtime, "host/src/plugins.rs", engine), ["1"]);
        assert!(lines(wasmtime, "host/src/plugin/engine.rs", engine).is_empty());
        let client = "use std::fs;\nuse async_nats::Client;\n";
        assert_eq!(
            lines(async_nats, "host/src/pipeline/operator.rs", client),
            ["2"]
        );
        assert_eq!(lines(async_nats, "host/src/nats_server.rs", client), ["2"]);
        assert!(lines(async_nats, "host/src/pipeline/sink.rs", client).is_empty());
        assert!(lines(async_nats, "host/src/pipeline/sink/window.rs", client).is_empty());
        assert!(lines(async_nats, "tests/harness/nats.rs", client).is_empty());
    }

    #[test]
    fn the_rule_about_settling_can_be_broken() {
        let call = "async fn f() {\n message.ack().await;\n}\n";
        let protocol = "publish(reply, b\"+TERM\");\n";
        assert_eq!(lines(settling, "host/src/pipeline/sink.rs", call), ["2"]);
        assert_eq!(
            lines(settling, "host/src/pipeline/sink.rs", protocol),
            ["1"]
        );
        assert!(lines(settling, "host/src/pipeline/settle.rs", call).is_empty());
        assert!(lines(settling, "host/src/pipeline/settle/words.rs", protocol).is_empty());
    }

    #[test]
    fn the_rule_about_purity_can_be_broken() {
        let waits = "fn f() {}\nasync fn g() {}\n";
        assert_eq!(lines(purity, "host/src/config/mod.rs", waits), ["2"]);
        assert_eq!(
            lines(purity, "host/src/pipeline/route.rs", "use tokio::fs;\n"),
            ["1"]
        );
        assert!(lines(purity, "host/src/pipeline/mod.rs", waits).is_empty());
    }

    #[test]
    fn the_rules_about_tests_can_be_broken() {
        let sleeps = "fn f() {\n std::thread::sleep(second);\n}\n";
        assert_eq!(lines(tests_wait_on_conditions, "tests/a.rs", sleeps), ["2"]);
        assert_eq!(
            lines(tests_wait_on_conditions, "host/src/a.rs", "#[ignore]\n"),
            ["1"]
        );
        assert!(lines(tests_wait_on_conditions, "tests/harness/wait.rs", sleeps).is_empty());
        let listed = |file: &File| promises(file, "mod a;\nmod b;\n");
        assert_eq!(lines(listed, "tests/c.rs", "//! C.\n"), ["1"]);
        assert_eq!(lines(listed, "tests/a.rs", "use b;\n"), ["1"]);
        assert!(lines(listed, "tests/a.rs", "//! A.\n").is_empty());
        assert!(lines(listed, "tests/a/part.rs", "").is_empty());
    }

    #[test]
    fn the_rules_about_manifests_and_the_contract_can_be_broken() {
        let package = "[package]\nname = \"a\"\n";
        assert_eq!(lines(inherited_lints, "a/Cargo.toml", package), ["1"]);
        assert!(lines(inherited_lints, "plugins/a/Cargo.toml", package).is_empty());
        let published = |file: &File| contract_copy(file, &|_| "world".to_owned());
        assert_eq!(
            lines(published, "plugins/sdk/rust/wit/a.wit", "word"),
            ["1"]
        );
        assert!(lines(published, "plugins/sdk/rust/wit/a.wit", "world").is_empty());
    }
}
