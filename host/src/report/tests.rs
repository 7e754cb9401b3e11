//! Unit tests of the error report.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use anyhow::{Context, anyhow};

/// A library error whose `Display` includes its source, as those of async-nats do.
#[derive(Debug)]
struct Talkative(std::io::Error);

impl fmt::Display for Talkative {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "connection failed: {}", self.0)
    }
}

impl StdError for Talkative {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_is_printed_from_the_outside_in_with_its_hint() {
    let error = anyhow!("it is a core module without a component-type section");
    let error = hint(error, "build it with `weir plugin build`");
    let error = error.context("cannot load plugin `rebates.wasm`");
    assert_eq!(
        text(&error),
        "error: cannot load plugin `rebates.wasm`\n  \
         cause: it is a core module without a component-type section\n\n\
         hint: build it with `weir plugin build`\n"
    );
}

#[test]
fn a_cause_that_its_parent_already_prints_appears_once() {
    let error = Err::<(), _>(Talkative(std::io::Error::other("refused")))
        .context("cannot reach `nats://localhost`")
        .unwrap_err();
    assert_eq!(
        chain(&error),
        [
            "cannot reach `nats://localhost`",
            "connection failed",
            "refused"
        ]
    );
}

#[test]
fn a_cause_in_the_middle_of_its_parent_is_left_out() {
    let error = anyhow!("b").context("a (b) c");
    assert_eq!(chain(&error), ["a (b) c"]);
}

#[test]
fn an_error_is_a_failure_unless_some_layer_calls_it_usage() {
    let plain = anyhow!("gone").context("cannot run");
    assert_eq!(exit_code(&plain), FAILED);
    let marked = hint(usage(anyhow!("unknown field")), "remove it").context("cannot load");
    assert_eq!(exit_code(&marked), USAGE);
    let marked = usage(hint(anyhow!("unknown field"), "remove it")).context("cannot load");
    assert_eq!(exit_code(&marked), USAGE);
    assert_eq!(hints(&marked), ["remove it"]);
}

#[test]
fn several_hints_are_kept_and_each_is_printed_once() {
    let error = hint(anyhow!("inner"), "one");
    let error = hint(error.context("middle"), "two");
    let error = hint(error.context("outer"), "one");
    assert_eq!(hints(&error), ["one", "two"]);
}

#[test]
fn an_error_can_be_found_under_a_mark() {
    let error = usage(Talkative(std::io::Error::other("refused"))).context("cannot run");
    assert!(find::<Talkative>(&error).is_some());
    assert!(find::<std::io::Error>(&error).is_some());
    assert!(find::<fmt::Error>(&error).is_none());
}

#[test]
fn continuation_lines_are_indented_under_their_label() {
    let error = anyhow!("line one\nline two").context("cannot run");
    assert_eq!(
        text(&error),
        "error: cannot run\n  cause: line one\n         line two\n"
    );
}

#[test]
fn the_form_for_machines_has_the_same_parts() {
    let error = hint(usage(anyhow!("inner")), "do this").context("outer");
    assert_eq!(
        json(&error),
        serde_json::json!({"error": "outer", "causes": ["inner"], "hints": ["do this"], "exit_code": 2})
    );
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let error = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
        .context("cannot write");
    assert_eq!(print(&error, false), DONE);
}

#[test]
fn numbers_agree_with_what_they_count() {
    let counts = [
        count(1_u64, "dead letter"),
        count(0_u64, "message"),
        count(2_usize, "retry"),
    ];
    assert_eq!(counts, ["1 dead letter", "0 messages", "2 retries"]);
    assert_eq!(count(2_u64, "key"), "2 keys");
}
