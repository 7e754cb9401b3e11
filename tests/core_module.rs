//! A plugin that was compiled to a core module, for `wasm32-unknown-unknown`, is a plugin like any
//! other: the host makes a component of it as it loads it.

use crate::harness::guests::core_module;
use crate::harness::{Site, Weir, pipeline_folder, put};

#[test]
fn a_core_module_runs_as_a_plugin_and_its_panics_are_not_lost() {
    let module = core_module("misbehave");
    let bytes = std::fs::read(&module).unwrap();
    assert_eq!(&bytes[..8], b"\0asm\x01\0\0\0", "it is no core module");
    let file = module.to_str().unwrap();
    let described = Weir::run(&["plugin", "inspect", file]).stdout;
    let form = "form      core module, encoded as a component on load";
    assert!(described.contains(form), "{described}");
    assert!(described.contains("grants    none"), "{described}");

    let site = Site::new();
    site.file("plugin.wasm", bytes);
    let _weir = site.run(&site.pipeline(""));
    let client = site.nats.client();
    client.publish("in.a", "as it came");
    client.publish("in.b", "panic");
    let out = site.wait_for_messages("OUT", 1);
    assert_eq!(out[0].text(), "as it came");
    let dead = site.wait_for_messages("DEAD", 1);
    assert_eq!(dead[0].header("Weir-Kind"), Some("trap"));
    let words = dead[0].header("Weir-Stderr").unwrap_or_default();
    assert!(
        words.contains("panicked because the payload said so"),
        "{words}"
    );
    site.wait_until_settled();
}

#[test]
fn a_core_module_is_tested_without_a_broker_like_any_other() {
    let folder = pipeline_folder(
        "echo",
        "name: p\nsource: { stream: IN, subjects: [\"in.>\"] }\n\
         operators:\n  - { name: op, plugin: plugin.wasm }\nsink: { subject: \"out.{subject}\" }\n",
    );
    std::fs::copy(core_module("echo"), folder.path().join("plugin.wasm")).unwrap();
    let line = "{\"subject\":\"in.a\",\"text\":\"x\"}\n";
    put(folder.path(), "input.jsonl", line);
    let piped = Weir::run_with_input(folder.path(), &["pipe", "pipeline.yaml"], line);
    assert_eq!(piped.code, Some(0), "{piped:#?}");
    assert!(
        piped.stdout.contains("\"subject\":\"out.in.a\""),
        "{piped:#?}"
    );
    let bless = ["plugin", "test", ".", "--no-build", "--bless"];
    assert_eq!(Weir::run_in(folder.path(), &bless).code, Some(0));
    let test = Weir::run_in(folder.path(), &["plugin", "test", ".", "--no-build"]);
    assert_eq!(test.stdout, "ok: 1 message, 1 result\n");
}
