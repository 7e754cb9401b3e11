//! Every command of `weir`, for tests that are about all of them. The list is clap's own: a command that is
//! new has no row here, and fails those tests until it has.

use std::collections::BTreeSet;

/// The words of a command, and what it is given on a site with the streams, `plugin.wasm` and `input.jsonl`.
pub type Row = (&'static str, &'static [&'static str]);

/// What each command is given besides the file and the server. A command without a row fails the test.
const COMMANDS: &[Row] = &[
    (
        "run",
        &["FILE", "--metrics-listen=off", "--admin-listen=off"],
    ),
    ("check", &["FILE"]),
    ("pipe", &["FILE"]),
    ("dev", &["FOLDER", "--once"]),
    (
        "bench",
        &["FILE", "--input", "input.jsonl", "--seconds", "1"],
    ),
    ("dlq ls", &["FILE"]),
    ("dlq show", &["FILE"]),
    ("dlq resend", &["FILE", "--all"]),
    ("dlq purge", &["FILE", "--all", "--yes"]),
    ("replay", &["FILE"]),
    ("status", &["FILE"]),
    ("job ls", &["--file", "FILE"]),
    ("job show", &["sums", "--file", "FILE"]),
    ("job state ls", &["sums", "--file", "FILE"]),
    ("job state get", &["sums", "a", "--file", "FILE"]),
    ("job pause", &["sums", "--file", "FILE"]),
    ("job resume", &["sums", "--file", "FILE"]),
    (
        "job reset",
        &["sums", "--to", "1", "--yes", "--file", "FILE"],
    ),
    ("job savepoint create", &["sums", "--file", "FILE"]),
    ("job savepoint ls", &["--file", "FILE"]),
    (
        "job savepoint restore",
        &["sums", "one", "--yes", "--file", "FILE"],
    ),
    ("job savepoint rm", &["sums", "one", "--file", "FILE"]),
    ("trace", &["out.a", "1", "--file", "FILE"]),
    ("config schema", &[]),
    ("config reference", &[]),
    ("metrics", &[]),
    ("completions", &["bash"]),
    (
        "compile-component",
        &["--length=0", "--time=1000", "--memory=300000000"],
    ),
    ("plugin new", &["FOLDER"]),
    ("plugin build", &["FOLDER"]),
    ("plugin inspect", &["plugin.wasm"]),
    (
        "plugin test",
        &["FILE", "--no-build", "--input", "input.jsonl"],
    ),
    (
        "plugin push",
        &["plugin.wasm", "nats://plugins/a@1", "--file", "FILE"],
    ),
    ("plugin pull", &["nats://plugins/a@1", "--file", "FILE"]),
    ("plugin list", &["nats://plugins", "--file", "FILE"]),
    (
        "plugin tag",
        &["nats://plugins/a@1", "latest", "--file", "FILE"],
    ),
    (
        "plugin deploy",
        &["p/op", "nats://plugins/a@2", "--file", "FILE"],
    ),
    ("plugin promote", &["p/op", "--file", "FILE"]),
    ("plugin rollback", &["p/op", "--file", "FILE"]),
    (
        "plugin wait",
        &["p/op", "plugin.wasm", "--timeout", "1s", "--file", "FILE"],
    ),
    ("plugin history", &["p", "--file", "FILE"]),
    ("plugin diff", &["p/op", "--file", "FILE"]),
];

/// All rows.
///
/// # Panics
/// If a command has none, or a row has no command.
pub fn all() -> &'static [Row] {
    let mut known = BTreeSet::new();
    find(&weir::cli::command_line(), "", &mut known);
    let named: BTreeSet<String> = COMMANDS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(
        known, named,
        "each command has a row in tests/harness/commands.rs"
    );
    COMMANDS
}

/// The arguments of a row for one pipeline file.
pub fn with_file<'f>(arguments: &[&'f str], file: &'f str) -> Vec<&'f str> {
    let place = |argument: &&'f str| match *argument {
        "FILE" => file,
        "FOLDER" => "folder",
        other => other,
    };
    arguments.iter().map(place).collect()
}

/// The names of all commands, as people write them.
fn find(of: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
    for command in of.get_subcommands() {
        let path = format!("{path} {}", command.get_name());
        match command.has_subcommands() {
            true => find(command, &path, found),
            false => drop(found.insert(path.trim().to_owned())),
        }
    }
}
