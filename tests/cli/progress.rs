//! What takes long is shown on a terminal, to people; a file or a machine sees nothing of it.

use super::PIPELINE;
use crate::harness::{Finished, NatsServer, Weir, pipeline_folder, put};
use std::path::Path;
use std::process::Stdio;

/// The beginning of every sequence that moves a terminal's cursor or clears its line.
const ESCAPE: char = '\u{1b}';

/// Runs to the end without anything compiled before, on a terminal and off it.
fn both(folder: &Path, arguments: &[&str]) -> (Finished, Finished) {
    let caches = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [one, other] = caches.each_ref().map(|cache| {
        let path = cache.path().to_str().unwrap();
        [("XDG_CACHE_HOME", path)]
    });
    let on = Weir::start_on_terminal(folder, arguments, &one).finish();
    let off = Weir::start_with(folder, arguments, &other, Stdio::null()).finish();
    (on, off)
}

/// `what` is shown on a terminal and gone in the end; elsewhere it is not there.
#[track_caller]
fn shown_on_a_terminal_only(folder: &Path, arguments: &[&str], what: &str) {
    let (on, off) = both(folder, arguments);
    assert_eq!(on.code, off.code, "{on:#?} {off:#?}");
    assert!(on.stdout.contains(what), "{on:#?}");
    let (_, after) = on.stdout.rsplit_once(what).unwrap();
    assert!(after.contains(ESCAPE), "it stays: {on:#?}");
    let all = off.stdout + &off.stderr;
    assert!(!all.contains(what) && !all.contains(ESCAPE), "{all}");
}

#[test]
fn compiling_is_shown_on_a_terminal_and_nowhere_else() {
    let folder = pipeline_folder("misbehave", PIPELINE);
    put(folder.path(), "input.jsonl", "");
    put(folder.path(), "expected.jsonl", "");
    let check = ["check", "pipeline.yaml"];
    shown_on_a_terminal_only(folder.path(), &check, "checking `work`");
    let test = ["plugin", "test", "."];
    shown_on_a_terminal_only(folder.path(), &test, "compiling the plugins");
    let dev = ["dev", ".", "--once"];
    shown_on_a_terminal_only(folder.path(), &dev, "compiling the plugins");
}

#[test]
fn feeding_is_shown_on_a_terminal_and_nowhere_else() {
    let folder = pipeline_folder("misbehave", PIPELINE);
    let line = "{\"subject\": \"orders.a\", \"text\": \"x\"}\n";
    put(folder.path(), "input.jsonl", line.repeat(30));
    let dev = ["dev", ".", "--once", "--show", "2"];
    shown_on_a_terminal_only(folder.path(), &dev, "feeding ");
}

#[test]
fn waiting_for_hosts_is_shown_on_a_terminal_and_not_with_json() {
    let server = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let url = server.url();
    let ask = ["status", "--nats", &url];
    let waiting = "waiting for hosts to respond";
    shown_on_a_terminal_only(folder.path(), &ask, waiting);
    let (on, _) = both(folder.path(), &[&ask[..], &["--json"]].concat());
    assert_eq!(on.stdout.trim_end(), "[]");
}
