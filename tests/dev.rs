//! `weir dev` brings a folder to life by one command, and again at every change of it; a mistake
//! while editing is shown, and mended by the next save.

use crate::harness::guests::guest;
use crate::harness::{Weir, signal, wait_until};
use std::path::Path;
use std::process::Stdio;

/// A folder with a component that is there already; `mark` is its configuration.
fn write_pipeline(folder: &Path, mark: &str) {
    let text = format!(
        "name: p\nsource: {{ stream: IN, subjects: [\"in.>\"] }}\noperators:\n\
         \x20 - {{ name: op, plugin: plugin.wasm, config: {{ mark: {mark} }} }}\n\
         sink: {{ subject: \"out.{{subject}}\" }}\n"
    );
    std::fs::write(folder.join("pipeline.yaml"), text).unwrap();
}

#[test]
fn a_change_of_the_configuration_starts_the_pipeline_again_and_a_mistake_waits_to_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::copy(guest("misbehave"), path.join("plugin.wasm")).unwrap();
    std::fs::write(
        path.join("input.jsonl"),
        "{\"subject\": \"in.a\", \"text\": \"hello\"}\n{\"advance\": \"1h\"}\n",
    )
    .unwrap();
    write_pipeline(path, "first");
    let results = path.join("results.txt");
    let arguments = [
        "dev",
        path.to_str().unwrap(),
        "--outputs",
        results.to_str().unwrap(),
    ];
    let mut weir = Weir::start(path, &arguments);
    weir.wait_until_output("1 in, 1 out, 0 dropped, 0 dead letters");
    assert!(weir.stdout().contains("out  out.in.a"), "{}", weir.stdout());
    weir.wait_until_output("line 2: `advance` by 3600s is skipped");
    assert!(std::fs::read_to_string(&results).unwrap().contains("first"));

    std::fs::write(path.join("pipeline.yaml"), "name: p\nsorce: {}\n").unwrap();
    weir.wait_until_output("did you mean `source`");
    assert!(weir.is_running());

    write_pipeline(path, "second");
    wait_until("the new configuration is at work", || {
        std::fs::read_to_string(&results).is_ok_and(|text| text.contains("second"))
    });
    weir.interrupt();
    assert_eq!(weir.finish().code, Some(0));
}

#[test]
fn the_results_of_a_job_are_shown_as_those_of_any_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::copy(guest("misbehave"), path.join("plugin.wasm")).unwrap();
    let line = |text| format!("{{\"subject\": \"in.a\", \"text\": \"{text}\"}}\n");
    let mut lines = line("hello") + &line("reject");
    // The last of them are in the last commit.
    lines.extend((0..500).map(|_| line("drop")));
    std::fs::write(path.join("input.jsonl"), lines).unwrap();
    write_pipeline(path, "first");
    let file = path.join("pipeline.yaml");
    let job = "delivery: exactly-once\nkey: \"{subject[1]}\"\n";
    let text = std::fs::read_to_string(&file).unwrap() + job;
    std::fs::write(&file, text).unwrap();
    let mut weir = Weir::start(path, &["dev", path.to_str().unwrap()]);
    weir.wait_until_output("502 in, 1 out, 500 dropped, 1 dead letter");
    let stdout = weir.stdout();
    for shown in [
        "out  out.in.a",
        "dead weir.dead.p  (the payload said so)  reject",
    ] {
        assert!(stdout.contains(shown), "{stdout}");
    }
    weir.interrupt();
    assert_eq!(weir.finish().code, Some(0));
}

/// The process of the server whose store is below this folder, once it listens.
fn server_below(folder: &Path) -> Option<u32> {
    let stores = std::fs::read_dir(folder).unwrap().flatten();
    let files = stores.filter_map(|store| std::fs::read_dir(store.path()).ok());
    let names = files.flat_map(|files| files.flatten().map(|file| file.file_name()));
    names
        .filter_map(|name| {
            let name = name.to_str()?.strip_prefix("nats-server_")?;
            name.strip_suffix(".ports")?.parse().ok()
        })
        .next()
}

fn is_process(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn the_private_server_and_its_store_go_with_weir_however_it_ends() {
    for end in ["INT", "KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::copy(guest("misbehave"), path.join("plugin.wasm")).unwrap();
        write_pipeline(path, "any");
        let temporary = tempfile::tempdir().unwrap();
        let mut weir = Weir::start_with(
            path,
            &["dev", path.to_str().unwrap()],
            &[("TMPDIR", temporary.path().to_str().unwrap())],
            Stdio::null(),
        );
        weir.wait_until_output("waiting for a change");
        let server = server_below(temporary.path()).unwrap();
        assert!(is_process(server));
        signal(weir.pid(), end);
        weir.finish();
        wait_until("the server has ended", || !is_process(server));
        wait_until("its store is removed", || {
            std::fs::read_dir(temporary.path())
                .unwrap()
                .next()
                .is_none()
        });
    }
}

#[test]
fn a_server_that_cannot_be_started_is_named_with_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), "any");
    let ended = Weir::run(&[
        "dev",
        folder.path().to_str().unwrap(),
        "--nats-server",
        "/nonexistent/nats-server",
    ]);
    assert_eq!(ended.code, Some(1));
    let cause = "cannot start a private nats-server with `/nonexistent/nats-server`";
    assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
}

#[test]
fn a_folder_without_a_pipeline_is_refused_with_the_way_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Weir::run(&["dev", folder.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("pipeline.yaml"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
}
