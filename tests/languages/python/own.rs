//! What the page on Python promises of it alone.

use crate::harness::languages::scaffold;
use crate::harness::put;
use crate::languages::author::piped;
use std::process::Command;
use weir::cli::project::Language;

const PLUGIN: &str = r#"import roomnames
import weir
from weir import Output, State, http


@weir.operator
def process(message):
    what = message.json()["what"]
    if what == "recursion":
        return endless(0)
    if what == "memory":
        return Output(bytes(1 << 30))
    if what == "state":
        return Output.json(State("count").get(message))
    if what == "http":
        return Output(http.get("http://127.0.0.1:1").body)
    if what == "nan":
        return Output.json(float("nan"))
    return Output.json({"what": what * 3, "room": roomnames.of(message.token(1))})


def endless(depth):
    return endless(depth + 1)
"#;

const INPUT: &str = r#"{"subject": "readings.a", "payload": {"what": 1180591620717411303425}}
{"subject": "readings.b", "payload": {"what": "recursion"}}
{"subject": "readings.c", "payload": {"what": "memory"}}
{"subject": "readings.d", "payload": {"what": "nan"}}
{"subject": "readings.e", "payload": {"what": "state"}}
{"subject": "readings.f", "payload": {"what": "http"}}
{"subject": "readings.f", "payload": {"what": 1}}
"#;

#[test]
fn packages_are_built_in_integers_are_exact_and_what_ends_the_interpreter_ends_one_message() {
    let name = "vast-rooms";
    let folder = scaffold(Language::Python, name);
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--without-pip", ".venv"]);
    assert!(venv.current_dir(&*folder).status().unwrap().success());
    let lib = std::fs::read_dir(folder.join(".venv/lib")).unwrap();
    let lib = lib.flatten().next().unwrap().path();
    let package = lib.join("site-packages/roomnames");
    std::fs::create_dir_all(&package).unwrap();
    put(
        &package,
        "__init__.py",
        "def of(room):\n    return f'room {room}'\n",
    );
    drop(folder);

    let piped = piped(Language::Python, name, PLUGIN, INPUT);
    for published in [
        r#"{"what":3541774862152233910275,"room":"room a"}"#,
        r#"{"what":3,"room":"room f"}"#,
    ] {
        assert!(piped.stdout.contains(published), "{piped:#?}");
    }
    let dead: Vec<_> = piped
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .collect();
    assert_eq!(dead.len(), 5, "{piped:#?}");
    let no_state = "a plugin with state needs `world: stateful-operator` in plugin.yaml";
    assert!(dead[3].contains(no_state), "{piped:#?}");
    let no_http = "a plugin that sends requests needs `http: true` in plugin.yaml";
    assert!(dead[4].contains(no_http), "{piped:#?}");
    for (line, sequence) in dead.iter().zip(2..) {
        assert!(
            line.contains(&format!("\"sequence\":{sequence}")),
            "{piped:#?}"
        );
    }
}
