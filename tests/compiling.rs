//! A component that is long or large to compile costs its own process and nothing else: that is bounded,
//! what runs goes on, and a stop waits for none of it.

use crate::harness::{Finished, Site, Weir, put, signal, wait_until};
use std::sync::OnceLock;

/// A component that takes tens of seconds to compile, and more memory than a plugin may.
fn many_functions() -> &'static [u8] {
    const FUNCTIONS: usize = 990_000;
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    // As text, reading it would take half a minute.
    BYTES.get_or_init(|| {
        let counted = |items: Vec<u8>| [leb128(FUNCTIONS), items].concat();
        let types = section(1, vec![1, 0x60, 1, 0x7f, 1, 0x7f]);
        let functions = section(3, counted(vec![0; FUNCTIONS]));
        // No locals, `local.get 0`, `end`.
        let code = section(10, counted([4, 0, 0x20, 0, 0x0b].repeat(FUNCTIONS)));
        let module = [b"\0asm\x01\0\0\0".to_vec(), types, functions, code].concat();
        [b"\0asm\x0d\0\x01\0".to_vec(), section(1, module)].concat()
    })
}

fn section(id: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![id], leb128(content.len()), content].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

impl Site {
    /// The usual pipeline, whose plugin may take so much to compile.
    fn compiling_within(&self, bounds: &str) {
        let limits = format!("deadline: 1m, compile: {{ {bounds} }}");
        self.pipeline_but(&[("deadline: 1m", &limits)], "");
    }
}

/// The processes that a process has started and that have not ended.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let (_, parent_of, _) = stat(pid)?;
        (parent_of == parent).then_some(pid)
    });
    processes.collect()
}

/// The name, the parent and the processor time of a process; `None` if it has ended.
fn stat(pid: u32) -> Option<(String, u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (start, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let name = start.split_once('(')?.1.to_owned();
    let time = |index: usize| fields[index].parse::<u64>();
    let is_over = matches!(fields[0], "Z" | "X");
    (!is_over).then_some((
        name,
        fields[1].parse().ok()?,
        time(11).ok()? + time(12).ok()?,
    ))
}

/// Waits until a host compiles, and returns the process that does.
fn compiling(host: &Weir) -> u32 {
    let mut found = None;
    wait_until("a process compiles", || {
        // It has used processor time, so it is past its start.
        let busy = |pid: &u32| stat(*pid).is_some_and(|(_, _, time)| time > 5);
        found = children(host.pid()).into_iter().find(busy);
        found.is_some()
    });
    found.unwrap()
}

#[track_caller]
fn assert_bound(ended: &Finished, cause: &str, key: &str) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let hint = format!("raise `limits.compile.{key}` of its operator");
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert!(said.contains(cause) && said.contains(&hint), "{ended:#?}");
}

#[test]
fn every_command_that_loads_a_plugin_bounds_its_compilation_and_says_which_bound_was_hit() {
    let site = Site::new();
    site.file("plugin.wasm", many_functions());
    site.file("input.jsonl", "{\"subject\":\"in.a\",\"payload\":\"1\"}\n");
    site.file("expected.jsonl", "");
    site.nats.client().publish("in.a", "for replay");
    for (bounds, cause, key) in [
        ("time: 1s", "it takes longer than 1s", "time"),
        (
            "memory: 256MiB",
            "it needs more memory than 256.0 MiB",
            "memory",
        ),
    ] {
        site.compiling_within(bounds);
        for command in [
            &["check", "p.yaml"][..],
            &["run", "p.yaml"],
            &["pipe", "p.yaml"],
            &["replay", "p.yaml"],
            &["bench", "p.yaml", "--input", "input.jsonl"],
            &[
                "plugin",
                "test",
                "p.yaml",
                "--no-build",
                "--input",
                "input.jsonl",
            ],
        ] {
            assert_bound(&site.weir(command), cause, key);
        }
    }
}

#[test]
fn weir_check_says_what_compiling_may_take() {
    let site = Site::new();
    site.compiling_within("time: 2m, memory: 1GiB");
    let text = site.weir(&["check", "p.yaml"]).done();
    assert!(
        text.contains(", compiling limited to 2m and 1.0 GiB, "),
        "{text}"
    );
    let json = site.weir(&["check", "p.yaml", "--json"]).done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let compile = &json["pipelines"][0]["operators"][0]["compile"];
    assert_eq!(compile["seconds"], 120.0);
    assert_eq!(compile["bytes"], 1 << 30);
}

#[test]
fn a_running_host_goes_on_when_a_new_version_does_not_compile_within_its_bounds() {
    let site = Site::new();
    let file = site.path("p.yaml");
    site.compiling_within("time: 1s");
    let mut weir = site.run(&file);
    site.file("plugin.wasm", many_functions());
    weir.wait_until_output("it takes longer than 1s");
    assert!(weir.stderr().contains("the old version keeps running"));
    site.nats.client().publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
}

#[test]
fn a_stop_does_not_wait_for_a_component_that_compiles() {
    let site = Site::new();
    let weir = site.run(&site.pipeline(""));
    site.file("plugin.wasm", many_functions());
    let child = compiling(&weir);
    // Messages are worked on meanwhile.
    site.nats.client().publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("the old version"),
        "{}",
        ended.stderr
    );
    wait_until("what compiled has ended as well", || stat(child).is_none());
}

#[test]
fn what_compiles_ends_with_a_host_that_is_killed_before_it_runs() {
    let site = Site::new();
    let file = site.pipeline("");
    site.file("plugin.wasm", many_functions());
    let mut weir = site.start(&file, &[]);
    let child = compiling(&weir);
    // The child of a frozen host goes on; that of one which is gone does not.
    weir.kill9();
    wait_until("what compiled has ended", || stat(child).is_none());
}

#[test]
fn a_compiler_that_is_killed_is_an_error_of_its_component() {
    let site = Site::new();
    let file = site.pipeline("");
    let mut weir = site.run(&file);
    site.file("plugin.wasm", many_functions());
    signal(compiling(&weir), "KILL");
    weir.wait_until_output("the process that compiles ended with signal: 9");
    site.nats.client().publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
}

#[test]
fn a_plugin_is_compiled_where_nothing_can_be_stored() {
    let site = Site::new();
    site.pipeline("");
    for folder in ["/proc/no/such/folder", "/dev/full"] {
        let nowhere = [("XDG_CACHE_HOME", folder)];
        let checked = site.weir_with(&["check", "p.yaml"], &nowhere).finish();
        assert!(checked.stderr.contains("compiling without a cache"));
        assert!(checked.done().contains("`op`: ok, "));
    }
}

#[test]
fn what_compiles_knows_nothing_of_the_hosts_environment() {
    let site = Site::new();
    let file = site.pipeline("");
    put(site.folder.path(), "plugin.wasm", many_functions());
    let secret = [("PASSWORD_OF_THE_HOST", "swordfish")];
    let weir = site.start(&file, &secret);
    let child = compiling(&weir);
    let environment = std::fs::read(format!("/proc/{child}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("swordfish"));
}
