//! Whatever a plugin does, only the call that did it fails: the host goes on, the instance is thrown
//! away, and the fault says what happened, where, and with what resources.

mod random;

use crate::harness::cache;
use crate::harness::guests::guest;
use crate::harness::lane::{Lane, limits, message, plugin};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use weir::config::limits::{Isolation, Limits};
use weir::message::{Outcome, Output};
use weir::plugin::FaultKind;

/// Limits with a deadline that a guest which never answers reaches soon.
fn hasty() -> Limits {
    Limits {
        deadline: Duration::from_secs(2),
        ..limits()
    }
}

#[test]
fn a_trap_is_reported_with_its_stack_and_the_next_call_has_a_fresh_instance() {
    let mut lane = Lane::misbehaving(limits());
    assert_eq!(lane.output("calls"), "1");
    assert_eq!(lane.output("calls"), "2");
    let fault = lane.fault(&["fine", "trap"]);
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
    assert!(!fault.first_call);
    assert_eq!(
        fault.message,
        "trapped: wasm `unreachable` instruction executed"
    );
    let stack = &fault.backtrace;
    assert!(
        stack.iter().any(|frame| frame.ends_with("process_batch")),
        "{stack:#?}"
    );
    assert!(fault.memory_bytes > 0);
    assert_eq!(lane.output("calls"), "1");
    assert!(lane.fault(&["trap"]).backtrace.len() > 1);
    assert_eq!(lane.metrics.traps.get(), 2);
    assert_eq!(lane.metrics.instances_created.get(), 2);
    assert_eq!(lane.metrics.instances.get(), 0);
    assert_eq!(lane.metrics.memory_bytes.get(), 0);
}

#[test]
fn a_panic_is_reported_with_its_message() {
    let fault = Lane::misbehaving(limits()).fault(&["stderr:2", "panic"]);
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.first_call);
    assert!(
        fault.stderr.contains("line 1 of stderr\n"),
        "{}",
        fault.stderr
    );
    assert!(
        fault.stderr.contains("because the payload said so"),
        "{}",
        fault.stderr
    );
}

#[test]
fn of_stderr_the_last_4_kib_of_the_faulty_call_are_kept() {
    let mut lane = Lane::misbehaving(limits());
    lane.call(&["stderr:1"]).unwrap();
    assert!(!lane.fault(&["trap"]).stderr.contains("line 0"));
    let fault = lane.fault(&["stderr:1000", "trap"]);
    assert_eq!(fault.stderr.len(), 4096);
    assert!(fault.stderr.ends_with("line 999 of stderr\n"));
}

#[test]
fn an_exit_and_a_stack_that_overflows_are_traps() {
    let mut lane = Lane::misbehaving(limits());
    let fault = lane.fault(&["exit"]);
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
    let fault = lane.fault(&["overflow"]);
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
    assert_eq!(lane.output("calls"), "1");
}

#[test]
fn an_endless_loop_is_ended_at_the_deadline() {
    let mut lane = Lane::misbehaving(hasty());
    let fault = lane.fault(&["spin"]);
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault:?}");
    assert_eq!(fault.message, "gave no answer within 2s");
    assert!(fault.elapsed >= Duration::from_secs(2));
    assert!(!fault.backtrace.is_empty());
    assert_eq!(lane.output("calls"), "1");
    assert_eq!(lane.metrics.deadlines.get(), 1);
}

#[test]
fn a_guest_that_sleeps_in_the_host_is_ended_at_the_deadline() {
    let mut lane = Lane::misbehaving(hasty());
    let fault = lane.fault(&["sleep"]);
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault:?}");
    assert_eq!(fault.message, "gave no answer within 2s");
    assert_eq!(lane.output("calls"), "1");
}

#[test]
fn a_guest_that_is_slow_but_answers_within_the_deadline_is_left_alone() {
    let mut lane = Lane::misbehaving(limits());
    let outcomes = lane.call(&["slow:100", "sleep:100"]).unwrap();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(lane.output("calls"), "2");
}

#[test]
fn a_guest_that_is_refused_memory_fails_alone() {
    let mut bomb = Lane::misbehaving(Limits {
        memory_bytes: 8 << 20,
        ..limits()
    });
    let mut neighbour = Lane::misbehaving(limits());
    assert_eq!(neighbour.output("calls"), "1");
    let fault = bomb.fault(&["alloc"]);
    assert_eq!(fault.kind, FaultKind::Memory, "{fault:?}");
    assert!(
        fault.message.ends_with("`memory` allows 8.0 MiB"),
        "{}",
        fault.message
    );
    assert!(fault.memory_bytes <= 8 << 20);
    assert_eq!(bomb.metrics.memory_refusals.get(), 1);
    assert_eq!(bomb.output("calls"), "1");
    assert_eq!(neighbour.output("calls"), "2");
}

#[test]
fn a_flood_of_output_is_refused_and_output_below_the_limit_is_not() {
    let mut lane = Lane::misbehaving(Limits {
        output_bytes: 1 << 20,
        ..limits()
    });
    let flood = format!("flood:{}", (1 << 20) + 1000);
    let fault = lane.fault(&[&flood]);
    assert_eq!(fault.kind, FaultKind::Output, "{fault:?}");
    assert_eq!(
        fault.message,
        "handed back more than `output-bytes` allows, 1.0 MiB"
    );
    assert_eq!(lane.fault(&["flood-count:100000"]).kind, FaultKind::Output);
    assert_eq!(lane.output("flood:1000000").len(), 1_000_000);
    let batch = vec!["fine"; 1000];
    assert_eq!(lane.call(&batch).unwrap().len(), 1000);
    assert_eq!(lane.metrics.output_refusals.get(), 2);
}

#[test]
fn a_guest_that_holds_more_handles_than_allowed_is_trapped() {
    let limited = |handles| {
        Lane::misbehaving(Limits {
            handles,
            ..limits()
        })
    };
    let fault = limited(0).fault(&["stdout:1"]);
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
    assert!(limited(16).call(&["stdout:1"]).is_ok());
}

#[test]
fn a_wrong_number_of_outcomes_is_a_fault_that_names_both_numbers() {
    let mut lane = Lane::misbehaving(limits());
    for (batch, got) in [(["a", "short"], 1), (["long", "b"], 3)] {
        let fault = lane.fault(&batch);
        assert_eq!(
            fault.kind,
            FaultKind::Length { expected: 2, got },
            "{fault:?}"
        );
        assert_eq!(
            fault.message,
            format!("returned {got} outcomes for 2 messages")
        );
    }
    assert_eq!(lane.metrics.wrong_lengths.get(), 2);
    assert_eq!(lane.output("calls"), "1");
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let mut lane = Lane::misbehaving(Limits {
        recycle_calls: 3,
        ..limits()
    });
    let served: Vec<String> = (0..5).map(|_| lane.output("calls")).collect();
    assert_eq!(served, ["1", "2", "3", "1", "2"]);
    assert_eq!(lane.metrics.instances.get(), 1);
}

#[test]
fn under_isolation_by_message_no_instance_serves_twice() {
    let mut lane = Lane::misbehaving(Limits {
        isolation: Isolation::Message,
        ..limits()
    });
    assert_eq!(lane.worker.max_batch(), 1);
    assert_eq!(lane.output("calls"), "1");
    assert_eq!(lane.output("calls"), "1");
    assert_eq!(lane.metrics.instances.get(), 0);
}

#[test]
fn an_instance_is_replaced_when_its_memory_has_grown() {
    let mut lane = Lane::misbehaving(Limits {
        recycle_bytes: 4 << 20,
        ..limits()
    });
    lane.call(&["leak:1000000"]).unwrap();
    assert_eq!(lane.output("calls"), "2");
    lane.call(&["leak:5000000"]).unwrap();
    assert_eq!(lane.metrics.instances.get(), 0);
    assert_eq!(lane.output("calls"), "1");
    assert!(lane.metrics.memory_bytes.get() < 4 << 20);
}

#[test]
fn a_call_that_is_given_up_takes_its_instance_with_it() {
    let mut lane = Lane::misbehaving(limits());
    assert_eq!(lane.output("calls"), "1");
    let batch = [message("sleep")];
    lane.tokio.block_on(async {
        tokio::select! {
            biased;
            answer = lane.worker.process(&batch) => panic!("{answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    });
    assert_eq!(lane.metrics.instances.get(), 0);
    assert_eq!(lane.output("calls"), "1");
}

#[test]
fn a_guest_sees_no_environment_no_files_and_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("connect:{}", listener.local_addr().unwrap());
    let mut lane = Lane::misbehaving(limits());
    assert_eq!(lane.output("environment"), "[]");
    let outcomes = lane
        .call(&["read:/etc/hostname", "read:.", &connect])
        .unwrap();
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Reject(_)), "{outcome:?}");
    }
}

#[test]
fn configure_may_refuse_and_may_not_take_the_host_with_it() {
    let lane = |config| Lane::new(plugin("misbehave"), limits(), config);
    let mut refusing = lane(r#"{"refuse": "no rate"}"#);
    let error = refusing.tokio.block_on(refusing.worker.warm()).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("of operator `price`: configure refused: no rate"),
        "{error}"
    );
    let fault = refusing.fault(&["fine"]);
    assert_eq!(fault.kind, FaultKind::Start);
    let mut trapping = lane(r#"{"trap": true}"#);
    assert_eq!(trapping.fault(&["fine"]).kind, FaultKind::Start);
    let error = trapping.tokio.block_on(trapping.worker.warm()).unwrap_err();
    assert!(format!("{error:#}").contains("unreachable"), "{error:#}");
}

#[test]
fn a_configure_that_never_returns_is_ended_and_says_so() {
    let config = r#"{"spin": true}"#;
    let mut lane = Lane::new(plugin("misbehave"), hasty(), config);
    let fault = lane.fault(&["fine"]);
    assert_eq!(fault.kind, FaultKind::Start, "{fault:?}");
    // A start has longer than a call.
    assert!(
        fault.message.contains("gave no answer within 10s"),
        "{fault:?}"
    );
    assert!(fault.elapsed >= Duration::from_secs(10));
    assert_eq!(lane.metrics.instances.get(), 0);
    let mut neighbour = Lane::misbehaving(limits());
    assert_eq!(neighbour.output("calls"), "1");
}

#[test]
fn a_guest_may_look_up_its_configuration_and_its_name() {
    let config = r#"{"mark": "from the file", "refuse": null}"#;
    let mut lane = Lane::new(plugin("misbehave"), limits(), config);
    assert_eq!(lane.output("config:/mark"), "from the file");
    assert_eq!(lane.output("config:/nothing"), "none");
    assert_eq!(lane.output("name"), "shop/price");
}

#[test]
fn a_field_that_is_none_moves_nothing() {
    let outcomes = Lane::misbehaving(limits())
        .call(&["as it came", "drop"])
        .unwrap();
    let pass = Outcome::Emit(SmallVec::from([Output::default()]));
    assert_eq!(outcomes, [pass, Outcome::Emit(SmallVec::new())]);
}

#[test]
fn names_of_metrics_that_break_the_rules_are_counted_and_nothing_else() {
    let mut lane = Lane::misbehaving(limits());
    lane.call(&["bad-metric:Not A Name", "metrics:3"]).unwrap();
    assert_eq!(lane.metrics.metrics_refused.get(), 1);
    lane.call(&["metrics:100"]).unwrap();
    assert_eq!(lane.metrics.metrics_refused.get(), 1 + 100 - 64);
}

/// What plugins wrote to the log while `work` ran.
fn logged(work: impl FnOnce()) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(file.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(writer);
    tracing::subscriber::with_default(subscriber.finish(), work);
    std::fs::read_to_string(file.path()).unwrap()
}

#[test]
fn output_of_a_guest_goes_to_the_log_line_by_line_with_its_operator() {
    let mut lane = Lane::misbehaving(limits());
    let log = logged(|| drop(lane.call(&["stdout:2", "stderr:1", "log:1"]).unwrap()));
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    for (line, (level, text)) in lines.iter().zip([
        ("INFO", "line 0 of stdout"),
        ("INFO", "line 1 of stdout"),
        ("WARN", "line 0 of stderr"),
        ("INFO", "entry 0 of the log"),
    ]) {
        assert!(line.contains(level), "{line}");
        assert!(line.contains(&format!("weir::plugin: {text}")), "{line}");
        assert!(
            line.contains(r#"pipeline="shop" operator="price""#),
            "{line}"
        );
    }
    assert_eq!(lane.metrics.log_entries.get(), 4);
}

#[test]
fn a_flood_of_lines_is_cut_off_and_counted() {
    let mut lane = Lane::misbehaving(limits());
    let log = logged(|| {
        drop(
            lane.call(&["stdout:5000", "stderr:5000", "log:5000"])
                .unwrap(),
        )
    });
    let (written, suppressed) = (
        lane.metrics.log_entries.get(),
        lane.metrics.log_suppressed.get(),
    );
    assert_eq!(written + suppressed, 15_000);
    // 256 at once and 50 a second; the call ends within its minute.
    assert!(written < 4000, "{written} of 15000 entries were written");
    assert!(log.contains("line 255 of stdout"));
}

#[test]
fn a_host_with_little_address_space_runs_plugins_without_a_pool() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = format!(
        "name: shop\nsource: {{ stream: ORDERS }}\n\
         operators: [{{ name: price, plugin: {:?} }}]\nsink: {{ subject: done.it }}\n",
        guest("misbehave")
    );
    std::fs::write(directory.path().join("pipeline.yaml"), pipeline).unwrap();
    let line = r#"{"subject": "orders.a", "text": "flood:3"}"#;
    let command = format!(
        "ulimit -v 4000000 && echo '{line}' | {} pipe pipeline.yaml",
        env!("CARGO_BIN_EXE_weir")
    );
    let mut shell = std::process::Command::new("sh");
    let shell = shell.args(["-c", &command]).env("XDG_CACHE_HOME", cache());
    let output = shell.current_dir(directory.path()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(r#""text":"xxx""#), "{output:?}");
}
