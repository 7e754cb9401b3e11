//! A plugin can be written in any of eight languages, and whichever it is, it is the same plugin:
//! each passes one suite of cases, built from source by its own tools.

mod aggregator;
mod author;
mod chain;
mod http;
mod memory;
mod run;
mod stateful;
mod suite;

use crate::harness::languages;
use http::Servers;
use run::{Subject, limits};
use weir::cli::project::Language;
use weir::config::resolved::Grants;
use weir::plugin::{LoadOptions, Runtime, RuntimeOptions, World};

/// Memory of an instance in the suite: more than the heaviest language runtime takes.
const MEMORY: usize = 192 << 20;

/// Above this much an instance in JavaScript is replaced, as its template's pipeline says. Its garbage
/// collector is in no hurry: without that it settles at twice as much, after some 100,000 messages.
const JAVASCRIPT_RECYCLES: usize = 48 << 20;

/// The same in Python, which never frees the bytes that it has returned (ADR 19). Half of what a
/// pipeline has unless it says otherwise, so that it happens several times here.
const PYTHON_RECYCLES: usize = 24 << 20;

/// Messages of a stretch of the soak.
const MESSAGES: usize = 50_000;

fn subject(world: World, language: Language, grants: &Grants) -> Subject {
    let component = languages::conformance(world, language);
    let runtime = Runtime::new(RuntimeOptions {
        cache_dir: Some(crate::harness::cache().join("languages")),
        compiler: Some(env!("CARGO_BIN_EXE_weir").into()),
        ..RuntimeOptions::default()
    });
    let runtime = runtime.unwrap();
    let options = LoadOptions {
        stateful: world != World::Operator,
        windowed: world == World::Aggregator,
        grants: Some(grants),
        ..LoadOptions::default()
    };
    let plugin = runtime.load_with(&component, options).unwrap();
    let mut limits = limits(MEMORY);
    match language {
        Language::Js | Language::Ts => limits.recycle_bytes = JAVASCRIPT_RECYCLES,
        Language::Python => limits.recycle_bytes = PYTHON_RECYCLES,
        _ => {}
    }
    Subject {
        runtime,
        plugin,
        limits,
    }
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn conforms(language: Language) {
    // The plugin sends requests, too: see `http.yaml`.
    let subject = subject(World::Operator, language, &Servers::start().grants());
    let cases = suite::cases();
    assert!(cases.len() > 25, "the suite is not whole");
    let tokio = tokio();
    suite::pass(&subject, &cases, &tokio);
    if let Err(error) = tokio.block_on(stays_flat(&subject)) {
        panic!("{error}");
    }
}

fn conforms_with_http(language: Language) {
    let servers = Servers::start();
    let subject = subject(World::Operator, language, &servers.grants());
    http::conforms(subject, &servers);
}

// What these do not call is not in them: they need no grant.

fn conforms_with_state(language: Language) {
    let subject = subject(World::StatefulOperator, language, &Grants::default());
    stateful::conforms(&subject);
}

fn conforms_with_windows(language: Language) {
    aggregator::conforms(&subject(World::Aggregator, language, &Grants::default()));
}

/// Memory over many messages.
async fn stays_flat(subject: &Subject) -> Result<(), String> {
    const BATCH: usize = 250;
    let mut counted = subject.worker("null");
    let messages = suite::soak(BATCH).messages();
    memory::stays_flat(subject, MESSAGES / BATCH, async |_| {
        let outcomes = counted.worker.process(&messages).await;
        let outcomes = outcomes.map_err(|fault| format!("{fault} {}", fault.stderr))?;
        if outcomes.len() != messages.len() {
            return Err(format!("{} outcomes", outcomes.len()));
        }
        Ok(counted.operator.memory_bytes.get())
    })
    .await
}

/// Each language's promises, under its name: `cargo xtask test` leaves a language out by it where its
/// tools cannot be had. What its page promises beyond that is in its module `own`.
macro_rules! language {
    ($name:ident, $language:ident $(, $own:item)?) => {
        mod $name {
            $($own)?
            use weir::cli::project::Language;

            #[test]
            fn a_plugin_passes_every_case_and_stays_flat() {
                super::conforms(Language::$language);
            }

            #[test]
            fn a_plugin_sends_requests_and_is_told_what_became_of_them() {
                super::conforms_with_http(Language::$language);
            }

            #[test]
            fn a_plugin_with_state_passes_every_case_and_stays_flat() {
                super::conforms_with_state(Language::$language);
            }

            #[test]
            fn a_plugin_for_windows_passes_every_case_and_stays_flat() {
                super::conforms_with_windows(Language::$language);
            }

            #[test]
            fn a_new_plugin_builds_and_passes_its_tests_as_it_is() {
                super::author::passes_its_own_tests_as_it_is(Language::$language);
            }

            #[test]
            fn a_new_plugin_with_state_builds_and_passes_its_tests_as_it_is() {
                super::author::passes_its_own_tests_with_state(Language::$language);
            }

            #[test]
            fn a_new_plugin_for_windows_builds_and_passes_its_tests_as_it_is() {
                super::author::passes_its_own_tests_with_windows(Language::$language);
            }

            #[test]
            fn weir_dev_builds_a_plugin_anew_when_its_source_changes() {
                super::author::is_built_anew_when_its_source_changes(Language::$language);
            }

            #[test]
            fn a_plugin_stands_in_a_chain_with_the_standard_plugins() {
                super::author::stands_in_a_chain_with_the_standard_plugins(Language::$language);
            }
        }
    };
}

language!(rust, Rust);
language!(go, Go);
language!(python, Python, mod own;);
language!(js, Js, mod own;);
language!(ts, Ts);
language!(c, C, mod own;);
language!(cpp, Cpp);
language!(zig, Zig);
