//! What is promised to authors of plugins, and of the standard ones: each does what its example
//! says, in the real runtime. What is promised of a new one is in `languages/author.rs`.

use crate::harness::guests::{guest, plugin, repository};
use crate::harness::weir::Weir;
use std::path::Path;

/// `weir plugin new` copies the SDK with its WIT; a drift would make components for another contract.
#[test]
fn the_sdk_carries_the_published_contract() {
    let pairs = [
        ("weir-plugin@0.1.0", "wit"),
        ("weir-state@0.2.0", "wit-state"),
        ("weir-migration@0.1.0", "wit-migration"),
        ("weir-window@0.2.0", "wit-window"),
        ("weir-sources@0.1.0", "wit-sources"),
    ];
    for (package, folder) in pairs {
        let published = repository().join("wit/deps").join(package);
        is_carried(
            &published,
            &repository().join("plugins/sdk/rust").join(folder),
        );
    }
}

fn is_carried(published: &Path, carried: &Path) {
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(published), names(carried));
    for name in names(published) {
        let (published, carried) = (published.join(&name), carried.join(&name));
        if std::fs::read(&published).unwrap() != std::fs::read(&carried).unwrap() {
            panic!(
                "{} differs from {}: copy it",
                carried.display(),
                published.display()
            );
        }
    }
}

#[test]
fn the_guests_of_the_tests_build_from_source() {
    assert!(
        std::fs::read(guest("misbehave"))
            .unwrap()
            .starts_with(b"\0asm")
    );
    assert!(std::fs::read(guest("echo")).unwrap().starts_with(b"\0asm"));
}

/// Runs the example of a standard plugin: its folder, with the component that was built from it.
fn the_example_of(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["pipeline.yaml", "input.jsonl", "expected.jsonl"] {
        std::fs::copy(
            repository().join("plugins").join(name).join(file),
            folder.path().join(file),
        )
        .unwrap();
    }
    std::fs::copy(plugin(name), folder.path().join(format!("{name}.wasm"))).unwrap();
    let mut arguments = vec!["plugin", "test", "."];
    let bless = std::env::var_os("BLESS").is_some();
    arguments.extend(bless.then_some("--bless"));
    let finished = Weir::run_in(folder.path(), &arguments);
    assert_eq!(
        finished.code,
        Some(0),
        "{}{}",
        finished.stdout,
        finished.stderr
    );
    if bless {
        let blessed = repository()
            .join("plugins")
            .join(name)
            .join("expected.jsonl");
        std::fs::copy(folder.path().join("expected.jsonl"), blessed).unwrap();
    }
}

#[test]
fn aggregate_counts_and_sums_in_windows_and_emits_again_for_late_messages() {
    the_example_of("aggregate");
}

#[test]
fn join_pairs_messages_of_two_subjects_and_says_which_have_no_match() {
    the_example_of("join");
}

#[test]
fn merge_passes_messages_in_the_order_of_their_event_times() {
    the_example_of("merge");
}

#[test]
fn sessionize_says_when_each_session_was_and_what_its_messages_say() {
    the_example_of("sessionize");
}

#[test]
fn top_ranks_the_messages_of_each_group() {
    the_example_of("top");
}

#[test]
fn throttle_passes_the_last_message_before_a_pause() {
    the_example_of("throttle");
}

#[test]
fn dedupe_lets_the_first_of_the_same_messages_through() {
    the_example_of("dedupe");
}

#[test]
fn filter_keeps_the_messages_for_which_the_expression_is_true() {
    the_example_of("filter");
}

#[test]
fn jq_makes_a_message_of_each_value_that_the_program_yields() {
    the_example_of("jq");
}

#[test]
fn route_gives_each_message_a_subject_by_what_is_in_it() {
    the_example_of("route");
}

#[test]
fn validate_lets_through_what_fits_the_schema_and_says_what_does_not() {
    the_example_of("validate");
}

#[test]
fn map_computes_fields_by_expressions_and_leaves_the_others_as_they_were_written() {
    the_example_of("map");
}

#[test]
fn redact_lets_no_message_through_with_what_its_rules_are_about() {
    the_example_of("redact");
}

#[test]
fn split_makes_a_message_of_each_element_with_what_it_carries() {
    the_example_of("split");
}

#[test]
fn decode_makes_json_of_avro_by_its_schema() {
    the_example_of("decode");
}

#[test]
fn enrich_asks_nothing_for_a_message_that_makes_no_url() {
    the_example_of("enrich");
}

#[test]
fn encode_writes_json_as_a_message_of_protocol_buffers() {
    the_example_of("encode");
}

#[test]
fn timestamp_reads_a_local_time_and_writes_it_into_a_header() {
    the_example_of("timestamp");
}

#[test]
fn sample_passes_all_messages_of_a_value_or_none() {
    the_example_of("sample");
}

#[test]
fn cloudevents_wraps_messages_into_events_and_refuses_what_makes_none() {
    the_example_of("cloudevents");
}
