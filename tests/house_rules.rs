//! The house keeps its own rules: how long a file may be, who may import what, where a message is
//! settled, how tests are written, and that the documents name files which exist.
//!
//! A rule is a function from one file to what is wrong with it, in `house_rules/`, and is tried
//! there on text that breaks it; here each is held against the whole repository.

mod documents;
mod features;
mod rooms;
mod rules;
mod scan;

use scan::{File, files};

/// Fails with every finding at once, so that one run shows all there is to mend.
fn hold(ending: &str, rule: impl Fn(&File) -> Vec<String>) {
    let files = files(ending);
    assert!(
        !files.is_empty(),
        "there is no file `{ending}` to look at in the whole repository"
    );
    let findings: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let findings = rule(file);
            let path = &file.path;
            findings.into_iter().map(move |one| format!("{path}:{one}"))
        })
        .collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_four_hundred_lines() {
    hold(".rs", rules::length);
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    hold(".rs", rules::header);
}

#[test]
fn an_exception_to_a_lint_is_expected_with_a_reason_and_never_allowed() {
    hold(".rs", rules::allowances);
}

#[test]
fn every_room_imports_only_those_of_lower_floors() {
    hold(".rs", rooms::imports);
}

#[test]
fn only_the_plugin_room_imports_wasmtime() {
    hold(".rs", rules::wasmtime);
}

#[test]
fn only_the_stations_at_the_broker_import_its_client() {
    hold(".rs", rules::async_nats);
}

#[test]
fn registries_and_signatures_have_one_door_each() {
    hold(".rs", rules::one_door);
}

#[test]
fn only_one_file_settles_a_message() {
    hold(".rs", rules::settling);
}

#[test]
fn configuration_and_routing_are_pure_and_synchronous() {
    hold(".rs", rules::purity);
}

#[test]
fn no_test_is_ignored_and_none_waits_for_a_time() {
    hold(".rs", rules::tests_wait_on_conditions);
}

#[test]
fn no_test_replaces_text_that_may_not_be_there() {
    hold(".rs", rules::tests_replace_what_is_there);
}

#[test]
fn every_test_file_opens_with_its_promise_and_is_in_the_table_of_contents() {
    let contents = scan::read("tests/main.rs");
    hold(".rs", |file| rules::promises(file, &contents));
}

#[test]
fn every_member_of_the_hosts_workspace_inherits_its_lints() {
    hold("Cargo.toml", rules::inherited_lints);
}

#[test]
fn the_sdks_copy_of_the_contract_is_the_contract() {
    let published = files("wit/deps/weir-plugin@0.1.0/operator.wit");
    assert_eq!(published.len(), 1);
    hold(".wit", |file| rules::contract_copy(file, &scan::read));
}

#[test]
fn the_changelog_has_a_place_for_what_is_not_released_yet() {
    hold("CHANGELOG.md", documents::changelog);
}

#[test]
fn every_decision_has_its_context_and_its_consequences() {
    hold(".md", documents::decision);
}

#[test]
fn every_link_in_the_documents_leads_to_a_file() {
    hold(".md", |file| documents::links(file, &scan::exists));
}

#[test]
fn every_page_is_found_from_the_readme() {
    let contents = scan::read("README.md");
    hold(".md", |file| documents::listed(file, &contents));
}

#[test]
fn every_link_to_a_heading_leads_to_one() {
    hold(".md", |file| documents::anchors(file, &scan::read));
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    hold("ARCHITECTURE.md", |file| {
        documents::named_files(file, &scan::exists)
    });
}
