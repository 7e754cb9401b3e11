//! Pipeline files: whatever stands in one, findings are about places of that file, in words that a
//! terminal can show, and give away nothing of the environment.

use crate::engine::{self, Target, kind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use weir::config::{Findings, Loader, Location};

/// The value of each variable of the environment.
const SECRET: &str = "hunter2hunter2";
/// The longest line of a finding, in bytes. What a file says is quoted in it, shortened.
const LONGEST: usize = 10_000;

const TOKENS: &[&str] = &[
    "name: p\nsource:\n  stream: S\n  subjects: [\"a.>\"]\n",
    "operators:\n  - name: o\n    plugin: p.wasm\n",
    "sink:\n  subject: b.{subject[1]}\n",
    "config: {a: [1, 2.5, null, true]}\n",
    "\n---\n",
    "\n...\n",
    "- ",
    ": ",
    "? ",
    "\n  ",
    "\t",
    "#",
    "&a",
    "*a",
    "<<: *a",
    "!!int ",
    "!",
    "|\n",
    ">-\n",
    "%YAML 1.2\n",
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "~",
    "true",
    "0",
    "-1",
    "18446744073709551616",
    "1e999",
    ".inf",
    "0x1f",
    "30s",
    "1d",
    "64MiB",
    "10%",
    "${SECRET}",
    "${SECRET:-x}",
    "$${",
    "${",
    "{subject[0]}",
    "{key}",
    ">",
    "*",
    "$JS.API.>",
    "/a/b",
    "nats://b/n@1",
    "oci://r.example/n:1",
    "http://u:p@h:4222",
    "\u{feff}",
    "\u{2028}",
    "\u{1b}[31m",
    "\0",
    "\r\n",
    "\u{e9}",
];

#[test]
fn whatever_a_pipeline_file_holds_its_findings_are_of_its_places_and_fit_to_be_shown() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["examples", "plugins", "tests/ui/config"].map(|name| repository.join(name));
    let yaml = |file: &PathBuf| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    };
    let files = folders.iter().flat_map(|folder| engine::files(folder));
    let seeds: Vec<_> = files
        .filter(yaml)
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert!(seeds.len() > 40, "only {} files were found", seeds.len());
    Target {
        name: "config",
        seeds,
        tokens: TOKENS,
        runs: 2000,
        check,
    }
    .run();
}

fn control(character: char) -> bool {
    character.is_control() && character != '\n'
}

fn check(bytes: &[u8]) -> String {
    let (sound, findings) = load(bytes);
    assert!(
        sound || !findings.is_empty(),
        "there is neither a pipeline nor a finding"
    );
    // As YAML counts lines.
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let lines: Vec<&str> = text.split(['\r', '\n']).collect();
    for finding in &findings {
        let Location { line, column } = finding.location;
        let length = line
            .checked_sub(1)
            .and_then(|index| Some(lines.get(index)?.chars().count()));
        let inside = length.is_some_and(|length| (1..=length + 1).contains(&column));
        assert!(
            finding.location == Location::FILE || inside,
            "outside of the file: {finding}"
        );
        let shown = finding.to_string();
        assert!(
            shown.lines().count() <= 2,
            "more than a message and a hint: {shown:?}"
        );
        assert!(
            !shown.contains(control),
            "not fit for a terminal: {shown:?}"
        );
        assert!(shown.len() <= LONGEST, "{} bytes: {shown}", shown.len());
        assert!(!shown.contains(SECRET), "a secret is shown: {shown}");
    }
    if !bytes.starts_with("\u{feff}".as_bytes()) {
        let marked = load(&["\u{feff}".as_bytes(), bytes].concat());
        assert_eq!(
            marked,
            (sound, findings.clone()),
            "a byte order mark changes it"
        );
    }
    let kinds: BTreeSet<String> = findings
        .iter()
        .map(|finding| kind(&finding.message))
        .collect();
    format!("{sound} {kinds:?}")
}

fn load(bytes: &[u8]) -> (bool, Findings) {
    let file = engine::scratch("config").join("pipeline.yaml");
    std::fs::write(&file, bytes).unwrap();
    let environment = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
    let (drafts, findings) = Loader::new(&environment).unbuilt().survey(&[file]);
    let sound = drafts.iter().all(|draft| draft.pipeline.is_some()) && !drafts.is_empty();
    (sound, findings)
}
