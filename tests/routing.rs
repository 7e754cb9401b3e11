//! An operator sees the messages whose subject one of its filters matches, others pass it by;
//! several operators are one chain, and several pipelines one process.

use crate::harness::{Site, operator_series, wait_until};
use weir::host::{Host, Options};
use weir::plugin::{Runtime, RuntimeOptions};
use weir::shutdown::Shutdown;
use weir::telemetry::metrics::Metrics;
use weir::threads;

#[test]
fn operators_form_a_chain_and_each_sees_only_its_subjects() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.a", "x");
    client.publish("in.b", "x");
    let operators = "operators:
  - { name: one, plugin: plugin.wasm, config: { mark: one }, subjects: [in.a] }
  - { name: two, plugin: plugin.wasm, config: { mark: two }, subjects: [in.b] }
";
    let chain = [("operators:\n", operators), ("name: op", "name: all")];
    let weir = site.run(&site.pipeline_but(&chain, ""));
    let out = site.wait_for_messages("OUT", 2);
    let mark = |subject: &str| {
        let message = out.iter().find(|message| message.subject == subject);
        message.unwrap().header("Mark").map(ToOwned::to_owned)
    };
    assert_eq!(mark("out.in.a").as_deref(), Some("one"));
    assert_eq!(mark("out.in.b").as_deref(), Some("two"));
    let seen = |operator| weir.metric(&operator_series("messages_total", operator));
    assert_eq!([seen("one"), seen("two"), seen("all")], [1.0, 1.0, 2.0]);
}

#[test]
fn a_host_without_pipelines_ends() {
    let options = Options {
        create: false,
        watch: false,
        runtime: Runtime::new(RuntimeOptions::default()).unwrap(),
        metrics: Metrics::new(),
        shutdown: Shutdown::default(),
    };
    let host = Host::new(Vec::new(), options).unwrap();
    let running = std::thread::spawn(move || threads::block_on(host.run()).is_ok());
    wait_until("it has ended", || running.is_finished());
    assert!(running.join().unwrap());
}

#[test]
fn several_pipelines_run_in_one_process() {
    let site = Site::new();
    let client = site.nats.client();
    let elsewhere = [("out.{subject}", "out.q.{subject}")];
    let files = [site.pipeline(""), site.second_pipeline("IN", &elsewhere)];
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap());
    client.publish("in.a", "x");
    let _weir = site.run(&site.file("both.yaml", texts.join("---\n")));
    wait_until("both have published", || client.count("OUT") == 2);
    let mut subjects: Vec<_> = client
        .messages("OUT")
        .into_iter()
        .map(|message| message.subject)
        .collect();
    subjects.sort();
    assert_eq!(subjects, ["out.in.a", "out.q.in.a"]);
}
