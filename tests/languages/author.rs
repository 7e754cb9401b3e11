//! What an author does with a plugin in any language: make it, test it, change it while `weir dev`
//! watches, put the standard plugins before and behind it; and learn what is missing on the machine.

use crate::harness::guests::{plugin, unit_tests};
use crate::harness::{Finished, Weir, languages, put, replaced, wait_until};
use std::path::Path;
use std::process::{Command, Stdio};
use weir::cli::project::Language;
use weir::plugin::World;

/// What every template publishes of an alert, and what a test changes it to.
const FIELD: &str = "above_limit";
const CHANGED: &str = "degrees_too_many";

/// The standard plugins, with a configuration in which each lets every object through as it is.
const STANDARD: [(&str, &str); 4] = [
    ("validate", "schema: { type: object }"),
    ("filter", "when: 'size(subject) > 0'"),
    ("jq", "query: ."),
    (
        "route",
        "by: /sensor, routes: { none: none }, otherwise: { subject: any }",
    ),
];

pub fn passes_its_own_tests_as_it_is(language: Language) {
    let folder = languages::scaffold(language, "hot-rooms");
    let built = languages::weir(&folder, &["plugin", "build", "."]);
    assert!(built.stderr.contains("running `"), "{}", built.stderr);
    let finished = languages::weir(&folder, &["plugin", "test", "."]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, Some(0), "{said}");
    assert!(finished.stdout.starts_with("ok: 4 messages"), "{said}");
    // Nothing has changed, so nothing is built again. In Rust that is for cargo to say, and other tests
    // build in the same target folder.
    if language != Language::Rust {
        let again = languages::weir(&folder, &["plugin", "build", ".", "--json"]);
        let said = format!("{}{}", again.stdout, again.stderr);
        assert!(again.stdout.contains("\"fresh\":true"), "{said}");
    }
    own_tests(language, &folder);
}

pub fn passes_its_own_tests_with_state(language: Language) {
    let folder = languages::scaffold_of(World::StatefulOperator, language, "once-hot-rooms");
    let finished = languages::weir(&folder, &["plugin", "test", "."]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, Some(0), "{said}");
    let ok = "ok: 6 messages, 3 results, 1 dead letter";
    assert!(finished.stdout.starts_with(ok), "{said}");
    as_a_job(&folder, "\n6 in, 3 out, ");
    own_tests(language, &folder);
}

/// The same on a server.
fn as_a_job(folder: &Path, counts: &str) {
    let finished = languages::weir(folder, &["dev", ".", "--once"]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains(counts), "{said}");
}

pub fn passes_its_own_tests_with_windows(language: Language) {
    let folder = languages::scaffold_of(World::Aggregator, language, "warm-minutes");
    let finished = languages::weir(&folder, &["plugin", "test", "."]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, Some(0), "{said}");
    let ok = "ok: 8 messages, 5 results, 1 dead letter";
    assert!(finished.stdout.starts_with(ok), "{said}");
    // The sensors are in partitions of their own, and only one has come past the end of a minute.
    as_a_job(&folder, "\n8 in, 1 out, ");
    own_tests(language, &folder);
}

/// The tests that the template brings along, and those of the SDK in it, with the language's own tools.
fn own_tests(language: Language, folder: &Path) {
    match language {
        Language::Rust => unit_tests(folder),
        Language::Go => {
            run(folder, "go", &["test", "./..."]);
            run(&folder.join("sdk"), "go", &["vet", "./..."]);
            run(&folder.join("sdk"), "go", &["test", "./..."]);
        }
        Language::Python => {
            run(folder, "python3", &["-m", "unittest"]);
            run(folder, "mypy", &["plugin.py", "sdk/weir"]);
        }
        Language::Js => run(folder, "node", &["--test"]),
        // The compiler of TypeScript has looked at the types; the others have no tests in them.
        Language::Ts | Language::C | Language::Cpp | Language::Zig => (),
    }
}

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env("PATH", languages::path());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

pub fn is_built_anew_when_its_source_changes(language: Language) {
    let folder = languages::scaffold(language, "hot-rooms");
    let results = tempfile::NamedTempFile::new().unwrap();
    let results = results.path();
    let read = || std::fs::read_to_string(results).unwrap_or_default();
    let (path, target) = (languages::path(), crate::harness::guests::target());
    let environment = [
        ("PATH", path.as_str()),
        ("CARGO_TARGET_DIR", target.to_str().unwrap()),
    ];
    let arguments = ["dev", ".", "--outputs", results.to_str().unwrap()];
    let mut weir = Weir::start_with(&folder, &arguments, &environment, Stdio::null());
    weir.wait_until_output("4 in, 2 out, 1 dropped, 1 dead letter");
    assert!(read().contains(FIELD), "{}", read());

    let main = folder.join(main_file(language));
    let source = std::fs::read_to_string(&main).unwrap();
    std::fs::write(&main, replaced(&source, &[(FIELD, CHANGED)])).unwrap();
    wait_until("what was changed is at work", || read().contains(CHANGED));
    weir.interrupt();
    assert_eq!(weir.finish().code, Some(0));
}

fn main_file(language: Language) -> &'static str {
    match language {
        Language::Rust => "src/lib.rs",
        Language::Go => "main.go",
        Language::Python => "plugin.py",
        Language::Js => "plugin.js",
        Language::Ts => "plugin.ts",
        Language::C => "plugin.c",
        Language::Cpp => "plugin.cpp",
        Language::Zig => "plugin.zig",
    }
}

/// What became of messages in a pipeline of the plugin alone, whose source is `source`.
pub fn piped(language: Language, name: &str, source: &str, input: &str) -> Finished {
    let folder = languages::scaffold(language, name);
    put(&folder, main_file(language), source);
    languages::build(&folder, name);
    Weir::run_with_input(&folder, &["pipe", "pipeline.yaml"], input)
}

/// Every standard plugin is once the one right before the author's and once the one right behind it.
pub fn stands_in_a_chain_with_the_standard_plugins(language: Language) {
    let folder = languages::scaffold(language, "hot-rooms");
    let component = languages::build(&folder, "hot-rooms");
    let readings = std::fs::read(folder.join("input.jsonl")).unwrap();
    let chain = tempfile::tempdir().unwrap();
    std::fs::copy(component, chain.path().join("hot_rooms.wasm")).unwrap();
    for (name, _) in STANDARD {
        std::fs::copy(plugin(name), chain.path().join(format!("{name}.wasm"))).unwrap();
    }
    for turn in 0..STANDARD.len() {
        put(chain.path(), "pipeline.yaml", pipeline(turn));
        let piped = Weir::run_with_input(chain.path(), &["pipe", "pipeline.yaml"], &readings);
        let order = format!("turn {turn}: {}{}", piped.stdout, piped.stderr);
        // One of the readings has no temperature.
        assert_eq!(piped.code, Some(1), "{order}");
        let payloads = piped.stdout.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["payload"].clone()
        });
        let alert = |sensor, above: f64| serde_json::json!({"sensor": sensor, FIELD: above});
        let same = |found: &serde_json::Value, wanted: &serde_json::Value| {
            found["sensor"] == wanted["sensor"] && found[FIELD].as_f64() == wanted[FIELD].as_f64()
        };
        let (found, wanted) = (
            payloads.collect::<Vec<_>>(),
            [alert("attic", 1.5), alert("roof", 18.0)],
        );
        let agree = found.len() == 2 && found.iter().zip(&wanted).all(|(one, two)| same(one, two));
        assert!(agree, "{order}");
        assert_eq!(
            piped.stderr.matches("\"kind\":\"reject\"").count(),
            1,
            "{order}"
        );
    }
}

/// All standard plugins, the author's, and all standard ones again, in the order of `turn`.
fn pipeline(turn: usize) -> String {
    let mut standard = STANDARD;
    standard.rotate_left(turn);
    let operators = |place: &str| {
        let one = |(name, config): (&str, &str)| {
            format!("  - {{ name: {name}-{place}, plugin: {name}.wasm, config: {{ {config} }} }}\n")
        };
        standard.map(one).concat()
    };
    format!(
        "name: chain\nsource: {{ stream: READINGS, subjects: ['readings.>'] }}\noperators:\n{}\
         \x20 - name: author\n    plugin: hot_rooms.wasm\n    config: {{ limit: 30 }}\n\
         \x20   limits: {{ memory: 256MiB, deadline: 10s }}\n{}\
         sink: {{ subject: 'alerts.{{subject}}' }}\ndead-letter: {{ subject: dead.readings }}\n",
        operators("before"),
        operators("behind"),
    )
}

/// On a machine that has no program at all, each language names the first thing that it needs.
#[test]
fn what_a_language_misses_is_named_with_the_way_to_get_it() {
    for (language, missing, hint) in [
        (Language::Rust, "cannot start `cargo`", "https://rustup.rs"),
        (
            Language::Go,
            "cannot start `go`",
            "install Go 1.25 or later",
        ),
        (
            Language::Python,
            "there is no `componentize-py`",
            "pip install componentize-py==0.25.1",
        ),
        (
            Language::Js,
            "`@bytecodealliance/componentize-js` is not installed",
            "npm install",
        ),
        (
            Language::Ts,
            "`@bytecodealliance/componentize-js` is not installed",
            "npm install",
        ),
        (
            Language::C,
            "there is no `zig`",
            "pip install ziglang==0.17.0",
        ),
        (
            Language::Cpp,
            "there is no `zig`",
            "pip install ziglang==0.17.0",
        ),
        (
            Language::Zig,
            "there is no `zig`",
            "pip install ziglang==0.17.0",
        ),
    ] {
        let finished = build_with_nothing(new(language).path());
        let said = format!("{language}: {}", finished.stderr);
        assert_eq!(finished.code, Some(1), "{said}");
        assert!(said.contains(missing), "{said}");
        let (_, hinted) = said.split_once("hint: ").expect(&said);
        assert!(hinted.contains(hint), "{said}");
    }
}

#[test]
fn a_source_of_a_world_that_the_manifest_does_not_name_is_refused_with_the_line_to_add() {
    for (language, header, world) in [
        (Language::C, "sdk/weir_window.h", "aggregator"),
        (Language::Cpp, "sdk/weir_window.hpp", "aggregator"),
        (Language::Cpp, "sdk/weir_state.hpp", "stateful-operator"),
    ] {
        let folder = new(language);
        let source = folder.path().join(main_file(language));
        let text = std::fs::read_to_string(&source).unwrap();
        std::fs::write(&source, format!("#include \"{header}\"\n{text}")).unwrap();
        let build = Weir::run_in(folder.path(), &["plugin", "build", "."]);
        assert_eq!(build.code, Some(2), "{}", build.stderr);
        let hint = format!("hint: add `world: {world}` to plugin.yaml");
        assert!(build.stderr.contains(&hint), "{}", build.stderr);
    }
}

/// With its packages there, what JavaScript misses next is Node.js.
#[test]
fn node_is_named_where_only_the_packages_are_there() {
    let folder = new(Language::Js);
    for package in ["@bytecodealliance/componentize-js", "esbuild"] {
        let place = folder.path().join("node_modules").join(package);
        std::fs::create_dir_all(place).unwrap();
    }
    let finished = build_with_nothing(folder.path());
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    for words in ["cannot start `node`", "install Node.js 20 or later"] {
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
}

/// A new plugin's folder outside the repository, where no package is found in a folder above.
fn new(language: Language) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["plugin", "new", "hot-rooms", "--lang", language.name()];
    let place = ["--folder", folder.path().to_str().unwrap()];
    let made = Weir::run(&[&arguments[..], &place].concat());
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    folder
}

/// `weir plugin build` with an empty folder as PATH. Rust's toolchain is named, for Debian's is looked
/// for in its own place.
fn build_with_nothing(folder: &Path) -> Finished {
    let nothing = tempfile::tempdir().unwrap();
    let environment = [
        ("PATH", nothing.path().to_str().unwrap()),
        ("WEIR_WASM_TOOLCHAIN", "wasm32-wasip2"),
    ];
    let build = ["plugin", "build", "."];
    Weir::start_with(folder, &build, &environment, Stdio::null()).finish()
}
