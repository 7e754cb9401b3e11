//! What the promises are tested with: real servers, the real binary, real components, and waiting.

#![allow(
    dead_code,
    unused_imports,
    reason = "a helper may serve promises that are not in this build"
)]

pub mod bless;
pub mod certificates;
pub mod client;
pub mod commands;
pub mod deployments;
pub mod folder;
pub mod guests;
pub mod identity;
pub mod lane;
pub mod languages;
pub mod nats;
pub mod proxy;
mod raw;
pub mod registry;
pub mod signer;
pub mod site;
pub mod wait;
pub mod web;
pub mod weir;

pub use bless::assert_file_holds;
pub use client::{Client, Stored};
pub use deployments::{refused, rollbacks, swaps};
pub use folder::{pipeline_folder, put, replaced};
pub use guests::repository;
pub use nats::NatsServer;
pub use proxy::{Fate, Proxy, Sender};
pub use registry::OciRegistry;
pub use signer::Signer;
pub use site::{AS_HOST, SHORT_ACK_WAIT, SLEEPER, Site, operator_series, series};
pub use wait::{wait_for, wait_until};
pub use weir::{Finished, Weir};

use std::path::{Path, PathBuf};
use std::process::Command;

/// Sends a signal (`TERM`, `KILL`, `STOP`, ...) to one process. Through the shell's own `kill`,
/// which is there where the program of that name is not.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("cannot run `sh`");
    assert!(status.success(), "cannot send SIG{name} to process {pid}");
}

/// The last part of a log, for messages of failed tests.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A directory for what the tests compile, kept between runs.
pub fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

#[test]
fn a_server_keeps_its_port_and_its_messages_over_a_kill() {
    let mut server = NatsServer::start();
    server.client().create_stream("ORDERS", &["orders.>"]);
    server.client().publish("orders.a", "1");
    let port = server.port();
    server.kill9();
    server.start_again();
    assert_eq!(server.port(), port);
    let orders = (0..3000).map(|number| (format!("orders.{number}"), number.to_string()));
    server.client().publish_all(orders);
    let messages = server.client().messages("ORDERS");
    assert_eq!(messages.len(), 3001);
    assert_eq!(messages[0].subject, "orders.a");
}

#[test]
#[should_panic(expected = "there is no `weir_receivd_total{pipeline=\"p\"}`")]
fn a_series_that_no_host_has_fails_whoever_asks_for_it() {
    let site = Site::new();
    let weir = site.run(&site.pipeline(""));
    assert_eq!(weir.metric(&series("received_total")), 0.0);
    weir.metric(&series("receivd_total"));
}

#[test]
#[should_panic(expected = "no metric has the name and labels of `weir_plugin_counter_total{")]
fn a_series_that_a_plugin_has_yet_to_name_is_told_from_one_that_it_cannot_name() {
    let site = Site::new();
    let weir = site.run(&site.pipeline(""));
    let series = |labels| format!("weir_plugin_counter_total{{pipeline=\"p\",{labels}=\"a\"}}");
    assert_eq!(weir.metric_of_plugin(&series("operator=\"op\",name")), None);
    weir.metric_of_plugin(&series("name"));
}
