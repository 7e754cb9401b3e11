//! With `require-signature`, a plugin runs only if one of the keys has signed it: when it is checked,
//! when it is run, and when it is to take the place of what runs, from wherever it comes.

use crate::harness::guests::{guest, versions};
use crate::harness::{
    Finished, OciRegistry, Scene, Signer, Weir, operator_series, wait_for, wait_until,
};
use std::path::PathBuf;
use std::process::Stdio;

/// What `minisign -G` would have made.
const OURS: u8 = 1;
const THEIRS: u8 = 2;

struct Site {
    scene: Scene,
    ours: Signer,
    theirs: Signer,
}

impl Site {
    fn new() -> Self {
        Self {
            scene: Scene::new(),
            ours: Signer::new(OURS),
            theirs: Signer::new(THEIRS),
        }
    }

    /// A file with this version, and a signature beside it or none.
    fn put(&self, name: &str, version: &str, signature: Option<&str>) -> PathBuf {
        let file = self.scene.folder.path().join(name);
        let beside = self.scene.folder.path().join(format!("{name}.minisig"));
        match signature {
            Some(text) => std::fs::write(beside, text).unwrap(),
            None => drop(std::fs::remove_file(beside)),
        }
        std::fs::write(&file, versions(version)).unwrap();
        file
    }

    /// The scene's pipeline with this plugin, which our key must have signed.
    fn pipeline(&self, reference: &str) -> PathBuf {
        let usual = guest("misbehave").display().to_string();
        let more = format!("require-signature: [\"{}\"]\n", self.ours.public());
        let text = std::fs::read_to_string(self.scene.pipeline(&more)).unwrap();
        self.scene.file("p.yaml", &text.replace(&usual, reference))
    }

    fn check(&self, reference: &str) -> Finished {
        let file = self.pipeline(reference);
        Weir::run(&["check", file.to_str().unwrap()])
    }

    fn plugin(&self, arguments: &[&str]) -> Finished {
        let all = [&["plugin"], arguments].concat();
        Weir::run_in(self.scene.folder.path(), &all)
    }

    fn run(&self, reference: &str) -> Weir {
        let file = self.pipeline(reference);
        let mut weir = self.scene.start(&file, &[("WEIR_OCI_POLL_MS", "50")]);
        weir.wait_until_output("running");
        weir
    }

    /// What becomes of the next message.
    fn result(&self, number: u64) -> String {
        self.scene.nats.client().publish("in.a", number.to_string());
        let results = self.scene.wait_for_messages("OUT", number);
        results[number as usize - 1].text()
    }

    /// Signatures that do not do, each with what is said of it.
    fn bad_signatures(&self, version: &str) -> [(Option<String>, &'static str); 4] {
        let bytes = versions(version);
        [
            (None, "it has no signature"),
            (
                Some(self.theirs.sign(&bytes)),
                "signed with none of the keys",
            ),
            (
                Some(self.ours.sign(b"other")),
                "its signature is of other bytes",
            ),
            (
                Some("nonsense".to_owned()),
                "its signature is none of minisign",
            ),
        ]
    }

    fn good_signature(&self, version: &str) -> String {
        self.ours.sign(&versions(version))
    }
}

#[track_caller]
fn assert_refused(finished: &Finished, words: &str) {
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains(words), "{words}: {finished:#?}");
    assert!(finished.stderr.contains("hint: "), "{finished:#?}");
}

/// Waits until the host has refused so many versions, and said this of the last.
#[track_caller]
fn wait_until_refused(weir: &Weir, count: f64, words: &str) {
    let refused = operator_series("swaps_refused_total", "op");
    wait_until("the host has refused it", || weir.metric(&refused) == count);
    wait_for("it says why", || {
        let log = weir.stderr();
        let line = log
            .lines()
            .rfind(|line| line.contains("the old version goes on"));
        match line.is_some_and(|line| line.contains(words)) {
            true => Ok(()),
            false => Err(log),
        }
    });
}

#[test]
fn a_file_runs_only_if_one_of_the_keys_has_signed_it() {
    let site = Site::new();
    for (signature, words) in site.bad_signatures("v1") {
        site.put("v.wasm", "v1", signature.as_deref());
        assert_refused(&site.check("v.wasm"), words);
        let file = site.pipeline("v.wasm");
        let started = site.scene.start(&file, &[]).finish();
        assert_refused(&started, words);
    }
    site.put("v.wasm", "v1", Some(&site.good_signature("v1")));
    assert_eq!(site.check("v.wasm").code, Some(0));
    let _weir = site.run("v.wasm");
    assert_eq!(site.result(1), "v1 1");
}

#[test]
fn the_keys_of_an_operator_stand_in_place_of_those_of_the_pipeline() {
    let site = Site::new();
    let theirs = site.theirs.sign(&versions("v1"));
    site.put("v.wasm", "v1", Some(&theirs));
    assert_refused(&site.check("v.wasm"), "signed with none of the keys");
    let public = format!("untrusted comment: theirs\n{}\n", site.theirs.public());
    site.scene.file("theirs.pub", &public);
    let checked = site.check("v.wasm\n    require-signature: [theirs.pub]");
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    let both = format!(
        "v.wasm\n    require-signature: [\"{}\", theirs.pub]",
        site.ours.public()
    );
    assert_eq!(site.check(&both).code, Some(0));
}

#[test]
fn a_new_file_that_is_not_signed_leaves_the_old_version_running() {
    let site = Site::new();
    site.put("v.wasm", "v1", Some(&site.good_signature("v1")));
    let weir = site.run("v.wasm");
    assert_eq!(site.result(1), "v1 1");
    site.put("v.wasm", "v2", None);
    wait_until_refused(&weir, 1.0, "it has no signature");
    assert_eq!(site.result(2), "v1 2");
    // The signature alone makes it be looked at again.
    let beside = site.scene.folder.path().join("v.wasm.minisig");
    std::fs::write(beside, site.good_signature("v2")).unwrap();
    let swaps = operator_series("swaps_total", "op");
    wait_until("the host has taken it", || weir.metric(&swaps) == 1.0);
    assert_eq!(site.result(3), "v2 3");
}

#[test]
fn a_version_in_a_bucket_runs_only_if_it_was_pushed_with_a_signature() {
    let site = Site::new();
    let url = site.scene.nats.url();
    let push = |version: &str, more: &[&str]| {
        let to = format!("nats://plugins/v@{version}");
        let all = [
            &["push", "v.wasm", &to, "--tag", "live", "--nats", &url],
            more,
        ]
        .concat();
        let pushed = site.plugin(&all);
        assert_eq!(pushed.code, Some(0), "{pushed:#?}");
        pushed.stdout
    };
    site.put("v.wasm", "v1", None);
    push("1", &[]);
    assert_refused(&site.check("nats://plugins/v@1"), "it has no signature");
    site.put("v.wasm", "v1", Some(&site.good_signature("v1")));
    assert!(push("1", &[]).contains("has a new signature"));
    assert_eq!(site.check("nats://plugins/v@1").code, Some(0));

    let weir = site.run("nats://plugins/v@live");
    assert_eq!(site.result(1), "v1 1");
    site.put("v.wasm", "v2", None);
    site.scene
        .file("theirs", &site.theirs.sign(&versions("v2")));
    push("2", &["--signature", "theirs"]);
    wait_until_refused(&weir, 1.0, "signed with none of the keys");
    assert_eq!(site.result(2), "v1 2");
    site.scene.file("ours", &site.good_signature("v2"));
    push("2", &["--signature", "ours"]);
    let swaps = operator_series("swaps_total", "op");
    wait_until("the host has taken it", || weir.metric(&swaps) == 1.0);
    assert_eq!(site.result(3), "v2 3");

    let pulled = site.plugin(&["pull", "nats://plugins/v@2", "-o", "p.wasm", "--nats", &url]);
    assert_eq!(pulled.code, Some(0), "{pulled:#?}");
    let beside = std::fs::read_to_string(site.scene.folder.path().join("p.wasm.minisig"));
    assert_eq!(beside.unwrap(), site.good_signature("v2"));
}

#[test]
fn a_plugin_in_a_registry_runs_only_if_it_was_pushed_with_a_signature() {
    let site = Site::new();
    let registry = OciRegistry::start();
    let reference = registry.reference("shop/v:live");
    let push = |version: &str, signature: Option<&str>| {
        site.put("v.wasm", version, signature);
        let pushed = site.plugin(&["push", "v.wasm", &reference]);
        assert_eq!(pushed.code, Some(0), "{pushed:#?}");
    };
    for (signature, words) in site.bad_signatures("v1").into_iter().take(3) {
        push("v1", signature.as_deref());
        assert_refused(&site.check(&reference), words);
    }
    push("v1", Some(&site.good_signature("v1")));
    assert_eq!(site.check(&reference).code, Some(0));

    let weir = site.run(&reference);
    assert_eq!(site.result(1), "v1 1");
    push("v2", None);
    wait_until_refused(&weir, 1.0, "it has no signature");
    push("v2", Some(&site.theirs.sign(&versions("v2"))));
    wait_until_refused(&weir, 2.0, "signed with none of the keys");
    assert_eq!(site.result(2), "v1 2");
    push("v2", Some(&site.good_signature("v2")));
    let swaps = operator_series("swaps_total", "op");
    wait_until("the host has taken it", || weir.metric(&swaps) == 1.0);
    assert_eq!(site.result(3), "v2 3");

    let pulled = site.plugin(&["pull", &reference, "-o", "p.wasm"]);
    assert_eq!(pulled.code, Some(0), "{pulled:#?}");
    let beside = std::fs::read_to_string(site.scene.folder.path().join("p.wasm.minisig"));
    assert_eq!(beside.unwrap(), site.good_signature("v2"));
}

#[test]
fn what_is_no_signature_is_not_pushed() {
    let site = Site::new();
    site.put("v.wasm", "v1", Some("nonsense"));
    let arguments = ["plugin", "push", "v.wasm", "nats://plugins/v@1"];
    let folder = site.scene.folder.path();
    let pushed = Weir::start_with(folder, &arguments, &[], Stdio::null()).finish();
    assert_eq!(pushed.code, Some(1), "{pushed:#?}");
    let words = [
        "cannot push `v.wasm`",
        "none of minisign",
        "hint: make it with",
    ];
    for word in words {
        assert!(pushed.stderr.contains(word), "{pushed:#?}");
    }
}
