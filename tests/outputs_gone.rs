//! Whoever no longer reads what weir prints, and a disk that is full, cost log entries and nothing else.

use crate::harness::weir::get;
use crate::harness::{Site, Weir, commands, wait_until};
use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

fn full() -> Stdio {
    File::create("/dev/full").unwrap().into()
}

/// A host that works and stops as usual, though what it logs goes nowhere.
fn assert_works(name: &str, outputs: [Stdio; 2]) {
    let site = Site::new();
    site.pipeline("");
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let listen = format!("--metrics-listen={address}");
    let arguments = [
        "run",
        "p.yaml",
        "--log-level=debug",
        &*listen,
        "--admin-listen=off",
    ];
    let mut weir = Weir::start_to(site.folder.path(), &arguments, outputs);
    // A rejected one is a dead letter, which is logged.
    for payload in ["1", "reject", "2"] {
        site.nats.client().publish("in.a", payload);
    }
    site.wait_for_messages("OUT", 2);
    site.wait_for_messages("DEAD", 1);
    site.wait_until_settled();
    wait_until("the entries that are lost are counted", || {
        let (_, page) = get(&address, "/metrics");
        let lost = page
            .lines()
            .find_map(|line| line.strip_prefix("weir_log_entries_lost_total"));
        let lost = lost.unwrap_or_else(|| panic!("it is not on the page:\n{page}"));
        lost.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0
    });
    assert!(weir.is_running(), "{name}");
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0), "{name}");
}

#[test]
fn a_host_whose_log_cannot_be_written_loses_entries_and_no_message() {
    assert_works("full", [full(), full()]);
    assert_works("closed", [closed(), closed()]);
}

#[test]
fn no_command_panics_when_its_output_is_closed_or_full() {
    let site = Site::new();
    site.pipeline("");
    site.file("input.jsonl", "{\"subject\":\"in.a\",\"payload\":\"1\"}\n");
    site.nats.client().publish("in.a", "a message");
    site.nats.client().publish("dead.p", "a dead letter");
    let start = |outputs, command: &str, arguments: &[&'static str], more: &[&str]| {
        let mut all: Vec<&str> = command.split(' ').collect();
        all.extend(commands::with_file(arguments, "p.yaml"));
        all.extend(more);
        Weir::start_to(site.folder.path(), &all, outputs)
    };
    for (command, arguments) in commands::all() {
        if *command == "run" {
            continue;
        }
        for (name, outputs, more) in [
            ("closed", [closed(), closed()], &["--json"][..]),
            ("full", [full(), full()], &[]),
        ] {
            let ended = start(outputs, command, arguments, more).finish();
            assert!(
                matches!(ended.code, Some(0..=2)),
                "{command}, {name}: {ended:?}"
            );
        }
    }
    // What only prints has failed where nothing can be written, and has not where nobody reads on.
    for command in ["metrics", "config schema", "bench --help"] {
        let ended = start([full(), closed()], command, &[], &[]).finish();
        let failed = if command.ends_with("help") { 0 } else { 1 };
        assert_eq!(ended.code, Some(failed), "{command}");
        let ended = start([closed(), closed()], command, &[], &[]).finish();
        assert_eq!(ended.code, Some(0), "{command}");
    }
}
