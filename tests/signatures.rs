//! With `require-signature`, a plugin runs only if one of the keys has signed it: when it is checked,
//! when it is run, and when it is to take the place of what runs, from wherever it comes.

use crate::harness::guests::versions;
use crate::harness::{
    Finished, OciRegistry, Signer, Site, Weir, refused, swaps, wait_for, wait_until,
};
use std::path::PathBuf;

/// What `minisign -G` would have made.
const OURS: u8 = 1;
const THEIRS: u8 = 2;

/// A pipeline whose plugin our key must have signed, in a folder where there is none yet.
struct Guarded {
    site: Site,
    ours: Signer,
    theirs: Signer,
}

impl Guarded {
    fn new() -> Self {
        Self {
            site: Site::new(),
            ours: Signer::new(OURS),
            theirs: Signer::new(THEIRS),
        }
    }

    /// The file `v.wasm` with this version, and a signature beside it or none.
    fn put(&self, version: &str, signature: Option<&str>) {
        match signature {
            Some(text) => drop(self.site.file("v.wasm.minisig", text)),
            None => drop(std::fs::remove_file(self.site.path("v.wasm.minisig"))),
        }
        self.site.file("v.wasm", versions(version));
    }

    fn pipeline(&self, reference: &str) -> PathBuf {
        let more = format!("require-signature: [\"{}\"]\n", self.ours.public());
        self.site.pipeline_but(&[("plugin.wasm", reference)], &more)
    }

    fn check(&self, reference: &str) -> Finished {
        self.pipeline(reference);
        self.site.weir(&["check", "p.yaml"])
    }

    fn run(&self, reference: &str) -> Weir {
        let file = self.pipeline(reference);
        let mut weir = self.site.start(&file, &[("WEIR_OCI_POLL_MS", "50")]);
        weir.wait_until_output("running");
        weir
    }

    /// Signatures that do not do, each with what is said of it.
    fn bad_signatures(&self, version: &str) -> [(Option<String>, &'static str); 4] {
        let bytes = versions(version);
        [
            (None, "it has no signature"),
            (
                Some(self.theirs.sign(&bytes)),
                "not signed with any of the keys",
            ),
            (
                Some(self.ours.sign(b"other")),
                "its signature is for different bytes",
            ),
            (
                Some("nonsense".to_owned()),
                "its signature is not a minisign signature",
            ),
        ]
    }

    fn good_signature(&self, version: &str) -> String {
        self.ours.sign(&versions(version))
    }

    /// Pulls the version and compares its signature with ours of `v2`.
    #[track_caller]
    fn assert_pulled_with_its_signature(&self, reference: &str) {
        self.site.done(&["pull", reference, "-o", "p.wasm"]);
        let beside = std::fs::read_to_string(self.site.path("p.wasm.minisig"));
        assert_eq!(beside.unwrap(), self.good_signature("v2"));
    }
}

#[track_caller]
fn assert_refused(finished: &Finished, words: &str) {
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains(words), "{words}: {finished:#?}");
    assert!(finished.stderr.contains("hint: "), "{finished:#?}");
}

/// Waits until the host has refused a version and said this of it.
#[track_caller]
fn wait_until_refused(weir: &Weir, words: &str) {
    wait_for(&format!("the last refusal says {words:?}"), || {
        let log = weir.stderr();
        let line = log
            .lines()
            .rfind(|line| line.contains("the old version keeps running"));
        match line.is_some_and(|line| line.contains(words)) {
            true => Ok(()),
            false => Err(log),
        }
    });
    assert!(refused(weir) >= 1.0);
}

#[test]
fn a_file_runs_only_if_one_of_the_keys_has_signed_it() {
    let guarded = Guarded::new();
    for (signature, words) in guarded.bad_signatures("v1") {
        guarded.put("v1", signature.as_deref());
        assert_refused(&guarded.check("v.wasm"), words);
        let file = guarded.pipeline("v.wasm");
        let started = guarded.site.start(&file, &[]).finish();
        assert_refused(&started, words);
    }
    guarded.put("v1", Some(&guarded.good_signature("v1")));
    assert_eq!(guarded.check("v.wasm").code, Some(0));
    let _weir = guarded.run("v.wasm");
    assert_eq!(guarded.site.result(1), "v1 1");
}

#[test]
fn the_keys_of_an_operator_stand_in_place_of_those_of_the_pipeline() {
    let guarded = Guarded::new();
    let theirs = guarded.theirs.sign(&versions("v1"));
    guarded.put("v1", Some(&theirs));
    assert_refused(&guarded.check("v.wasm"), "not signed with any of the keys");
    let public = format!("untrusted comment: theirs\n{}\n", guarded.theirs.public());
    guarded.site.file("theirs.pub", &public);
    let checked = guarded.check("v.wasm\n    require-signature: [theirs.pub]");
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    let both = format!(
        "v.wasm\n    require-signature: [\"{}\", theirs.pub]",
        guarded.ours.public()
    );
    assert_eq!(guarded.check(&both).code, Some(0));
}

#[test]
fn a_new_file_that_is_not_signed_leaves_the_old_version_running() {
    let guarded = Guarded::new();
    guarded.put("v1", Some(&guarded.good_signature("v1")));
    let weir = guarded.run("v.wasm");
    assert_eq!(guarded.site.result(1), "v1 1");
    guarded.put("v2", None);
    wait_until_refused(&weir, "it has no signature");
    assert_eq!(guarded.site.result(2), "v1 2");
    // The signature alone makes it be looked at again.
    let signature = guarded.good_signature("v2");
    guarded.site.file("v.wasm.minisig", signature);
    wait_until("the host has taken it", || swaps(&weir) == 1.0);
    assert_eq!(guarded.site.result(3), "v2 3");
}

#[test]
fn a_plan_says_that_a_signature_is_required_and_takes_no_component_without_one() {
    let guarded = Guarded::new();
    guarded.put("v1", Some(&guarded.good_signature("v1")));
    let _weir = guarded.run("v.wasm");
    let plan = |file: &str, code: i32| {
        let planned = guarded.site.plugin(&["deploy", "p/op", file]);
        assert_eq!(planned.code, Some(code), "{planned:#?}");
        planned.stdout
    };
    let signed = plan("v.wasm", 0);
    assert!(signed.contains("required; it has one"), "{signed}");
    guarded.site.file("bare.wasm", versions("v2"));
    let bare = plan("bare.wasm", 1);
    assert!(
        bare.contains("required; it has none") && bare.contains("cannot be applied: it has no sig"),
        "{bare}"
    );
}

#[test]
fn a_version_in_a_bucket_runs_only_if_it_was_pushed_with_a_signature() {
    let guarded = Guarded::new();
    let push = |version: &str, more: &[&str]| {
        let to = format!("nats://plugins/v@{version}");
        let push = ["push", "v.wasm", &to, "--tag", "live"];
        guarded.site.done(&[&push, more].concat())
    };
    guarded.put("v1", None);
    push("1", &[]);
    assert_refused(&guarded.check("nats://plugins/v@1"), "it has no signature");
    guarded.put("v1", Some(&guarded.good_signature("v1")));
    assert!(push("1", &[]).contains("replaced its signature"));
    assert_eq!(guarded.check("nats://plugins/v@1").code, Some(0));

    let weir = guarded.run("nats://plugins/v@live");
    assert_eq!(guarded.site.result(1), "v1 1");
    guarded.put("v2", None);
    let theirs = guarded.theirs.sign(&versions("v2"));
    guarded.site.file("theirs", theirs);
    push("2", &["--signature", "theirs"]);
    wait_until_refused(&weir, "not signed with any of the keys");
    assert_eq!(guarded.site.result(2), "v1 2");
    guarded.site.file("ours", guarded.good_signature("v2"));
    push("2", &["--signature", "ours"]);
    wait_until("the host has taken it", || swaps(&weir) == 1.0);
    assert_eq!(guarded.site.result(3), "v2 3");

    guarded.assert_pulled_with_its_signature("nats://plugins/v@2");
}

#[test]
fn a_plugin_in_a_registry_runs_only_if_it_was_pushed_with_a_signature() {
    let guarded = Guarded::new();
    let registry = OciRegistry::start();
    let reference = registry.reference("shop/v:live");
    let push = |version: &str, signature: Option<&str>| {
        guarded.put(version, signature);
        guarded.site.done(&["push", "v.wasm", &reference]);
    };
    for (signature, words) in guarded.bad_signatures("v1").into_iter().take(3) {
        push("v1", signature.as_deref());
        assert_refused(&guarded.check(&reference), words);
    }
    push("v1", Some(&guarded.good_signature("v1")));
    assert_eq!(guarded.check(&reference).code, Some(0));

    let weir = guarded.run(&reference);
    assert_eq!(guarded.site.result(1), "v1 1");
    push("v2", None);
    wait_until_refused(&weir, "it has no signature");
    push("v2", Some(&guarded.theirs.sign(&versions("v2"))));
    wait_until_refused(&weir, "not signed with any of the keys");
    assert_eq!(guarded.site.result(2), "v1 2");
    push("v2", Some(&guarded.good_signature("v2")));
    wait_until("the host has taken it", || swaps(&weir) == 1.0);
    assert_eq!(guarded.site.result(3), "v2 3");

    guarded.assert_pulled_with_its_signature(&reference);
}

#[test]
fn what_is_no_signature_is_not_pushed() {
    let guarded = Guarded::new();
    guarded.put("v1", Some("nonsense"));
    let push = ["push", "v.wasm", "nats://plugins/v@1"];
    let pushed = guarded.site.plugin(&push);
    assert_eq!(pushed.code, Some(1), "{pushed:#?}");
    let words = [
        "cannot push `v.wasm`",
        "not a minisign signature",
        "hint: create it with",
    ];
    for word in words {
        assert!(pushed.stderr.contains(word), "{pushed:#?}");
    }
}
