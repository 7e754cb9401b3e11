//! What the page on C promises of it alone.

use crate::harness::languages::{scaffold, weir};
use crate::harness::put;
use weir::cli::project::Language;

const PLUGIN: &str = r#"#include "sdk/weir_state.h"

void weir_process(const weir_message *message, weir_result *result) {
    weir_state_set_int(weir_state_key(message), "count", 1, result);
}
"#;

#[test]
fn a_plugin_that_keeps_state_is_told_what_its_plugin_yaml_lacks() {
    let folder = scaffold(Language::C, "kept-rooms");
    put(&folder, "plugin.c", PLUGIN);
    let finished = weir(&folder, &["plugin", "build", "."]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let hint = "hint: add `world: stateful-operator` to plugin.yaml\n";
    assert!(finished.stderr.ends_with(hint), "{finished:#?}");
}
