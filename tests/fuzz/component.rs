//! Bytes that are given for a component: they are described, or refused in words with what to do,
//! and nothing that they say makes the description long.

use crate::engine::{Target, kind};
use std::path::Path;
use weir::plugin::{Inspection, World, componentize, inspect};
use weir::report;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Most bytes of a description for each byte of the input, and without any.
const PER_BYTE: usize = 200;
const LEAST: usize = 1 << 20;

const TOKENS: &[&str] = &[
    "\0asm\x01\0\0\0",
    "\0asm\x0d\0\x01\0",
    "weir:plugin/handler@0.1.0",
    "weir:plugin/types@0.1.0",
    "weir:plugin/handler@0.2.0",
    "weir:state/store@0.1.0",
    "wasi:http/types@0.2.3",
    "wasi:io/streams@0.3.0",
    "wasi_snapshot_preview1",
    "component-type",
    "producers",
    "name",
    "ComponentizeJS",
    "cabi_realloc",
    "memory",
    "process",
    "configure",
    "\0",
    "\x01",
    "\x7f",
    "\x7f\x7f\x7f\x7f\x07",
];

#[test]
fn whatever_bytes_are_given_for_a_component_they_are_described_or_refused_in_words() {
    Target {
        name: "component",
        seeds: seeds(),
        tokens: TOKENS,
        runs: 1000,
        check,
    }
    .run();
}

/// A core module for the contract, with a section for each kind, and what becomes of it.
fn seeds() -> Vec<Vec<u8>> {
    const MODULE: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (table 1 funcref)
        (elem (i32.const 0) $random)
        (data (i32.const 8) "data")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "weir:plugin/configurable@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "weir:plugin/handler@0.1.0#process") (param i32 i32) (result i32) (i32.const 32)))"#;
    const COMPONENT: &str = r#"(component
        (import "wasi:http/types@0.2.3" (instance (export "fields" (type (sub resource)))))
        (import "weir:plugin/log@0.1.0" (instance (type (enum "a" "b")) (export "level" (type (eq 0)))))
        (instance $nothing)
        (export "weir:plugin/handler@0.1.0" (instance $nothing)))"#;
    let [plain, component] = [MODULE, COMPONENT].map(|text| wat::parse_str(text).unwrap());
    let mut module = plain.clone();
    let mut resolve = Resolve::default();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(files).unwrap();
    let world = resolve.select_world(&[package], Some("operator")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoded = componentize(&module, World::Operator).unwrap();
    let (contract, _) = World::Operator.packages();
    let text: String = contract.iter().map(|(_, text)| *text).collect();
    vec![
        plain,
        module,
        encoded,
        component,
        text.into_bytes(),
        b"(component)".to_vec(),
    ]
}

fn check(bytes: &[u8]) -> String {
    let made = componentize(bytes, World::Operator);
    match inspect(bytes) {
        Err(error) => {
            let text = report::text(&error);
            let legible = |c: char| c == '\n' || !c.is_control();
            assert!(
                text.chars().all(legible),
                "not fit for a terminal: {text:?}"
            );
            assert!(text.len() < 16 * 1024, "{} bytes", text.len());
            kind(&text)
        }
        Ok(found) => {
            assert_eq!(found.digest, blake3::hash(bytes).to_hex().to_string());
            assert_eq!(found.size, bytes.len() as u64);
            let names = found.imports.iter().chain(&found.exports);
            let length = found.wit.len() + names.map(String::len).sum::<usize>();
            assert!(
                length <= LEAST + PER_BYTE * bytes.len(),
                "{length} bytes of description"
            );
            assert!(
                found
                    .ungranted
                    .iter()
                    .all(|name| found.imports.contains(name))
            );
            let made = made.unwrap_or_else(|error| panic!("described and not made: {error:#}"));
            same_interfaces(&found, &made);
            format!(
                "{} {:?}",
                found.core_module,
                found.contract.as_deref().map_err(|why| kind(why))
            )
        }
    }
}

/// What is made of a core module has the interfaces that were described.
fn same_interfaces(found: &Inspection, made: &[u8]) {
    let again = inspect(made).unwrap();
    assert_eq!(
        (&again.imports, &again.exports),
        (&found.imports, &found.exports)
    );
    assert_eq!((&again.wit, &again.contract), (&found.wit, &found.contract));
}
