//! The history of a job runs through any version from a savepoint, beside the job and without a trace at it.

use crate::cli::json;
use crate::harness::{Finished, Site, Weir, guests, replaced, series, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;

const KEYS: usize = 7;
const SEVERAL: &str = "partitions: 3\n";

impl Site {
    /// A job that has processed this so often for each key, before a savepoint `s1` and behind it; and its host.
    fn with_history(&self, payload: &str, times: usize) -> Weir {
        let weir = self.run_job(&self.stateful(SEVERAL));
        let mut published = 0;
        for round in 0..2 {
            let messages = (0..times * KEYS)
                .map(|number| (format!("in.{}", number % KEYS), payload.to_owned()));
            self.nats.client().publish_all(messages);
            published += (times * KEYS) as u64;
            self.wait_for_messages("OUT", published);
            wait_until("all is committed", || {
                weir.metric(&series("in_flight")) == 0.0
            });
            if round == 0 {
                let made = self.weir(&["job", "savepoint", "create", "p", "--name", "s1"]);
                assert_eq!(made.code, Some(0), "{made:#?}");
            }
        }
        weir
    }

    fn replay_job(&self, more: &[&str]) -> Finished {
        self.weir(&[&["replay", "p.yaml"], more].concat())
    }

    /// The report of a comparison.
    #[track_caller]
    fn compare_job(&self, code: i32, more: &[&str]) -> Value {
        let finished = self.replay_job(&[&["--compare", "--json"], more].concat());
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        json(&finished.stdout)
    }

    /// An option that has this version in the place of what the file says.
    fn stateful_candidate(&self, name: &str) -> String {
        let file = self.file(&format!("{name}.wasm"), guests::stateful(name));
        format!("op={}", file.display())
    }

    fn state_rows(&self) -> BTreeSet<String> {
        let listed = self.weir(&["job", "state", "ls", "p", "--json"]);
        assert_eq!(listed.code, Some(0), "{listed:#?}");
        listed.stdout.lines().map(ToOwned::to_owned).collect()
    }
}

#[test]
fn a_replay_from_a_savepoint_is_what_the_job_published_and_another_version_differs_for_its_keys_alone()
 {
    let site = Site::new();
    let _weir = site.with_history("tally", 20);
    let (out, rows) = (site.nats.client().count("OUT"), site.state_rows());
    for (more, count) in [
        (&["--from", "s1"][..], 140),
        (&["--from", "s1", "--lanes", "2"], 140),
        (&[], 280),
    ] {
        let found = &site.compare_job(0, more)["comparison"];
        assert_eq!(
            (&found["same"], &found["inputs"]),
            (&count.into(), &count.into()),
            "{found}"
        );
    }
    let twice = site.stateful_candidate("twice");
    let report = site.compare_job(
        1,
        &["--from", "s1", "--operator", &twice, "--samples", "100"],
    );
    let found = &report["comparison"];
    assert_eq!(
        (&found["same"], &found["different"]),
        (&120.into(), &20.into()),
        "{found}"
    );
    let samples = found["samples"].as_array().unwrap();
    let subjects: BTreeSet<&str> = samples
        .iter()
        .map(|one| one["live"]["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, BTreeSet::from(["out.1"]));
    // The state of the savepoint goes on: 20 before it, each further one twice.
    assert_eq!(
        (
            &samples[0]["live"]["payload"],
            &samples[0]["candidate"]["payload"]
        ),
        (&21.into(), &22.into())
    );

    let written = site.replay_job(&["--from", "s1", "--until", "150"]);
    let lines: Vec<Value> = written.stdout.lines().map(json).collect();
    let found: Vec<_> = lines
        .iter()
        .map(|line| (line["sequence"].as_u64(), line["payload"].as_u64()))
        .collect();
    let expected: Vec<_> = (141..=150)
        .map(|sequence| (Some(sequence), Some(21 + (sequence - 141) / 7)))
        .collect();
    assert_eq!(found, expected, "{written:#?}");
    assert_eq!(
        (site.nats.client().count("OUT"), site.state_rows()),
        (out, rows)
    );
}

#[test]
fn timers_and_retries_of_a_replay_are_due_by_the_times_of_the_messages() {
    let site = Site::new();
    let weir = site.run_job(&site.stateful(SEVERAL));
    let client = site.nats.client();
    // Long over, far ahead, and by the watermark.
    let payloads = [
        "timer processing 1 say passed; drop",
        "timer processing 9000000000000000000 say never; drop",
        "timer event 1 say watermark; drop",
        "retry",
        "count",
        "count",
    ];
    client.publish_all(payloads.map(|payload| ("in.a", payload)));
    client.publish("in.b", "count");
    let texts = |texts: Vec<String>| {
        let mut texts = texts;
        texts.sort();
        texts
    };
    let expected = ["1", "1", "2", "passed", "watermark"];
    let out = site.wait_for_messages("OUT", 5);
    assert_eq!(
        texts(out.iter().map(|message| message.text()).collect()),
        expected
    );
    site.wait_for_messages("DEAD", 1);
    wait_until("all is committed", || {
        weir.metric(&series("in_flight")) == 0.0
    });

    let report = site.compare_job(0, &[]);
    // Three counts, the letter of the message that was retried, and what the two timers emit.
    assert_eq!(report["comparison"]["same"], 6, "{report}");
    let written = site.replay_job(&[]);
    let lines = written
        .stdout
        .lines()
        .map(json)
        .filter(|line| line.get("subject").is_some());
    let lines: Vec<Value> = lines.collect();
    let of_timers = lines.iter().filter(|line| line.get("sequence").is_none());
    assert_eq!(of_timers.count(), 2, "{written:#?}");
    let found = lines.iter().map(|line| {
        line["text"]
            .as_str()
            .map_or_else(|| line["payload"].to_string(), ToOwned::to_owned)
    });
    assert_eq!(texts(found.collect()), expected);
}

#[test]
fn a_job_and_its_replay_refuse_the_same_results_for_their_size_and_count_a_letter_in_parts_once() {
    let site = Site::new();
    let weir = site.run_job(&site.stateful(SEVERAL));
    let client = site.nats.client();
    client.publish("in.a", "small");
    let small = &site.wait_for_messages("OUT", 1)[0];
    // A commit adds lines to a result, for which a job keeps 256 bytes free.
    let most = (1 << 20) - 256 - small.overhead("Weir-Origin");
    client.publish("in.a", "x".repeat(most));
    client.publish("in.a", "x".repeat(most + 1));
    // What a timer emits is refused as well.
    client.publish("in.b", "fill big 1048570; timer event 1 get big; drop");
    site.wait_for_messages("OUT", 2);
    let dead = site.wait_for_messages("DEAD", 4);
    let parts = dead
        .iter()
        .filter(|part| part.header("Weir-Part").is_some());
    assert_eq!(parts.count(), 4, "{:?}", dead.len());
    wait_until("all is committed", || {
        weir.metric(&series("in_flight")) == 0.0
    });
    let report = site.compare_job(0, &[]);
    assert_eq!(report["comparison"]["same"], 4, "{report}");
}

#[test]
fn what_another_version_emits_in_a_timer_differs_and_is_shown_by_its_subject() {
    let site = Site::new();
    let weir = site.run_job(&site.stateful(SEVERAL));
    let client = site.nats.client();
    client.publish("in.a", "keep; timer event 1 get kept");
    client.publish("in.a", "timer event 2 say same");
    // Each passes, and each timer emits something.
    site.wait_for_messages("OUT", 4);
    wait_until("all is committed", || {
        weir.metric(&series("in_flight")) == 0.0
    });
    site.compare_job(0, &[]);
    let other = site.stateful_candidate("other");
    let report = site.compare_job(1, &["--operator", &other]);
    let found = &report["comparison"];
    assert_eq!(
        (&found["same"], &found["different"]),
        (&3.into(), &1.into()),
        "{found}"
    );
    let said = site.replay_job(&["--compare", "--operator", &other]).stdout;
    let shown = "out.a: payload\n  live       {\"subject\":\"out.a\",\"text\":\"first\"}\n";
    assert!(said.contains(shown), "{said}");
}

#[test]
fn what_a_savepoint_lacks_is_said_and_nothing_is_replayed_from_it() {
    let site = Site::new();
    let weir = site.with_history("count", 5);
    drop(weir);
    let client = site.nats.client();
    let refused = |more: &[&str], words: &[&str]| {
        let finished = site.replay_job(more);
        assert_ne!(finished.code, Some(0), "{finished:#?}");
        for words in words {
            assert!(finished.stderr.contains(words), "{words}: {finished:#?}");
        }
    };
    refused(
        &["--from", "s2"],
        &[
            "cannot read savepoint `s2` of job `p`",
            "weir job savepoint ls",
        ],
    );
    refused(
        &["--compare", "--from", "50"],
        &[
            "at message 50 the job had state, but the replay has none",
            "--from SAVEPOINT",
        ],
    );
    let note = site.replay_job(&["--from", "50"]);
    assert!(
        note.code == Some(0) && note.stderr.contains("the state is empty at message 50"),
        "{note:#?}"
    );

    // That of another job, under the name of this one, and one with a byte that was changed.
    let content = client.run(async {
        let bucket = client
            .jetstream
            .get_object_store("weir-savepoints")
            .await
            .unwrap();
        let mut object = bucket.get("p/s1").await.unwrap();
        let mut content = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut object, &mut content)
            .await
            .unwrap();
        content
    });
    let put = |name: &str, content: &[u8]| {
        client.run(async {
            let bucket = client
                .jetstream
                .get_object_store("weir-savepoints")
                .await
                .unwrap();
            let mut content = content;
            bucket.put(name, &mut content).await.unwrap();
        });
    };
    let mut damaged = content.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    put("p/damaged", &damaged);
    refused(
        &["--from", "damaged"],
        &["cannot replay from savepoint `damaged` of job `p`"],
    );
    let text = std::fs::read_to_string(site.path("p.yaml")).unwrap();
    site.file("p.yaml", replaced(&text, &[("{subject[1]}", "{subject}")]));
    refused(&["--from", "s1"], &["its state depends on another `key`"]);
    site.file("p.yaml", text);

    // Behind the savepoint are messages from 36 on.
    client.begin_at("IN", 36);
    let from_the_first = site.replay_job(&["--from", "s1"]);
    assert_eq!(from_the_first.code, Some(0), "{from_the_first:#?}");
    client.begin_at("IN", 50);
    refused(
        &["--from", "s1"],
        &[
            "no longer holds messages 36 to 49, which come after it",
            "choose a later savepoint",
        ],
    );
}
