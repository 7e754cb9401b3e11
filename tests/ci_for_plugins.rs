//! The workflow for repositories of plugins, `examples/ci/plugin.yml`, does what it says: its scripts run one
//! after the other in a folder that `weir plugin new` has made, and end with a signed plugin in a registry.
//!
//! What only a machine of GitHub can do is left out, and named here: [`BY_THE_RUNNER`].

use crate::harness::languages::{self, Project};
use crate::harness::{OciRegistry, Signer, Weir, put, repository};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;
use weir::cli::project::Language;

/// Steps that prepare the machine. The harness has a toolchain, weir, and a registry that lets everybody in.
const BY_THE_RUNNER: [&str; 4] = [
    "runner: Rust for WebAssembly",
    "runner: weir, if it is not in the cache",
    "runner: minisign",
    "runner: log in to the registry",
];

/// Stands in for minisign, which not every machine has: it wants the key, and puts a signature that the test
/// has made beside the component.
const MINISIGN: &str = r#"#!/bin/sh
[ "$1 $2 $4" = "-S -s -m" ] && grep -qx "the secret key" "$3" && exec cp "$SIGNATURE" "$5.minisig"
"#;

/// A plugin's repository, and the machine that runs its workflow.
struct Runner {
    project: Project,
    registry: OciRegistry,
    signer: Signer,
    /// Has `bin` and what a step leaves for another.
    machine: TempDir,
}

impl Runner {
    fn new() -> Self {
        let machine = tempfile::tempdir().unwrap();
        let bin = machine.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_weir"), bin.join("weir")).unwrap();
        let minisign = put(&bin, "minisign", MINISIGN);
        std::fs::set_permissions(minisign, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            project: languages::scaffold(Language::Rust, "alerts"),
            registry: OciRegistry::start(),
            signer: Signer::new(1),
            machine,
        }
    }

    fn reference(&self) -> String {
        self.registry.reference("shop/alerts:v1.2.0")
    }

    /// The value of a variable. What GitHub would put in for `${{ }}` is here.
    fn variable(&self, name: &str, value: &str) -> String {
        match name {
            "MINISIGN_KEY" => "the secret key".to_owned(),
            "REFERENCE" => self.reference(),
            "WEIR_GIT" | "WEIR_REVISION" => "only a step of the runner reads this".to_owned(),
            _ if value.contains("${{") => panic!("the test has no value for `{name}`: {value}"),
            _ => value.to_owned(),
        }
    }

    /// Runs a script as `shell: bash` does.
    fn bash(&self, script: &str, variables: &[&Value]) -> Output {
        let signature = self.machine.path().join("signature");
        if let Ok(component) = std::fs::read(self.project.join("alerts.wasm")) {
            std::fs::write(&signature, self.signer.sign(&component)).unwrap();
        }
        let bin = self.machine.path().join("bin");
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(&*self.project)
            .env("PATH", format!("{}:{}", bin.display(), languages::path()))
            .env("SIGNATURE", signature)
            .env("CARGO_TARGET_DIR", crate::harness::guests::target())
            .env("XDG_CACHE_HOME", crate::harness::cache())
            .env("DOCKER_CONFIG", self.machine.path())
            .env("TMPDIR", self.machine.path())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        for (name, value) in variables.iter().filter_map(|one| one.as_object()).flatten() {
            bash.env(name, self.variable(name, value.as_str().unwrap()));
        }
        bash.output().expect("cannot start `bash`")
    }

    /// Runs the steps of a push of a tag up to the first that fails: that, or nothing.
    fn run(&self, workflow: &Value) -> Option<String> {
        for step in steps(workflow) {
            let (Some(name), Some(script)) = (step["name"].as_str(), step["run"].as_str()) else {
                continue; // `uses`: an action
            };
            if BY_THE_RUNNER.contains(&name) {
                continue;
            }
            let output = self.bash(script, &[&workflow["env"], &step["env"]]);
            if !output.status.success() {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let said = text(&output.stdout) + &text(&output.stderr);
                return Some(format!("{name}: {said}"));
            }
        }
        None
    }
}

fn workflow() -> Value {
    let text = std::fs::read_to_string(repository().join("examples/ci/plugin.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn steps(workflow: &Value) -> &[Value] {
    workflow["jobs"]["plugin"]["steps"].as_array().unwrap()
}

#[test]
fn its_steps_end_with_a_new_plugin_that_is_signed_in_a_registry() {
    let (runner, workflow) = (Runner::new(), workflow());
    assert_eq!(runner.run(&workflow), None);

    // A host that knows the public key runs what is in the registry, and one with another key does not.
    let host = tempfile::tempdir().unwrap();
    let check = |key: &Signer| {
        let pipeline = format!(
            "name: alerts\nsource: {{ stream: READINGS }}\nsink: {{ subject: alerts.a }}\n\
             require-signature: [\"{}\"]\n\
             operators: [{{ name: alerts, plugin: \"{}\", config: {{ limit: 30 }} }}]\n",
            key.public(),
            runner.reference()
        );
        put(host.path(), "pipeline.yaml", pipeline);
        Weir::run_in(host.path(), &["check", "pipeline.yaml"])
    };
    check(&runner.signer).done();
    let refused = check(&Signer::new(2));
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("not signed"), "{refused:#?}");
}

#[test]
fn a_plugin_that_does_something_else_than_expected_is_never_in_a_registry() {
    let (runner, workflow) = (Runner::new(), workflow());
    put(&runner.project, "expected.jsonl", "");
    let failed = runner.run(&workflow).unwrap_or_default();
    let step = "compare the outputs with expected.jsonl: ";
    assert!(failed.starts_with(step), "{failed}");
    assert!(!has_component_in(&runner.registry), "it was pushed");
}

fn has_component_in(registry: &OciRegistry) -> bool {
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let path = "/v2/shop/alerts/manifests/v1.2.0";
    registry.ask("GET", path, manifest, b"").status == 200
}

/// Left out is what is said to be left out; and what others write, such as the title of a pull request, never
/// becomes part of a script.
#[test]
fn the_steps_that_are_not_run_here_are_the_named_ones() {
    let workflow = workflow();
    let of_the_runner: Vec<&str> = steps(&workflow)
        .iter()
        .filter_map(|step| step["name"].as_str())
        .filter(|name| name.starts_with("runner: "))
        .collect();
    assert_eq!(of_the_runner, BY_THE_RUNNER);
    for step in steps(&workflow) {
        let script = step["run"].as_str().unwrap_or_default();
        assert!(!script.contains("${{"), "{step}");
        let is_named = step["name"].is_string() || step["uses"].is_string();
        assert!(is_named, "a step without a name: {step}");
    }
    assert_eq!(workflow["defaults"]["run"]["shell"], "bash");
    assert!(Path::new(workflow["env"]["PLUGIN"].as_str().unwrap()).is_relative());
}
