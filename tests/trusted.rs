//! A plugin whose author is trusted runs without the checks of its deadline, and within every other
//! limit. `cli/check.rs` has how a host refuses it, `cli/status.rs` how it is shown.

use crate::harness::guests::guest;
use crate::harness::lane::{Lane, runtime};
use std::time::Duration;
use weir::plugin::limits::Limits;
use weir::plugin::{FaultKind, Terms};

#[test]
fn a_trusted_plugin_computes_beyond_its_deadline_and_keeps_every_other_limit() {
    let limits = Limits {
        deadline: Duration::from_millis(10),
        memory_bytes: 8 << 20,
        ..Limits::default()
    };
    let mut checked = Lane::misbehaving(limits);
    let fault = checked.fault(&["slow:300"]);
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault:?}");

    let terms = Terms {
        trusted: true,
        ..Terms::default()
    };
    let plugin = runtime().load_with(&guest("misbehave"), terms).unwrap();
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
