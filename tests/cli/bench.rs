//! `weir bench` measures a pipeline of one's own on a server of its own: what it reports is what
//! happened, nobody else's server is touched, and nothing is left behind.

use super::json;
use crate::harness::web::Web;
use crate::harness::{
    Finished, Weir, pipeline_folder, put, replaced, signal, wait_for, wait_until,
};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// A pipeline over the plugin that does what payloads say. The server that it names asks for TLS and a
/// password, and is not there.
const PIPELINE: &str = "\
name: p
nats: { url: \"tls://127.0.0.1:1\", user: nobody, password: secret, tls: { first: true } }
source: { stream: IN, subjects: [\"in.>\"], start: new }
operators:
  - { name: first, plugin: plugin.wasm }
  - { name: work, plugin: plugin.wasm }
sink: { subject: \"out.{subject}\" }
retry: { initial: 10ms, max: 20ms }
";

/// One of each: two results, none, a dead letter, one after a retry; and a line for another pipeline.
const INPUT: &str = "\
{\"subject\": \"in.a\", \"headers\": {\"Nats-Msg-Id\": \"one\"}, \"text\": \"emit:2\"}
{\"subject\": \"in.b\", \"text\": \"drop\"}
{\"subject\": \"other.a\", \"text\": \"trap\"}
{\"subject\": \"in.c\", \"text\": \"reject\"}
{\"subject\": \"in.d\", \"text\": \"retry-until:2\"}
";

/// A folder with the pipeline, its plugin and these messages.
fn folder(pipeline: &str, input: &str) -> TempDir {
    let folder = pipeline_folder("misbehave", pipeline);
    put(folder.path(), "input.jsonl", input);
    folder
}

fn bench(folder: &TempDir, more: &[&str]) -> Finished {
    let arguments = ["bench", "pipeline.yaml", "--runs", "2", "--seconds", "0"];
    // An option that is given twice is wrong usage, so those of the test come in place of these.
    let usual = arguments.chunks(2).filter(|pair| !more.contains(&pair[0]));
    let usual: Vec<&str> = usual.flatten().copied().collect();
    Weir::run_in(folder.path(), &[&usual[..], more].concat())
}

/// The report of a bench that is well.
#[track_caller]
fn report(folder: &TempDir, more: &[&str]) -> Value {
    let finished = bench(folder, &[&["--json"], more].concat());
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    json(&finished.stdout)
}

#[track_caller]
fn refused(code: i32, pipeline: &str, input: &str, more: &[&str]) -> String {
    let finished = bench(&folder(pipeline, input), more);
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    assert_eq!(finished.stdout, "");
    finished.stderr
}

#[test]
fn the_report_counts_what_became_of_the_messages_in_every_run() {
    let folder = folder(PIPELINE, INPUT);
    let report = report(&folder, &["--messages", "42"]);
    assert_eq!(report["pipeline"], "p");
    assert_eq!(report["setting"]["input_lines"], 4);
    assert_eq!(report["setting"]["input_skipped"], 1);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        // Ten rounds of the input and two lines more.
        assert_eq!(run["counts"]["messages"], 42);
        assert_eq!(run["counts"]["results"], 11 * 2 + 10);
        assert_eq!(run["counts"]["dropped"], 11);
        assert_eq!(run["counts"]["dead_letters"], 10);
        assert_eq!(run["counts"]["retries"], 10);
        for number in [
            "rate",
            "host_us",
            "server_us",
            "seconds",
            "bytes_per_second",
        ] {
            assert!(run[number].as_f64().unwrap() > 0.0, "{number} in {run}");
        }
        for share in ["lane_busy", "lane_queued", "lane_in_plugins"] {
            let share = run[share].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&share), "{run}");
        }
    }
    assert_eq!(report["delay"], Value::Null);
}

#[test]
fn the_report_says_what_a_machine_needs_to_compare_it_with_another() {
    let folder = folder(PIPELINE, INPUT);
    let report = report(&folder, &["--messages", "8", "--runs", "1"]);
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let setting = &report["setting"];
    assert_eq!(setting["profile"], profile);
    assert_eq!(setting["weir"], env!("CARGO_PKG_VERSION"));
    for text in ["machine", "kernel", "nats_server", "wasmtime"] {
        assert!(!setting[text].as_str().unwrap().is_empty(), "{text}");
    }
    assert_eq!(setting["lanes"], 1);
    assert!(setting["cores"].as_u64().unwrap() > 0);
    // Of one run, the median is that run.
    assert_eq!(report["rate"], report["runs"][0]["rate"]);
    assert_eq!(report["cpu_us"]["server"], report["runs"][0]["server_us"]);
    let plugins = report["plugins"]["us"].as_f64().unwrap();
    assert_eq!(report["cpu_us"]["plugins"], plugins);
    let operators = report["plugins"]["operators"].as_array().unwrap();
    let names: Vec<_> = operators.iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["first", "work"]);
    let sum: f64 = operators
        .iter()
        .map(|one| one["us"].as_f64().unwrap())
        .sum();
    assert!((sum - plugins).abs() < plugins / 1e6, "{report}");
    assert!(!report["bound"]["by"].as_str().unwrap().is_empty());
}

#[test]
fn people_get_a_table_with_what_bounds_it_and_whether_the_build_is_a_slow_one() {
    let folder = folder(PIPELINE, INPUT);
    let finished = bench(&folder, &["--messages", "8"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let text = &finished.stdout;
    assert_eq!(
        text.contains("THIS IS A DEBUG BUILD"),
        cfg!(debug_assertions)
    );
    for line in [
        "rate  ",
        "processor  ",
        "cores  ",
        "bound by  ",
        "measured on ",
    ] {
        assert!(
            text.lines().any(|each| each.starts_with(line)),
            "{line}: {text}"
        );
    }
    assert!(
        text.contains("came out   6 results, 2 dropped, 2 dead letters, 2 retried"),
        "{text}"
    );
    assert!(text.contains("1 line of the input skipped"), "{text}");
    assert!(text.contains("µs `first`"), "{text}");
}

#[test]
fn the_delay_is_that_of_messages_with_a_result() {
    let folder = folder(PIPELINE, INPUT);
    let delay = ["--messages", "4", "--rate", "40", "--seconds", "1"];
    let report = report(&folder, &[&delay[..], &["--runs", "1"]].concat());
    let delay = &report["delay"];
    let counts = ["rate", "sent", "measured"].map(|name| delay[name].as_u64());
    assert_eq!(counts, [Some(40), Some(40), Some(20)], "{delay}");
    let [p50, p99, p999, max] =
        ["p50_us", "p99_us", "p999_us", "max_us"].map(|name| delay[name].as_f64().unwrap());
    assert!(
        0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max,
        "{delay}"
    );
}

#[test]
fn where_no_message_has_a_result_there_is_no_delay_and_not_one_of_zero() {
    let folder = folder(PIPELINE, "{\"subject\": \"in.a\", \"text\": \"drop\"}\n");
    let arguments = [
        "--messages",
        "4",
        "--rate",
        "20",
        "--seconds",
        "1",
        "--runs",
        "1",
    ];
    let finished = bench(&folder, &arguments);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let none = "delay      none: none of 20 messages had a result";
    assert!(finished.stdout.contains(none), "{finished:#?}");
    let report = report(&folder, &arguments);
    assert_eq!(report["delay"]["p50_us"], Value::Null);
}

#[test]
fn without_message_ids_the_results_are_counted_and_no_delay_is_measured() {
    let off = [(
        "\"out.{subject}\" }",
        "\"out.{subject}\", message-ids: off }",
    )];
    let folder = folder(&replaced(PIPELINE, &off), INPUT);
    let finished = bench(&folder, &["--messages", "4", "--seconds", "1", "--json"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let said = "the delay is not measured: results without message ids do not name their input";
    assert!(finished.stderr.contains(said), "{finished:#?}");
    let report = json(&finished.stdout);
    let found = (&report["runs"][0]["counts"]["results"], &report["delay"]);
    assert_eq!(found, (&3.into(), &Value::Null));
}

#[test]
fn nobody_connects_to_the_servers_that_the_file_names() {
    let named = TcpListener::bind("127.0.0.1:0").unwrap();
    named.set_nonblocking(true).unwrap();
    let address = named.local_addr().unwrap().to_string();
    let named_in = [("tls://127.0.0.1:1", &*format!("nats://{address}"))];
    let pipeline = replaced(PIPELINE, &named_in);
    let folder = folder(&pipeline, INPUT);
    report(&folder, &["--messages", "4", "--runs", "1"]);
    let nobody = named.accept().unwrap_err().kind();
    assert_eq!(nobody, std::io::ErrorKind::WouldBlock);
}

#[test]
fn streams_are_made_for_whatever_the_file_leaves_open() {
    // A source without subjects.
    let bare = "name: p\nsource: { stream: IN }\noperators:\n\
                \x20 - { name: work, plugin: plugin.wasm }\nsink: { subject: \"to.{subject}\" }\n";
    // Results on subjects that only the plugin knows.
    let open = "name: r\nsource: { stream: IN, subjects: [\"in.*\"] }\noperators:\n\
                \x20 - { name: work, plugin: plugin.wasm }\n\
                sink: { subject: \"{subject}\", allow-own-source: true }\n";
    // One stream for everything, in memory and with more replicas than one server has.
    let one = "name: q\nsource: { stream: ALL, subjects: [\"in.*\"], create: { subjects: [\"in.*\"], \
               storage: memory, replicas: 3 } }\noperators:\n\
               \x20 - { name: work, plugin: plugin.wasm }\n\
               sink: { subject: \"out.{subject[1]}\", stream: ALL }\n\
               dead-letter: { subject: dead.all, stream: ALL }\n";
    let input = "{\"subject\": \"in.a\", \"text\": \"subject:out.a\"}\n\
                 {\"subject\": \"in.b\", \"text\": \"reject\"}\n";
    let folder = folder(&format!("{bare}---\n{open}---\n{one}"), input);
    for pipeline in ["p", "q", "r"] {
        let report = report(&folder, &["--messages", "20", "--pipeline", pipeline]);
        for run in report["runs"].as_array().unwrap() {
            assert_eq!(run["counts"]["results"], 10, "{report}");
            assert_eq!(run["counts"]["dead_letters"], 10, "{report}");
        }
    }
}

#[test]
fn requests_to_others_are_announced() {
    let web = Web::start();
    let origin = web.origin();
    let pipeline = format!(
        "name: demo\nsource: {{ stream: IN }}\nsink: {{ subject: out }}\noperators:\n\
         \x20 - {{ name: enrich, plugin: plugin.wasm, grants: {{ http: [\"{origin}\"] }} }}\n"
    );
    let folder = pipeline_folder("fetch", &pipeline);
    let line = format!("{{\"subject\": \"in\", \"text\": \"get {origin}/hello\"}}\n");
    put(folder.path(), "other.jsonl", line);
    let finished = bench(
        &folder,
        &["--input", "other.jsonl", "--messages", "4", "--json"],
    );
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let note = "warning: `enrich` will send real HTTP requests";
    assert!(finished.stderr.contains(note), "{finished:#?}");
    assert_eq!(json(&finished.stdout)["runs"][0]["counts"]["results"], 4);
}

#[test]
fn an_input_that_cannot_be_used_is_wrong_usage_with_what_to_do() {
    let none = refused(2, PIPELINE, INPUT, &["--input", "none.jsonl"]);
    assert!(none.starts_with("error: cannot read `none.jsonl`\n  cause: there is no such file"));
    assert!(none.contains("\n\nhint: "), "{none}");
    let empty = refused(2, PIPELINE, "\n", &[]);
    assert!(
        empty.contains("cause: it contains no message\n\nhint: "),
        "{empty}"
    );
    let bad = refused(2, PIPELINE, &format!("{INPUT}\n[]\n"), &[]);
    assert!(
        bad.contains("cause: line 7: a JSON object is expected"),
        "{bad}"
    );
    let other = refused(2, PIPELINE, "{\"subject\": \"other.a\"}\n", &[]);
    let cause = "no message in it is on a subject that the pipeline reads";
    assert!(
        other.contains(cause) && other.contains("hint: use messages on `in.>`"),
        "{other}"
    );
}

#[test]
fn a_pipeline_that_cannot_run_is_refused_before_anything_is_started() {
    let findings = refused(2, "name: p\nsorce: {}\n", INPUT, &[]);
    assert!(findings.contains("did you mean `source`"), "{findings}");
    let refusing = ("name: work,", "name: work, config: { refuse: no thanks },");
    let refuses = replaced(PIPELINE, &[refusing]);
    let refuses = refused(2, &refuses, INPUT, &[]);
    assert!(
        refuses.contains("no thanks") && refuses.contains("hint: "),
        "{refuses}"
    );
    let server = refused(
        1,
        PIPELINE,
        INPUT,
        &["--nats-server", "/nonexistent/nats-server"],
    );
    let cause = "cannot start a private nats-server with `/nonexistent/nats-server`";
    assert!(
        server.contains(cause) && server.contains("hint: "),
        "{server}"
    );
    assert!(!(findings + &refuses + &server).contains("started a private"));
}

/// A message whose retry is a day off, so that nothing ends by itself.
const ENDLESS: &str = "{\"subject\": \"in.a\", \"text\": \"retry-after:86400000\"}\n";

#[test]
fn a_run_that_is_stuck_ends_with_how_far_it_got() {
    let stuck = refused(1, PIPELINE, ENDLESS, &["--messages", "3", "--limit", "1"]);
    let error = "error: pipeline `p` has not finished after 1 s\n  cause: of 3 messages ";
    assert!(stuck.contains(error) && stuck.contains("hint: "), "{stuck}");
}

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

#[test]
fn nothing_is_left_behind_however_it_ends() {
    let file = folder(PIPELINE, ENDLESS);
    for end in ["INT", "KILL"] {
        let temporary = tempfile::tempdir().unwrap();
        let variables = [("TMPDIR", temporary.path().to_str().unwrap())];
        let arguments = ["bench", "pipeline.yaml", "--messages", "3"];
        let weir = Weir::start_with(file.path(), &arguments, &variables, Stdio::null());
        // The shell that stands before the server, and the host that is measured.
        let started = wait_for("both are started", || {
            let started = children(weir.pid());
            let servers = started.iter().flat_map(|pid| children(*pid)).count();
            match (started.len(), servers) {
                (2, 1..) => Ok(started),
                found => Err(format!("{found:?}")),
            }
        });
        let servers: Vec<u32> = started.iter().flat_map(|pid| children(*pid)).collect();
        signal(weir.pid(), end);
        let finished = weir.finish();
        if end == "INT" {
            assert_eq!(finished.code, Some(1), "{finished:#?}");
            assert!(finished.stderr.contains("error: interrupted"));
        }
        wait_until("all processes have ended", || {
            let mut all = started.iter().chain(&servers);
            !all.any(|pid| Path::new(&format!("/proc/{pid}")).exists())
        });
        wait_until("the server's folder is removed", || {
            std::fs::read_dir(temporary.path())
                .unwrap()
                .next()
                .is_none()
        });
    }
}

#[test]
fn what_takes_long_is_a_bar_on_a_terminal() {
    let folder = folder(PIPELINE, INPUT);
    let arguments = [
        "bench",
        "pipeline.yaml",
        "--messages",
        "600",
        "--runs",
        "1",
        "--seconds",
        "0",
    ];
    let on = Weir::start_on_terminal(folder.path(), &arguments, &[]).finish();
    assert!(on.stdout.contains("filling "), "{on:#?}");
}
