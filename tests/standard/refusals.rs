//! What is wrong in the configuration of a standard plugin is told at its place, in a file and on the command line.

use super::checked;
use crate::harness::{Weir, put};

const LINES: &str = "{\"subject\":\"in.a\",\"payload\":{\"a\":{\"b\":1}}}\n{\"subject\":\"in.b\",\"payload\":{\"a\":2}}\n";

#[test]
fn all_wrong_expressions_of_a_file_are_told_at_once_each_at_its_line_and_column() {
    let operators = r#"  - name: a
    plugin: std:filter
    config: { when: "paylod.x > 1 && subject.beginsWith(\"a\")" }
  - name: b
    plugin: std:map
    config:
      fields:
        folded: >
          payload.a +
          payload.b *
        literal: |
          has(payload.z)
            ? payload.z.trimm()
            : round(payload.q, 2)
        single: 'payload.a + ''x'
      remove: [a, /b~3]
"#;
    let found = checked(operators);
    assert_eq!(found.code, Some(2), "{found:#?}");
    for block in [
        "p.yaml:6:22: error: `operators[0].config.when`: unknown variable `paylod`\n    paylod.x > 1 && \
         subject.beginsWith(\\\"a\\\")\n    ^\n  hint: did you mean `payload`?\n",
        "p.yaml:6:46: error: `operators[0].config.when`: unknown function `beginsWith`\n",
        "p.yaml:13:22: error: `operators[1].config.fields.folded`: the expression ends too early\n    \
         payload.b *\n               ^\n",
        "p.yaml:16:25: error: `operators[1].config.fields.literal`: unknown function `trimm`\n",
        "p.yaml:17:15: error: `operators[1].config.fields.literal`: unknown function `round`\n",
        "p.yaml:18:30: error: `operators[1].config.fields.single`: the text that begins here has no end\n",
        "p.yaml:19:19: error: `operators[1].config.remove[1]`: `/b~3` is no JSON pointer",
        "error: there are 7 problems in the configuration\n",
    ] {
        assert!(found.stderr.contains(block), "{block}\n{}", found.stderr);
    }
}

#[test]
fn a_configuration_on_the_command_line_is_checked_like_one_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "input.jsonl", LINES);
    for command in [
        &["pipe", "std:filter"][..],
        &["plugin", "test", "std:filter"],
    ] {
        for (config, expected) in [
            (
                r#"{"whn": "true"}"#,
                "--config:1:2: error: unknown field `whn` in `config`\n  hint: did you mean `when`?\n",
            ),
            (
                r#"{"when": "true", "on-error": 5}"#,
                "--config:1:30: error: `config.on-error` must be `reject`, `drop` or `keep`, found the number `5`\n",
            ),
            (
                r#"{"when": "paylod.a == \"${x}\""}"#,
                "--config:1:11: error: `config.when`: unknown variable `paylod`\n    paylod.a == \\\"${x}\\\"\n    ^\n",
            ),
            ("null", "hint: the plugin needs `when`\n"),
            ("{", "error: `--config` is not JSON: "),
        ] {
            let arguments = [command, &["--config", config]].concat();
            let found = Weir::run_with_input(folder.path(), &arguments, LINES);
            assert_eq!(found.code, Some(2), "{found:#?}");
            assert!(
                found.stderr.contains(expected),
                "{expected}\n{}",
                found.stderr
            );
        }
    }
}

#[test]
fn a_plugin_without_a_pipeline_reads_and_writes_lines() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = |arguments: &[&str]| {
        Weir::run_with_input(folder.path(), &[&["pipe"], arguments].concat(), LINES)
    };
    let found = pipe(&["std:jq", "--config", r#"{"query": ".a.b"}"#]);
    assert_eq!(found.code, Some(1), "{found:#?}");
    assert_eq!(
        found.stdout,
        "{\"sequence\":1,\"subject\":\"in.a\",\"payload\":1}\n"
    );
    assert!(found.stderr.contains("\"reject\":"), "{}", found.stderr);
    let found = pipe(&["std:jq", "--config", r#"{"query": "."}"#, "--pipeline", "p"]);
    assert_eq!(found.code, Some(2), "{found:#?}");
    assert!(
        found.stderr.contains("`--pipeline` is for a pipeline file"),
        "{}",
        found.stderr
    );
}

#[test]
fn a_test_with_nothing_to_compare_with_shows_what_came_out_and_how_to_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "input.jsonl", LINES);
    let test = |more: &[&str]| {
        let arguments = [
            "plugin",
            "test",
            "std:filter",
            "--config",
            r#"{"when": "payload.a == 2"}"#,
        ];
        Weir::run_in(folder.path(), &[&arguments, more].concat())
    };
    let found = test(&[]);
    assert_eq!(found.code, Some(1), "{found:#?}");
    let line = "{\"sequence\":2,\"subject\":\"in.b\",\"payload\":{\"a\":2}}\n";
    assert_eq!(found.stdout, line);
    let note = "2 messages, 1 result; there is no `expected.jsonl` to compare with\n\nhint: review the output, and keep it with `--bless`\n";
    assert!(found.stderr.contains(note), "{}", found.stderr);
    test(&["--bless"]).done();
    assert_eq!(test(&[]).done(), "ok: 2 messages, 1 result\n");
    let missing = test(&["--expected", "other.jsonl"]);
    assert_eq!(missing.code, Some(2), "{missing:#?}");
}
