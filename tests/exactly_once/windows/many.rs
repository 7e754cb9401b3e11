//! Many sessions of one key that are open at once.

use crate::harness::{Site, series, wait_until};
use serde_json::json;
use std::collections::BTreeSet;

/// Sessions that are open at once. What one message or timer takes does not depend on how many there are: that is
/// tested with more (`host/src/plugin/window/tests/many.rs`).
const MANY: u64 = 10_000;
/// Seconds from one session to the next; the gap is 10.
const STEP: u64 = 30;

/// The watermark stays behind all sessions.
fn more() -> String {
    let bound = MANY * STEP;
    format!(
        "partitions: 1\nevent-time: {{ payload: /at, unit: s }}\nwatermark: {{ bound: {bound}s }}\n"
    )
}

fn at(second: u64) -> (&'static str, String) {
    ("in.a", json!({ "at": second }).to_string())
}

#[test]
fn thousands_of_sessions_of_one_key_end_once_each_though_the_watermark_passes_all_at_once() {
    let site = Site::new();
    let file = site.windows("{ session: { gap: 10s } }", &more());
    let client = site.nats.client();
    client.publish_all((0..MANY).map(|number| at(number * STEP)));
    // Two sessions become one: the last of these is less than a gap from both.
    client.publish_all([9, 18, 27].map(at));
    let mut weir = site.run_job(&file);
    wait_until("all sessions are open", || {
        weir.metric(&series("acked_total")) == (MANY + 3) as f64
    });
    assert_eq!(client.count("OUT"), 0);
    // The second comes with a watermark that has passed all, and before their timers have fired.
    let end = 3 * MANY * STEP;
    client.publish_all([at(end), at(end + 1), at(STEP * MANY / 2)]);
    wait_until("some have ended", || client.count("OUT") > 0);
    weir.kill9();
    weir = site.run_job(&file);
    let out = site.wait_for_messages("OUT", MANY - 1);
    let found: Vec<String> = out.iter().map(|result| result.text()).collect();
    let alone = (2..MANY).map(|number| {
        let (start, end) = (number * STEP, number * STEP + 10);
        format!("{start}..{end} on-time 0: {}", at(start).1)
    });
    let mut joined = [0, 9, 18, 27, 30].map(|second| at(second).1);
    joined.sort();
    let joined = format!("0..40 on-time 0: {}", joined.join(" "));
    let expected: BTreeSet<String> = alone.chain([joined]).collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    // One was far late, after the last of them; it is dropped, as nothing says where it should go.
    let late = |weir: &crate::harness::Weir| weir.metric(&series("late_messages_total"));
    client.publish_all([at(STEP * MANY / 2)]);
    wait_until("it is late", || late(&weir) >= 1.0);
    assert_eq!((client.count("OUT"), client.count("DEAD")), (MANY - 1, 0));
}

#[test]
fn sessions_for_which_the_state_has_no_room_are_dead_letters_that_say_so_and_the_others_end() {
    const SESSIONS: u64 = 5_000;
    let site = Site::new();
    let budget = "state: { max-bytes: 1MiB }\n";
    let file = site.windows("{ session: { gap: 10s } }", &(more() + budget));
    let client = site.nats.client();
    client.publish_all((0..SESSIONS).map(|number| at(number * STEP)));
    let weir = site.run_job(&file);
    let count = |name: &str| weir.metric(&series(name));
    wait_until("all are in the state or dead", || {
        count("acked_total") + count("termed_total") >= SESSIONS as f64
    });
    // The stream of dead letters sources them after their commit.
    let dead = site.wait_for_messages("DEAD", count("termed_total") as u64);
    assert!(
        (1..SESSIONS).contains(&(dead.len() as u64)),
        "{}",
        dead.len()
    );
    for letter in &dead {
        let reason = letter.header("Weir-Reason").unwrap_or_default();
        let says = "the state of the partition would need";
        assert!(reason.contains(says), "{reason}");
    }
    let (kept, end) = (SESSIONS - dead.len() as u64, 3 * MANY * STEP);
    client.publish_all([at(end)]);
    assert_eq!(site.wait_for_messages("OUT", kept).len() as u64, kept);
    // There is room again.
    let before = count("acked_total");
    client.publish_all([at(end + STEP)]);
    wait_until("one more session is open", || {
        count("acked_total") == before + 1.0
    });
}
