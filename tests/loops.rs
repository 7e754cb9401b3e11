//! What a pipeline publishes does not come back to it unseen: a loop through other streams is refused at the
//! start, and one that cannot be found there ends in dead letters with the reason.

use crate::harness::{NatsServer, SHORT_ACK_WAIT, Site, Weir, guests, series, wait_until};
use async_nats::jetstream::stream::{Config, Republish, Source, SubjectTransform};
use std::path::PathBuf;

fn transform(source: &str, destination: &str) -> SubjectTransform {
    SubjectTransform {
        source: source.to_owned(),
        destination: destination.to_owned(),
    }
}

/// All that is stored in this stream.
fn from(name: &str) -> Source {
    Source {
        name: name.to_owned(),
        ..Source::default()
    }
}

/// A server with a stream `ORIGIN` over `loop.>`, `DEAD`, and this one, which the pipeline reads.
fn site(source: Config, others: Vec<Config>) -> Site {
    let site = Site::on(NatsServer::start());
    let client = site.nats.client();
    client.create_stream("ORIGIN", &["loop.>"]);
    client.create_stream("DEAD", &["dead.>"]);
    for stream in others.into_iter().chain([source]) {
        client.create_stream_with(stream);
    }
    site
}

/// From `IN` to `loop.<subject>`.
fn pipeline(site: &Site, changes: &[(&str, &str)]) -> PathBuf {
    let sink = ("out.{subject}", "loop.{subject}");
    site.pipeline_but(&[&[sink], changes].concat(), "")
}

#[track_caller]
fn refused(site: &Site, changes: &[(&str, &str)], words: &str) {
    let ended = site.weir(&["run", pipeline(site, changes).to_str().unwrap()]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(words), "{ended:#?}");
    assert!(
        ended
            .stderr
            .contains("hint: give them a subject of their own"),
        "{ended:#?}"
    );
}

fn run(site: &Site, changes: &[(&str, &str)]) -> Weir {
    let mut weir = site.start(&pipeline(site, changes), &[]);
    weir.wait_until_output("running");
    weir
}

fn named(name: &str) -> Config {
    Config {
        name: name.to_owned(),
        ..Config::default()
    }
}

#[test]
fn a_source_that_mirrors_where_the_results_land_is_refused_at_the_start() {
    let mirror = Config {
        mirror: Some(from("ORIGIN")),
        ..named("IN")
    };
    let site = site(mirror, Vec::new());
    let words = "results on `loop.>` would come back: stream `ORIGIN` captures them, and the pipeline \
                 reads them by way of `ORIGIN` -> `IN`";
    refused(&site, &[], words);
    let dead = [
        ("loop.{subject}", "elsewhere.{subject}"),
        ("dead.p", "loop.dead"),
    ];
    site.nats
        .client()
        .create_stream("ELSEWHERE", &["elsewhere.>"]);
    refused(&site, &dead, "dead letters on `loop.dead` would come back");
    // It may; and what is not read does not matter.
    let allowed = (
        "loop.{subject}\"",
        "loop.{subject}\", allow-own-source: true",
    );
    drop(run(&site, &[allowed]));
    let other = ("consumer: p", "consumer: q, subjects: [\"other.>\"]");
    drop(run(&site, &[other]));
}

#[test]
fn loops_are_followed_through_several_streams_and_their_transforms() {
    let sources = |origin: Source| Some(vec![origin]);
    let middle = Config {
        sources: sources(Source {
            subject_transforms: vec![transform("loop.in.*", "middle.$1")],
            ..from("ORIGIN")
        }),
        ..named("MIDDLE")
    };
    let last = Config {
        sources: sources(Source {
            subject_transforms: vec![transform("middle.>", "in.>")],
            ..from("MIDDLE")
        }),
        ..named("IN")
    };
    let site = site(last, vec![middle]);
    let way = "by way of `ORIGIN` -> `MIDDLE` -> `IN`";
    refused(&site, &[], way);
    // The first of the transforms lets nothing else through.
    let other = ("loop.{subject}", "loop.out.{subject}");
    drop(run(&site, &[other]));
}

#[test]
fn a_loop_that_nobody_finds_at_the_start_ends_in_a_dead_letter_that_says_so() {
    let site = Site::new();
    let client = site.nats.client();
    let republished = Config {
        subjects: vec!["out.>".to_owned()],
        republish: Some(Republish {
            source: "out.in.>".to_owned(),
            destination: "in.>".to_owned(),
            headers_only: false,
        }),
        ..named("OUT")
    };
    client
        .run(client.jetstream.update_stream(&republished))
        .unwrap();
    let weir = site.run(&site.pipeline_but(&[SHORT_ACK_WAIT], ""));
    client.publish("in.a", "x");
    let dead = site.wait_for_messages("DEAD", 1);
    let reason = dead[0].header("Weir-Reason").unwrap();
    assert!(
        reason.contains("it has come through 16 pipelines"),
        "{reason}"
    );
    site.wait_until_settled();
    let results = client.messages("OUT");
    assert_eq!(results.len(), 16);
    // The first knows nothing of it, and costs nothing.
    let hops = |index: usize| results[index].header("Weir-Hops");
    assert_eq!((hops(0), hops(1), hops(15)), (None, Some("2"), Some("16")));
    wait_until("it is counted", || {
        weir.metric(&series("dead_total")) == 1.0
    });
}

#[test]
fn a_loop_by_way_of_dead_letters_ends_in_one_that_says_so_and_its_replay_begins_to_count_anew() {
    let site = Site::new();
    let client = site.nats.client();
    client.create_stream("LOST", &["lost.>"]);
    site.pipeline("");
    // Sends what `p` rejects back to it.
    site.file("echo.wasm", guests::bytes("echo"));
    let again = [
        ("plugin.wasm", "echo.wasm"),
        ("\"out.{subject}\"", "in.again"),
        ("dead.q", "lost.q"),
    ];
    site.second_pipeline("DEAD", &again);
    let weir = site.start_with(&["p.yaml", "q.yaml"], &[]);
    client.publish("in.a", "reject");
    let lost = site.wait_for_messages("LOST", 1);
    let reason = lost[0].header("Weir-Reason").unwrap();
    assert!(
        reason.contains("it has come through 17 pipelines"),
        "{reason}"
    );
    assert_eq!(lost[0].header("Weir-Hops"), Some("18"));
    let letters = client.messages("DEAD");
    let hops = letters.iter().map(|letter| letter.header("Weir-Hops"));
    let odd: Vec<String> = (3..18).step_by(2).map(|hops| hops.to_string()).collect();
    let counted = [None]
        .into_iter()
        .chain(odd.iter().map(|hops| Some(&**hops)));
    assert!(hops.eq(counted), "{letters:#?}");
    weir.terminate();
    weir.finish();

    site.weir(&["dlq", "replay", "q.yaml", "--all"]).done();
    let replayed = client.messages("DEAD").pop().unwrap();
    assert_eq!(replayed.header("Weir-Kind"), Some("reject"));
    assert_eq!(replayed.header("Weir-Hops"), None);
}

#[test]
fn a_stream_for_results_that_another_one_captures_is_refused() {
    let site = Site::new();
    let results = [(
        "subject: \"out.{subject}\"",
        "subject: \"out.{subject}\", stream: RESULTS, create: true",
    )];
    let ended = site.weir(&["run", site.pipeline_but(&results, "").to_str().unwrap()]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let words = "stream `OUT` captures the sink subject `out.>`, not only `RESULTS`";
    assert!(ended.stderr.contains(words), "{ended:#?}");
    assert!(
        ended.stderr.contains("hint: set `sink.stream: OUT`"),
        "{ended:#?}"
    );
    let dead = [(
        "subject: dead.p",
        "subject: dead.p, stream: LETTERS, create: true",
    )];
    let ended = site.weir(&["run", site.pipeline_but(&dead, "").to_str().unwrap()]);
    let words = "stream `DEAD` captures the dead-letter subject `dead.p`, not only `LETTERS`";
    assert!(ended.stderr.contains(words), "{ended:#?}");
}
