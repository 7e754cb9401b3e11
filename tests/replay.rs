//! Any version runs over stored messages, beside the live pipeline and without a trace at it: its
//! outputs are written, or compared with what was published, and every difference is found.

mod large;

use crate::harness::guests::versions as version;
use crate::harness::{Finished, Site, Weir};
use bytes::Bytes;
use serde_json::Value;
use std::path::Path;

impl Site {
    /// A pipeline that has worked on messages with these payloads, with a version of a plugin or one that does
    /// what payloads say; and its host.
    fn with_past(
        version: Option<&str>,
        payloads: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> (Self, Weir) {
        let site = Self::new();
        if let Some(version) = version {
            site.install(version);
        }
        let payloads = payloads.into_iter().map(|payload| ("in.a", payload));
        site.nats.client().publish_all(payloads);
        let weir = site.run(&site.pipeline(""));
        site.wait_until_settled();
        (site, weir)
    }

    /// Runs `weir replay` to its end.
    fn replay(&self, more: &[&str]) -> Finished {
        self.weir(&[&["replay", "p.yaml"], more].concat())
    }

    /// Compares; the report.
    #[track_caller]
    fn compare(&self, code: i32, more: &[&str]) -> Value {
        let finished = self.replay(&[&["--compare", "--json"], more].concat());
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        serde_json::from_str(&finished.stdout).unwrap()
    }

    /// An option that has this version in the place of what the file says.
    fn candidate(&self, name: &str) -> String {
        let file = self.file(&format!("{name}.wasm"), version(name));
        format!("op={}", file.display())
    }

    /// What the server knows of the pipeline's consumer, but for the time of asking.
    fn knowledge(&self) -> String {
        let info = self.nats.client().consumer("IN", "p").unwrap();
        format!(
            "{:?} {:?} {:?} {} {} {} {}",
            info.created,
            info.delivered,
            info.ack_floor,
            info.num_ack_pending,
            info.num_redelivered,
            info.num_pending,
            info.config.max_ack_pending,
        )
    }
}

fn numbers(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_version_that_is_wrong_for_one_message_in_a_hundred_is_found_beside_the_live_pipeline() {
    let (past, _weir) = Site::with_past(Some("same-1"), numbers(2000));
    let before = past.knowledge();
    let (same, wrong) = (past.candidate("same-2"), past.candidate("wrong-3"));

    let report = past.compare(0, &["--operator", &same]);
    assert_eq!(report["replayed"]["inputs"], 2000);
    assert_eq!(report["comparison"]["same"], 2000);
    assert_eq!(report["comparison"]["different"], 0);

    let report = past.compare(1, &["--operator", &wrong, "--samples", "3", "--lanes", "2"]);
    let found = &report["comparison"];
    assert_eq!(
        (&found["same"], &found["different"]),
        (&1980.into(), &20.into())
    );
    assert_eq!(found["differences"]["payload"], 20);
    let samples = found["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    for sample in samples {
        let number = sample["sequence"].as_u64().unwrap() - 1;
        assert_eq!(number % 100, 0);
        assert_eq!(sample["live"]["text"], format!("same {number}"));
        assert_eq!(sample["candidate"]["text"], format!("wrong {number}"));
    }

    let text = past.replay(&["--compare", "--operator", &wrong]).stdout;
    for part in [
        "1980 outputs are the same, 20 differ",
        "20 with a different payload",
        "message 101, result 0: payload",
        r#"  live       {"sequence":101,"subject":"out.in.a","text":"same 100"}"#,
        r#"  candidate  {"sequence":101,"subject":"out.in.a","text":"wrong 100"}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(past.knowledge(), before);
    assert_eq!(past.nats.client().count("OUT"), 2000);
}

#[test]
fn what_is_written_is_what_was_published() {
    let (past, _weir) = Site::with_past(
        None,
        [
            "plain",
            "emit:3",
            "drop",
            "reject",
            "retry-until:3",
            "retry",
            "trap",
            "subject:out.else",
            r#"{"a": 1}"#,
            "header-newline",
        ],
    );
    let client = past.nats.client();
    let finished = past.replay(&["--output", "outputs.jsonl", "--lanes", "3"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(
        finished.stdout.contains("7 results, 4 dead letters"),
        "{finished:#?}"
    );
    let text = std::fs::read_to_string(past.path("outputs.jsonl")).unwrap();
    assert_eq!(past.replay(&[]).stdout, text);
    let written = lines(&text);
    let sequences: Vec<_> = written
        .iter()
        .map(|line| line["sequence"].as_u64())
        .collect();
    assert!(sequences.is_sorted(), "{text}");

    let of = |line: &Value| line.get("subject").is_some();
    let (results, dead): (Vec<_>, Vec<_>) = written.iter().partition(|line| of(line));
    let mut expected: Vec<_> = client
        .messages("OUT")
        .iter()
        .map(|stored| {
            let id = stored
                .header("Nats-Msg-Id")
                .unwrap()
                .rsplit_once('@')
                .unwrap()
                .1
                .to_owned();
            let mut parts = id
                .split('/')
                .skip(1)
                .map(|part| part.parse::<u64>().unwrap());
            let place = (parts.next().unwrap(), parts.next().unwrap());
            (place, stored.subject.clone(), stored.payload.clone())
        })
        .collect();
    expected.sort();
    assert_eq!(results.len(), expected.len());
    for (line, ((sequence, _), subject, payload)) in results.iter().zip(&expected) {
        assert_eq!(line["sequence"], *sequence);
        assert_eq!(line["subject"], **subject);
        let text = line["text"].as_str().map(ToOwned::to_owned);
        let text = text.unwrap_or_else(|| line["payload"].to_string());
        let same = text.as_bytes() == payload || line["payload"]["a"] == 1;
        assert!(same, "{line} {payload:?}");
    }
    let mut kinds: Vec<_> = client
        .messages("DEAD")
        .iter()
        .map(|stored| {
            let fact = |name: &str| stored.header(name).unwrap().to_owned();
            (
                fact("Weir-Sequence"),
                fact("Weir-Kind"),
                fact("Weir-Reason"),
            )
        })
        .collect();
    kinds.sort_by_key(|(sequence, ..)| sequence.parse::<u64>().unwrap());
    let dead = dead.iter().map(|line| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (line["sequence"].to_string(), text("kind"), text("reject"))
    });
    assert_eq!(dead.collect::<Vec<_>>(), kinds);
}

#[test]
fn drops_retries_and_dead_letters_are_compared_like_results() {
    let (past, _weir) = Site::with_past(
        None,
        [
            "plain",
            "emit:2",
            "drop",
            "reject",
            "retry-until:3",
            "retry",
            "trap",
            "subject:out.else",
        ],
    );
    let report = past.compare(0, &[]);
    assert_eq!(report["comparison"]["different"], 0, "{report}");
    // Six messages with results, of which one has two, and three with dead letters; one has nothing.
    assert_eq!(report["comparison"]["same"], 8, "{report}");
    assert_eq!(report["replayed"]["inputs"], 8);

    // This one neither drops nor refuses anything.
    let other = past.candidate("v1");
    let report = past.compare(1, &["--operator", &other, "--samples", "100"]);
    let of = |kind: &str| report["comparison"]["differences"][kind].as_u64().unwrap();
    assert_eq!((of("missing"), of("additional")), (4, 4), "{report}");
    assert_eq!((of("payload"), of("subject")), (4, 1), "{report}");
    let samples = report["comparison"]["samples"].as_array().unwrap();
    let rejected: Vec<_> = samples
        .iter()
        .filter(|sample| sample["sequence"] == 4)
        .collect();
    assert_eq!(rejected.len(), 2, "{samples:#?}");
    assert!(
        rejected
            .iter()
            .any(|sample| sample["live"]["kind"] == "reject")
    );
    assert!(
        rejected
            .iter()
            .any(|sample| sample["candidate"]["text"] == "v1 reject")
    );

    // The same end for another reason.
    past.pipeline_but(&[("retry: {", "retry: { max-attempts: 2,")], "");
    let report = past.compare(1, &[]);
    assert_eq!(report["comparison"]["differences"]["reason"], 1, "{report}");
}

#[test]
fn a_range_is_given_by_sequences_or_by_times() {
    let (past, _weir) = Site::with_past(Some("same"), numbers(0));
    for number in 0..10 {
        past.nats.client().publish("in.a", number.to_string());
    }
    past.wait_until_settled();
    let [fourth, seventh] = [4, 7].map(|sequence| past.nats.client().stored("IN", sequence));
    for range in [
        ["--from", "4", "--to", "7"],
        ["--from", &fourth, "--to", &seventh],
        ["--from", "4", "--to", &seventh],
    ] {
        let finished = past.replay(&range);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let sequences: Vec<_> = lines(&finished.stdout)
            .iter()
            .map(|line| line["sequence"].clone())
            .collect();
        assert_eq!(sequences, [4, 5, 6, 7]);
        let report = past.compare(0, &range);
        assert_eq!(report["comparison"]["same"], 4, "{report}");
        assert_eq!(report["comparison"]["without_input"], 0, "{report}");
    }
    let rest = past.replay(&["--from", "9", "--to", "1000"]);
    assert_eq!(lines(&rest.stdout).len(), 2);
}

#[test]
fn what_is_gone_or_not_done_yet_is_said_and_is_no_difference() {
    let (past, weir) = Site::with_past(Some("same"), numbers(20));
    past.nats.client().begin_at("IN", 6);
    past.nats.client().delete("IN", 8);
    let report = past.compare(0, &["--from", "1"]);
    assert_eq!(report["replayed"]["missing_inputs"], 6, "{report}");
    assert_eq!(report["comparison"]["same"], 14, "{report}");
    assert_eq!(report["comparison"]["without_input"], 1, "{report}");

    // The results of the first ones are gone as well.
    past.nats.client().begin_at("OUT", 11);
    let report = past.compare(0, &[]);
    assert_eq!(
        report["comparison"]["not_compared"]["forgotten"], 4,
        "{report}"
    );
    assert_eq!(report["comparison"]["same"], 10, "{report}");

    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    let client = past.nats.client();
    client.publish_all((0..5).map(|number| ("in.a", number.to_string())));
    let report = past.compare(0, &[]);
    assert_eq!(
        report["comparison"]["not_compared"]["unsettled"], 5,
        "{report}"
    );
    let text = past.replay(&["--compare", "--from", "21"]);
    assert_eq!(text.code, Some(1), "{text:#?}");
    let said = "not compared: 5 outputs of the candidate\n  The pipeline has not processed";
    assert!(text.stdout.contains(said), "{text:#?}");
}

#[test]
fn only_what_the_pipeline_reads_is_replayed_through_a_version_from_a_bucket() {
    let (past, _weir) = Site::with_past(Some("same"), numbers(10));
    past.nats.client().publish("in.b", "100");
    past.wait_until_settled();
    past.file("wrong.wasm", version("wrong"));
    let place = "nats://plugins/versions@2";
    past.done(&["push", "wrong.wasm", place]);
    let candidate = format!("op={place}");
    let report = past.compare(1, &["--operator", &candidate]);
    // 0 and 100.
    assert_eq!(
        report["comparison"]["differences"]["payload"], 2,
        "{report}"
    );

    past.pipeline_but(&[("stream: IN,", "stream: IN, subjects: [in.b],")], "");
    let report = past.compare(1, &["--operator", &candidate]);
    assert_eq!(report["replayed"]["inputs"], 1, "{report}");
    assert_eq!(report["replayed"]["missing_inputs"], 0, "{report}");
    assert_eq!(
        report["comparison"]["differences"]["payload"], 1,
        "{report}"
    );
    assert_eq!(report["comparison"]["without_input"], 10, "{report}");
}

#[test]
fn dead_letters_that_were_removed_are_no_differences() {
    let (past, _weir) = Site::with_past(None, ["reject", "plain", "reject"]);
    past.nats.client().delete("DEAD", 1);
    let report = past.compare(0, &[]);
    assert_eq!(
        report["comparison"]["not_compared"]["forgotten"], 1,
        "{report}"
    );
    assert_eq!(report["comparison"]["same"], 2, "{report}");
}

#[test]
fn a_wrong_replay_is_refused_with_what_to_do() {
    let (past, _weir) = Site::with_past(Some("same"), numbers(3));
    let missing = Path::new("/nowhere/plugin.wasm").display();
    let missing = format!("op={missing}");
    for (arguments, said) in [
        (
            vec!["--from", "soon"],
            "is not a job, so it has no savepoints",
        ),
        (
            vec!["--from", "3", "--to", "2"],
            "the range from 3 to 2 is empty",
        ),
        (vec!["--from", "4"], "the last message of stream `IN` is 3"),
        (vec!["--operator", "op"], "is not of the form NAME=PLUGIN"),
        (vec!["--operator", "other=x.wasm"], "choose one of `op`"),
        (vec!["--operator", &missing], "there is no such file"),
        (
            vec!["--operator", "op=ftp://x"],
            "cannot be loaded from `ftp://`",
        ),
        (vec!["--samples", "1"], "--compare"),
        (vec!["--output", "x", "--compare"], "cannot be used with"),
    ] {
        let finished = past.replay(&arguments);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert!(finished.stderr.contains(said), "{said} in {finished:#?}");
    }
    let grants = "    grants: { http: [\"https://example.org\"] }\nsink:";
    past.pipeline_but(&[("sink:", grants)], "");
    let finished = past.replay(&[]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(
        finished.stderr.contains("pass `--allow-http`"),
        "{finished:#?}"
    );
    let own_source = "sink: { allow-own-source: true, subject: \"{subject}\"";
    past.pipeline_but(&[("sink: { subject: \"out.{subject}\"", own_source)], "");
    let finished = past.replay(&["--compare"]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(
        finished.stderr.contains("--results STREAM"),
        "{finished:#?}"
    );
}
