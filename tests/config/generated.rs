//! Findings about what cannot stand in a file of `ui/config`: too large, unreadable, or outside of it.

use super::{environment, inputs, show};
use crate::harness::replaced;
use std::path::PathBuf;
use weir::config;

/// What is found in a file with this text, its name left out.
fn found_in(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, text).unwrap();
    let findings = config::Loader::new(&environment)
        .unbuilt()
        .load(&[file])
        .unwrap_err();
    let findings = findings.to_string();
    let place = format!("{}/pipeline.yaml:", folder.path().display());
    replaced(&findings, &[(&place, "")])
}

/// A pipeline whose plugin is configured with this text.
fn configured(config: &str) -> String {
    format!(
        "name: a\nsource: {{ stream: A }}\nsink: {{ subject: out }}\noperators:\n  - name: x\n    \
         plugin: later.wasm\n    config:\n{config}"
    )
}

#[test]
fn a_file_that_expands_without_end_is_refused() {
    // Nine levels of ten aliases each: a billion values from half a kilobyte.
    let mut levels = "      l0: &l0 [x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*l{}", level - 1); 10].join(", ");
        levels.push_str(&format!("      l{level}: &l{level} [{aliases}]\n"));
    }
    assert_eq!(
        found_in(&configured(&levels)),
        "14:16: error: up to here the file expands to more than 16MiB\n  \
         hint: look for aliases of values that contain aliases"
    );
}

#[test]
fn aliases_that_nest_without_end_are_refused() {
    let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(100), "]".repeat(100));
    let [one, two, three] = ["x", "*one", "*two"].map(nested);
    let config = format!("      - &one {one}\n      - &two {two}\n      - {three}\n");
    assert_eq!(
        found_in(&configured(&config)),
        "10:109: error: the alias nests values more than 256 deep"
    );
}

#[test]
fn what_is_too_large_for_the_server_or_the_machine_is_refused() {
    let long = "n".repeat(256);
    let subject = "s".repeat(1025);
    let text = format!(
        "name: a\nsource:\n  stream: \"\"\n  consumer: {long}\n  subjects: [{subject}]\n\
         sink: {{ subject: out }}\nbatch: {{ max-bytes: 8EiB }}\n\
         in-flight: {{ max-bytes: 16EiB }}\n"
    );
    let lines = found_in(&text);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            "3:11: error: `source.stream`: a name on the server cannot be empty",
            "4:13: error: `source.consumer`: a name on the server has at most 255 bytes",
            "5:14: error: `source.subjects[0]`: a subject has at most 1024 bytes, this one has 1025",
            "7:21: error: `batch.max-bytes`: that is more than this machine can address",
            "8:25: error: `in-flight.max-bytes`: that is more than this machine can address",
        ]
    );
}

#[test]
fn a_file_of_more_than_four_mebibytes_is_not_read() {
    let mut text = configured("      rate: 5%\n");
    text.push_str(&"#".repeat((4 << 20) - text.len()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, &text).unwrap();
    assert!(
        config::Loader::new(&environment)
            .unbuilt()
            .load(&[file])
            .is_ok()
    );
    text.push('#');
    assert_eq!(
        found_in(&text),
        " error: the file is larger than 4MiB\n  hint: name a pipeline file; several pipelines can be in separate files"
    );
}

#[test]
fn a_file_without_the_permission_to_read_it_is_a_finding() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mut file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, configured("      rate: 5%\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::File::open(&file).is_ok() {
        // Nothing on a disk is kept from root; this is written only, by anybody.
        file = PathBuf::from("/proc/sys/vm/drop_caches");
    }
    let findings = config::load(std::slice::from_ref(&file), &environment).unwrap_err();
    let expected = "error: cannot read the file: permission denied\n  hint: check its permissions";
    assert_eq!(
        findings.to_string(),
        format!("{}: {expected}", file.display())
    );
}

#[test]
fn a_wrong_address_in_the_environment_is_a_finding() {
    let wrong = |name: &str| (name == "NATS_URL").then(|| "here:4222, http://there".to_owned());
    let file = inputs().join("valid/rebates.yaml");
    let findings = config::load(std::slice::from_ref(&file), &wrong).unwrap_err();
    assert_eq!(
        show(&findings),
        "valid/rebates.yaml:2:1: error: the environment variable `NATS_URL`: `http://` is not supported; use `nats://` or `tls://`\n  hint: correct it, or set `nats.url`\n"
    );
}
