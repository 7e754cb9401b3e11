//! A replay compares results of windows by their windows, and a shadow those of a subject as a set.

use super::TIMED;
use crate::cli::json;
use crate::harness::{Site, replaced, series, wait_until};

#[test]
fn a_replay_compares_the_results_of_windows_also_with_those_of_other_windows() {
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", &format!("{TIMED}late: late.{{key}}\n"));
    let weir = site.run_job(&file);
    let events = [1, 12, 23, 41].map(|second| (second, r#"{"counter":1}"#));
    site.events("a", &events);
    // One comes too late: it is no result of a window, and stored beside them.
    site.events("a", &[(2, r#"{"counter":1}"#)]);
    site.wait_for_messages("OUT", 4);
    wait_until("all is committed", || {
        weir.metric(&series("in_flight")) == 0.0
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let window = "window: { tumbling: 10s }";
    let counts = format!("{window}\n    config: {{ counts: true }}");
    for (other, [same, payload, missing, additional, not_compared]) in [
        (window, [3, 0, 0, 0, 0]),
        (&*counts, [0, 3, 0, 0, 0]),
        // Of two windows the pipeline has come to the end of one.
        ("window: { tumbling: 20s }", [0, 0, 3, 1, 1]),
    ] {
        site.file("other.yaml", replaced(&text, &[(window, other)]));
        let replay = ["replay", "other.yaml", "--compare", "--json"];
        let finished = site.weir(&replay);
        assert_eq!(finished.code, Some(i32::from(same < 3)), "{finished:#?}");
        let found = &json(&finished.stdout)["windows"];
        for (name, count) in [
            ("same", same),
            ("payload", payload),
            ("missing", missing),
            ("additional", additional),
            ("not_compared", not_compared),
        ] {
            assert_eq!(found[name], count, "{other}, {name}: {found}");
        }
    }
    let shown = site.weir(&["replay", "other.yaml", "--compare"]).stdout;
    for words in [
        " outputs without a window are the same, ",
        "\n0 results of windows are the same, 4 differ\n",
        "\nnot compared: 1 result of windows that only the candidate has\n  The pipeline has published no",
        "\nout.a, window 1970-01-01T00:00:00Z to 1970-01-01T00:00:10Z, pane 0: missing\n",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn a_shadow_of_a_job_with_windows_has_the_same_results_whether_a_message_or_a_timer_ends_a_window()
{
    let site = Site::new();
    let file = site.windows("{ tumbling: 10s }", TIMED);
    let _weir = site.run_job(&file);
    site.events("a", &[(1, "before")]);
    let applied = site.deploy("plugin.wasm", &["--shadow"]);
    assert_eq!(applied.code, Some(0), "{applied:#?}");
    site.found("there is a copy", |total| {
        total["states"]["partitions"] == 1
    });
    for round in 0..10 {
        for key in ["a", "b", "c"] {
            site.events(key, &[(20 + 10 * round, "x"), (29 + 10 * round, "y")]);
        }
    }
    let out = site.wait_for_messages("OUT", 28).len();
    let total = site.found("all is compared", |total| {
        total["comparison"]["same"] == out
    });
    assert_eq!(total["comparison"]["different"], 0, "{total}");
}
