//! A file runs only if it was built for a contract that this host knows and imports nothing that was
//! not granted. What does not run is refused at load, with the reason and what to do about it.

use crate::harness::guests::guest;
use crate::harness::lane::{Lane, limits, runtime};
use crate::harness::repository;
use smallvec::SmallVec;
use weir::message::{Outcome, Output};
use weir::plugin::LoadOptions;
use weir::plugin::inspect;
use weir::report;
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// The report of a load that must fail, without its first line.
fn refusal(bytes: &[u8]) -> String {
    let Err(error) = runtime().load_bytes(bytes, "x.wasm", LoadOptions::default()) else {
        panic!("it was loaded")
    };
    assert_eq!(report::exit_code(&error), report::USAGE);
    let text = report::text(&error);
    let (head, rest) = text.split_once('\n').unwrap();
    assert_eq!(head, "error: cannot load plugin `x.wasm`");
    rest.to_owned()
}

/// A component that has only names: an empty instance for each import and export.
fn named(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let import = |name: &&str| format!("(import \"{name}\" (instance))\n");
    let export = |name: &&str| format!("(export \"{name}\" (instance $nothing))\n");
    let imports: String = imports.iter().map(import).collect();
    let exports: String = exports.iter().map(export).collect();
    wat::parse_str(format!(
        "(component {imports} (instance $nothing) {exports})"
    ))
    .unwrap()
}

const OPERATOR: [&str; 2] = [
    "weir:plugin/configurable@0.1.0",
    "weir:plugin/handler@0.1.0",
];

/// A core module that drops every message, with the section that names its `world`. `parts` are
/// functions besides those of `operator`.
fn module(world: &str, parts: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {parts}
            (memory (export "memory") 4)
            (global $top (mut i32) (i32.const 1024))
            (func $allocate (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $start i32)
                (local.set $start
                    (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $start) (local.get 3)))
                (local.get $start))
            ;; All zeros is `ok`.
            (func (export "weir:plugin/configurable@0.1.0#configure")
                (param i32 i32) (result i32)
                (i32.const 16))
            ;; Of outcomes, too, 32 zeros are `emit` with an empty list.
            (func (export "weir:plugin/handler@0.1.0#process")
                (param $batch i32) (param $count i32) (result i32)
                (i32.store (i32.const 32) (call $allocate
                    (i32.const 0) (i32.const 0) (i32.const 8)
                    (i32.mul (local.get $count) (i32.const 32))))
                (i32.store (i32.const 36) (local.get $count))
                (i32.const 32)))"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(repository().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    module
}

/// A component of a core module.
fn encoded(module: &[u8]) -> Vec<u8> {
    let encoder = wit_component::ComponentEncoder::default().module(module);
    encoder.unwrap().encode().unwrap()
}

#[test]
fn a_file_that_is_no_webassembly_is_refused_with_what_it_is() {
    let again = "\nhint: build it again with `weir plugin build`\n";
    let file = "\nhint: give the `.wasm` file that `weir plugin build` prints\n";
    let cases: [(&[u8], &str, &str); 5] = [
        (b"", "it is empty", again),
        (b"\0as", "it has 3 bytes, too few for WebAssembly", again),
        (
            b"\x7fELF\x02\x01\x01\0",
            "it is not WebAssembly: it does not begin with `\\0asm`",
            file,
        ),
        (
            b"name: rebates",
            "it is not WebAssembly: it does not begin with `\\0asm`",
            file,
        ),
        (b"\n(component)", "it is WebAssembly text, not binary", file),
    ];
    for (bytes, cause, hint) in cases {
        assert_eq!(refusal(bytes), format!("  cause: {cause}\n{hint}"));
    }
}

#[test]
fn a_component_that_ends_too_early_is_refused_as_truncated() {
    let bytes = std::fs::read(guest("echo")).unwrap();
    for length in [6, 9, 1000, bytes.len() / 2, bytes.len() - 1] {
        let report = refusal(&bytes[..length]);
        assert!(
            report.contains("it is truncated"),
            "of {length} bytes:\n{report}"
        );
        assert!(report.contains("hint: copy the file again"), "{report}");
    }
}

#[test]
fn a_component_that_is_damaged_is_refused() {
    let mut bytes = std::fs::read(guest("echo")).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle..middle + 64].fill(0xff);
    let report = refusal(&bytes);
    assert!(
        report.starts_with("  cause: cannot compile it\n  cause: "),
        "{report}"
    );
    assert!(
        report.ends_with("\nhint: build it again with `weir plugin build`\n"),
        "{report}"
    );
}

#[test]
fn a_core_module_runs_when_it_carries_the_contract() {
    let bytes = module("operator", "");
    let plugin = runtime()
        .load_bytes(&bytes, "module.wasm", LoadOptions::default())
        .unwrap();
    assert_eq!(plugin.contract(), "weir:plugin/operator@0.1.0");
    assert_eq!(plugin.size(), bytes.len() as u64);
    assert_eq!(plugin.digest(), blake3::hash(&bytes).to_hex().as_str());
    let mut lane = Lane::new(plugin, limits(), "null");
    let dropped = Outcome::Emit(SmallVec::new());
    assert_eq!(lane.call(&["a", "b"]).unwrap(), [dropped.clone(), dropped]);
}

#[test]
fn a_core_module_for_wasi_preview_1_is_adapted() {
    let clock = r#"
        (import "wasi_snapshot_preview1" "random_get"
            (func $random (param i32 i32) (result i32)))
        (func (export "_initialize")
            (if (call $random (i32.const 64) (i32.const 8)) (then unreachable)))"#;
    let plugin = runtime()
        .load_bytes(
            &module("operator", clock),
            "preview1.wasm",
            LoadOptions::default(),
        )
        .unwrap();
    let mut lane = Lane::new(plugin, limits(), "null");
    assert_eq!(lane.call(&["a"]).unwrap(), [Outcome::Emit(SmallVec::new())]);
}

#[test]
fn a_core_module_without_the_section_is_refused() {
    let bytes = wat::parse_str("(module)").unwrap();
    assert_eq!(
        refusal(&bytes),
        "  cause: cannot compile it\n  cause: it is a core module without a component-type section\n\n\
         hint: build it with `weir plugin build`\n"
    );
}

#[test]
fn a_component_of_another_version_is_refused_with_both_versions() {
    let bytes = named(
        &[],
        &[
            "weir:plugin/configurable@0.2.0",
            "weir:plugin/handler@0.2.0",
        ],
    );
    assert_eq!(
        refusal(&bytes),
        "  cause: it was built for version 0.2.0 of the contract `weir:plugin`; this host runs \
         0.1.0\n\n\
         hint: build it for the world `weir:plugin/operator@0.1.0`, with `weir plugin build`\n"
    );
}

#[test]
fn a_component_for_windows_runs_where_an_operator_of_a_job_has_windows_only() {
    let parts = ["add", "merge", "emit"].map(|name| {
        format!(
            r#"(func (export "weir:window/aggregation@0.2.0#{name}")
                (param i32 i32) (result i32) (i32.const 16))"#
        )
    });
    let bytes = module("aggregator", &parts.concat());
    assert_eq!(
        refusal(&bytes),
        "  cause: it keeps state, which needs exactly-once delivery\n\n\
         hint: add `delivery: exactly-once` to the pipeline\n"
    );
    let load = |bytes: &[u8], windowed| {
        let options = LoadOptions {
            stateful: true,
            windowed,
            ..LoadOptions::default()
        };
        runtime().load_bytes(bytes, "x.wasm", options)
    };
    for bytes in [bytes.clone(), encoded(&bytes)] {
        let plugin = load(&bytes, true).unwrap();
        assert_eq!(plugin.contract(), "weir:window/aggregator@0.2.0");
        assert!(plugin.is_stateful());
    }
    let refused = |bytes: &[u8], windowed| match load(bytes, windowed) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => report::text(&error),
    };
    let text = refused(&bytes, false);
    assert!(
        text.contains("it aggregates windows, but the operator has no `window:`"),
        "{text}"
    );
    let text = refused(&std::fs::read(guest("echo")).unwrap(), true);
    assert!(
        text.contains("it was built for `weir:plugin/operator@0.1.0`"),
        "{text}"
    );
}

#[test]
fn a_component_of_a_version_of_windows_that_no_host_ran_is_refused() {
    assert_eq!(
        refusal(&named(&[], &["weir:window/aggregation@0.1.0"])),
        "  cause: it was built for version 0.1.0 of the contract `weir:window`; this host runs 0.2.0\n\n\
         hint: build it for the world `weir:window/aggregator@0.2.0`, with `weir plugin build`\n"
    );
}

#[test]
fn a_component_of_the_world_with_state_runs_where_there_is_state_only() {
    let timers = r#"(func (export "weir:state/timer-handler@0.2.0#on-timer")
        (param i32 i32) (result i32) (i32.const 16))"#;
    let bytes = module("stateful-operator", timers);
    assert_eq!(
        refusal(&bytes),
        "  cause: it keeps state, which needs exactly-once delivery\n\n\
         hint: add `delivery: exactly-once` to the pipeline\n"
    );
    let options = LoadOptions {
        stateful: true,
        ..LoadOptions::default()
    };
    let plugin = runtime().load_bytes(&bytes, "x.wasm", options).unwrap();
    assert_eq!(plugin.contract(), "weir:state/stateful-operator@0.2.0");
    assert!(plugin.is_stateful());
    let plugin = runtime().load(&guest("echo")).unwrap();
    assert!(!plugin.is_stateful());
}

#[test]
fn a_component_that_imports_state_must_export_the_handler_of_timers() {
    let imports = ["weir:state/state@0.2.0"];
    assert_eq!(
        refusal(&named(&imports, &OPERATOR)),
        "  cause: it does not export `weir:state/timer-handler@0.2.0`\n\n\
         hint: build it for the world `weir:state/stateful-operator@0.2.0`, with `weir plugin build`\n"
    );
    assert_eq!(
        refusal(&named(&["weir:state/state@0.1.0"], &OPERATOR)),
        "  cause: it was built for version 0.1.0 of the contract `weir:state`; this host runs 0.2.0\n\n\
         hint: build it for the world `weir:state/stateful-operator@0.2.0`, with `weir plugin build`\n"
    );
}

#[test]
fn a_component_that_is_no_plugin_is_refused() {
    let report = refusal(&named(&[], &["wasi:cli/run@0.2.0"]));
    assert!(
        report.contains("not a weir plugin: it exports `wasi:cli/run@0.2.0`"),
        "{report}"
    );
    let report = refusal(&named(&[], &[]));
    assert!(report.contains("it exports nothing"), "{report}");
    let report = refusal(&named(&[], &["weir:plugin/handler@0.1.0"]));
    assert!(
        report.contains("does not export `weir:plugin/configurable@0.1.0`"),
        "{report}"
    );
}

#[test]
fn an_import_that_nobody_granted_is_refused_at_load() {
    let cases = [
        ("wasi:http/outgoing-handler@0.2.0", "add `grants: { http: ["),
        (
            "wasi:http/incoming-handler@0.2.0",
            "a plugin cannot serve requests",
        ),
        ("wasi:http/client@0.3.0", "build it for WASI 0.2"),
        ("wasi:keyvalue/store@0.2.0-draft", "a plugin may import"),
        ("wasi:clocks/system-clock@0.3.0", "build it for WASI 0.2"),
        ("weir:plugin/http@0.1.0", "a plugin may import"),
        ("acme:bank/vault@1.0.0", "a plugin may import"),
        ("vault", "a plugin may import"),
    ];
    for (import, hint) in cases {
        let report = refusal(&named(&[import], &OPERATOR));
        let cause = format!("  cause: it imports `{import}`, which is not granted\n\nhint: {hint}");
        assert!(report.starts_with(&cause), "{report}");
    }
}

#[test]
fn a_component_of_javascript_is_told_how_to_do_without_http() {
    let mut bytes = named(&["wasi:http/types@0.2.0"], &OPERATOR);
    let section = b"\x0aproducers\x01\x0cprocessed-by\x01\x0eComponentizeJS\x060.19.3";
    bytes.extend([0, u8::try_from(section.len()).unwrap()]);
    bytes.extend(section);
    let report = refusal(&bytes);
    let hint = ", or, if it makes no requests, build it with `-d http -d fetch-event`\n";
    assert!(report.ends_with(hint), "{report}");
}

#[test]
fn a_component_with_the_right_names_and_the_wrong_functions_is_refused() {
    let report = refusal(&named(&[], &OPERATOR));
    assert!(
        report.contains("does not have export `configure`"),
        "{report}"
    );
}

#[test]
fn inspect_says_what_a_component_is_and_needs() {
    let bytes = std::fs::read(guest("echo")).unwrap();
    let inspection = inspect(&bytes).unwrap();
    assert_eq!(
        inspection.contract.as_deref(),
        Ok("weir:plugin/operator@0.1.0")
    );
    assert_eq!(inspection.digest, blake3::hash(&bytes).to_hex().as_str());
    assert!(!inspection.core_module);
    let mut exports = inspection.exports.clone();
    exports.sort();
    assert_eq!(exports, OPERATOR);
    assert!(
        inspection
            .imports
            .iter()
            .any(|import| import.starts_with("wasi:"))
    );
    assert!(
        inspection
            .wit
            .contains("process: func(batch: list<message>) -> list<outcome>;")
    );
    let plugin = runtime().load(&guest("echo")).unwrap();
    assert_eq!(plugin.imports(), inspection.imports);
    let inspection = inspect(&module("aggregator", "")).unwrap_err();
    assert!(
        format!("{inspection:#}").contains("aggregation"),
        "{inspection:#}"
    );
    let inspection = inspect(&named(&["acme:bank/vault@1.0.0"], &OPERATOR)).unwrap();
    let reason = inspection.contract.unwrap_err();
    assert_eq!(
        reason,
        "it imports `acme:bank/vault@1.0.0`, which is not granted"
    );
}

/// Components that were built for a published contract run for ever: see `tests/witness/README.md`.
#[test]
fn a_component_built_for_a_published_contract_still_runs() {
    let path = repository().join("tests/witness/operator-0.1.0.wasm");
    let plugin = runtime().load(&path).unwrap();
    let mut lane = Lane::new(plugin, limits(), "null");
    let pass = Outcome::Emit(SmallVec::from([Output::default()]));
    assert_eq!(lane.call(&["a", "b"]).unwrap(), [pass.clone(), pass]);
}
