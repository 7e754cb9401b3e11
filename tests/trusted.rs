//! A plugin whose author is trusted runs without the checks of its deadline, and within every other
//! limit, unless the host trusts none. `cli/check.rs` has what `weir check` says of it,
//! `cli/status.rs` how it is shown.

use crate::harness::Site;
use crate::harness::guests::guest;
use crate::harness::lane::{Lane, runtime};
use std::time::Duration;
use weir::config::limits::Limits;
use weir::plugin::{FaultKind, LoadOptions};

#[test]
fn a_trusted_plugin_computes_beyond_its_deadline_and_keeps_every_other_limit() {
    let limits = Limits {
        deadline: Duration::from_millis(10),
        memory_bytes: 8 << 20,
        ..Limits::default()
    };
    let mut checked = Lane::misbehaving(limits);
    let fault = checked.fault(&["slow:60000"]);
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault:?}");

    let options = LoadOptions {
        trusted: true,
        ..LoadOptions::default()
    };
    let plugin = runtime().load_with(&guest("misbehave"), options).unwrap();
    assert!(plugin.is_trusted());
    let mut trusted = Lane::new(plugin, limits, "null");
    assert_eq!(trusted.call(&["slow:300"]).unwrap().len(), 1);
    for (words, kind) in [
        ("sleep", FaultKind::Deadline),
        ("alloc", FaultKind::Memory),
        ("trap", FaultKind::Trap),
    ] {
        let fault = trusted.fault(&[words]);
        assert_eq!(fault.kind, kind, "{fault:?}");
    }
}

#[test]
fn a_host_that_trusts_no_plugin_does_not_run_a_pipeline_with_one() {
    let site = Site::new();
    let trusting = [("    plugin: ", "    trusted: true\n    plugin: ")];
    site.pipeline_but(&trusting, "");
    let run = |more: &[&str], environment: &[(&str, &str)]| {
        site.start_with(&[&["p.yaml"], more].concat(), environment)
    };
    for refused in [
        run(&["--forbid-trusted"], &[]),
        run(&[], &[("WEIR_FORBID_TRUSTED", "1")]),
    ] {
        let refused = refused.finish();
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        let finding = "error: `operators[0].trusted`: trusted plugins are forbidden on this host";
        assert!(refused.stderr.contains(finding), "{}", refused.stderr);
    }
    assert!(site.nats.client().consumer("IN", "p").is_none());

    let mut allowed = run(&[], &[]);
    allowed.wait_until_output("running");
}
