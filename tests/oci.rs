//! Plugins in a registry of OCI artifacts: in the layout that other clients read and write, by tag or
//! by digest, and never other bytes than the digest's.

use crate::harness::certificates::Authority;
use crate::harness::guests::versions;
use crate::harness::{Finished, OciRegistry, Site, Weir, swaps, wait_until};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// A registry, and a folder with files to push.
struct Shop {
    site: Site,
    registry: OciRegistry,
}

impl Shop {
    fn new() -> Self {
        Self::on(OciRegistry::start())
    }

    fn on(registry: OciRegistry) -> Self {
        let site = Site::bare();
        for name in ["v1", "v2"] {
            site.file(name, versions(name));
        }
        Self { site, registry }
    }

    /// Pushes and returns the digest of the manifest.
    #[track_caller]
    fn push(&self, file: &str, rest: &str) -> String {
        let pushed = self
            .site
            .done(&["push", file, &self.registry.reference(rest), "--json"]);
        let pushed: Value = serde_json::from_str(&pushed).unwrap();
        pushed["manifest"].as_str().unwrap().to_owned()
    }

    fn manifest(&self, repository: &str, reference: &str) -> Value {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.registry.ask("GET", &path, MANIFEST, b"");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), MANIFEST);
        answer.json()
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.site.path(file)).unwrap()
    }

    /// Stores bytes as a client of another making does. Returns the digest.
    fn store(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.registry.ask("POST", &path, LAYER, b"");
        let place = begun.header("location").to_owned();
        let (_, path) = place.split_once("/v2/").unwrap();
        let path = format!("/v2/{path}&digest={digest}");
        let stored = self
            .registry
            .ask("PUT", &path, "application/octet-stream", bytes);
        assert_eq!(stored.status, 201);
        digest
    }

    /// An artifact as others make it, with one layer of this type.
    fn store_artifact(&self, repository: &str, tag: &str, layer: &str, bytes: &[u8]) {
        let digest = self.store(repository, bytes);
        let config = json!({
            "created": "2026-11-22T00:00:00.000000000Z",
            "author": null,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [digest],
            "component": { "exports": [], "imports": [], "target": null },
        });
        let config = config.to_string();
        let described = self.store(repository, config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": described, "size": config.len() },
            "layers": [{ "mediaType": layer, "digest": digest, "size": bytes.len() }],
            "annotations": { "org.opencontainers.image.version": tag },
        });
        let path = format!("/v2/{repository}/manifests/{tag}");
        let manifest = manifest.to_string();
        let stored = self
            .registry
            .ask("PUT", &path, MANIFEST, manifest.as_bytes());
        assert_eq!(stored.status, 201);
    }

    /// `weir check` of a pipeline with this plugin.
    fn check(&self, reference: &str) -> Finished {
        self.site.pipeline_but(&[("plugin.wasm", reference)], "");
        self.site.weir(&["check", "p.yaml"])
    }
}

/// With the program of that name, so that the test has its own opinion.
fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut program = std::process::Command::new("sha256sum");
    let said = program.arg(file.path()).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    format!("sha256:{}", said.split(' ').next().unwrap())
}

#[track_caller]
fn assert_refused(finished: &Finished, words: &[&str]) {
    assert!(finished.code > Some(0), "{finished:#?}");
    let text = format!("{}{}", finished.stdout, finished.stderr);
    for word in words {
        assert!(text.contains(word), "{word}: {finished:#?}");
    }
}

#[test]
fn a_component_is_pushed_listed_and_pulled_and_a_tag_that_moves_is_said() {
    let shop = Shop::new();
    let reference = shop.registry.reference("shop/versions:1.0.0");
    let first = shop.push("v1", "shop/versions:1.0.0");
    let again = shop
        .site
        .done(&["push", "v1", &reference, "--tag", "stable"]);
    assert_eq!(again, format!("{reference}@{first}, already there\n"));
    let moved = shop.site.done(&["push", "v2", &reference]);
    assert!(
        moved.ends_with(&format!(", moved from {first}\n")),
        "{moved}"
    );

    // The same bytes are the same manifest, when and wherever they are pushed.
    assert_eq!(shop.push("v1", "shop/other:7"), first);

    let repository = shop.registry.reference("shop/versions");
    assert_eq!(shop.site.done(&["list", &repository]), "1.0.0\nstable\n");
    shop.site.done(&["pull", &reference]);
    assert_eq!(shop.read("versions.wasm"), versions("v2"));
    for (rest, version) in [("stable", "v1"), (&format!("1.0.0@{first}"), "v1")] {
        let reference = format!("{repository}:{rest}");
        shop.site.done(&["pull", &reference, "-o", "pulled.wasm"]);
        assert_eq!(shop.read("pulled.wasm"), versions(version), "{rest}");
    }
}

#[test]
fn what_is_pushed_has_the_layout_that_other_clients_read() {
    let shop = Shop::new();
    let digest = shop.push("v1", "shop/versions:1");
    let manifest = shop.manifest("shop/versions", "1");
    assert_eq!(manifest, shop.manifest("shop/versions", &digest));
    let bytes = versions("v1");
    let layer = sha256(&bytes);
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], MANIFEST);
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    let layers = json!([{ "mediaType": LAYER, "digest": layer, "size": bytes.len() }]);
    assert_eq!(manifest["layers"], layers);

    let blob = |digest: &Value| {
        let path = format!("/v2/shop/versions/blobs/{}", digest.as_str().unwrap());
        shop.registry.ask("GET", &path, "*/*", b"")
    };
    assert_eq!(blob(&json!(layer)).body, bytes);
    let config = blob(&manifest["config"]["digest"]).json();
    let fields: Vec<&str> = config
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "created",
        "author",
        "architecture",
        "os",
        "layerDigests",
        "component",
    ];
    assert_eq!(fields, expected);
    assert!(config["created"].as_str().unwrap().ends_with('Z'));
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(config["os"], "wasip2");
    assert_eq!(config["layerDigests"], json!([layer]));
    let component = &config["component"];
    assert_eq!(component["target"], "weir:plugin/operator@0.1.0");
    let exports = component["exports"].as_array().unwrap();
    assert!(
        exports.contains(&json!("weir:plugin/handler@0.1.0")),
        "{exports:?}"
    );
    assert!(component["imports"].is_array());
}

#[test]
fn what_other_clients_have_pushed_runs() {
    let shop = Shop::new();
    let older = "application/vnd.wasm.content.layer.v1+wasm";
    for (tag, layer) in [("new", LAYER), ("old", older)] {
        shop.store_artifact("theirs/versions", tag, layer, &versions("v1"));
        let reference = shop.registry.reference(&format!("theirs/versions:{tag}"));
        shop.site.pipeline_but(&[("plugin.wasm", &reference)], "");
        let line = "{\"subject\": \"in.a\", \"text\": \"7\"}\n";
        let folder = shop.site.folder.path();
        let piped = Weir::run_with_input(folder, &["pipe", "p.yaml"], line);
        assert_eq!(piped.code, Some(0), "{piped:#?}");
        assert!(piped.stdout.contains("v1 7"), "{piped:#?}");
    }
    shop.store_artifact("theirs/text", "1", "text/plain", b"no component");
    let refused = shop.check(&shop.registry.reference("theirs/text:1"));
    let words = [
        "it does not contain a component, but `text/plain`",
        "hint: push the component",
    ];
    assert_refused(&refused, &words);
}

#[test]
fn a_host_runs_a_plugin_from_a_registry_and_takes_what_its_tag_names_next() {
    let shop = Shop::new();
    shop.site.create_streams();
    shop.push("v1", "shop/versions:live");
    let reference = shop.registry.reference("shop/versions:live");
    let file = shop.site.pipeline_but(&[("plugin.wasm", &reference)], "");
    let mut weir = shop.site.start(&file, &[("WEIR_OCI_POLL_MS", "50")]);
    weir.wait_until_output("running");
    assert_eq!(shop.site.result(1), "v1 1");
    let digest = shop.push("v2", "shop/versions:live");
    wait_until("the host has taken it", || swaps(&weir) == 1.0);
    assert_eq!(shop.site.result(2), "v2 2");
    let history = shop.site.history();
    assert_eq!(history[0]["origin"], format!("{reference} ({digest})"));
}

#[test]
fn bytes_that_are_not_those_of_their_digest_are_refused() {
    let shop = Shop::new();
    let digest = shop.push("v1", "shop/versions:1");
    let whole = shop
        .registry
        .reference(&format!("shop/versions:1@{digest}"));
    assert_eq!(shop.check(&whole).code, Some(0));
    let words = ["its bytes do not match its digest", "hint: do not run it"];

    let layer = sha256(&versions("v1"));
    shop.registry.falsify(&layer, &versions("v2"));
    assert_refused(&shop.check(&whole), &words);
    assert_refused(&shop.site.plugin(&["pull", &whole]), &words);
    shop.registry.falsify(&layer, &versions("v1"));
    assert_eq!(shop.check(&whole).code, Some(0));

    let mut other = shop.manifest("shop/versions", "1");
    other["annotations"] = json!({ "by": "somebody else" });
    shop.registry.falsify(&digest, other.to_string().as_bytes());
    assert_refused(&shop.check(&whole), &words);
}

#[test]
fn what_cannot_be_had_is_said_with_a_way_out() {
    let shop = Shop::new();
    shop.push("v1", "shop/versions:1");
    let of = |rest: &str| shop.registry.reference(rest);
    let list = format!("hint: see `weir plugin list {}`", of("shop/versions"));
    let tag = shop.check(&of("shop/versions:2"));
    assert_refused(&tag, &["there is no such tag", &list]);
    let digest = format!("shop/versions@sha256:{}", "0".repeat(64));
    let digest = shop.check(&of(&digest));
    assert_refused(&digest, &["there is nothing with this digest", &list]);
    let repository = shop.site.plugin(&["list", &of("shop/nothing")]);
    assert_refused(&repository, &["cannot list", "there is no such repository"]);
    for (arguments, words) in [
        (["push", "v1", &of("shop/versions")], "has no `:tag`"),
        (
            ["pull", &of("shop/versions"), "-ox"],
            "neither a `:tag` nor an `@digest`",
        ),
        (
            ["list", &of("shop/versions:1"), "--json"],
            "is not a repository",
        ),
    ] {
        let finished = shop.site.plugin(&arguments);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert_refused(&finished, &[words]);
    }
    let nowhere = of("shop/versions:1");
    drop(shop.registry);
    let down = shop.site.plugin(&["pull", &nowhere]);
    assert_refused(
        &down,
        &[
            "cannot be reached",
            "Connection refused",
            "hint: check whether",
        ],
    );
}

#[test]
fn a_registry_gets_the_credentials_of_docker_login() {
    let shop = Shop::on(OciRegistry::start_closed());
    let reference = shop.registry.reference("shop/versions:1");
    let words = ["denies access", "hint: log in with `docker login"];
    assert_refused(&shop.site.plugin(&["push", "v1", &reference]), &words);
    assert_refused(&shop.site.plugin(&["pull", &reference]), &words);
    // The words behind it are base64 of `shop:wrong` and `shop:secret`.
    for (auth, code) in [("c2hvcDp3cm9uZw==", 1), ("c2hvcDpzZWNyZXQ=", 0)] {
        let logged_in = json!({ "auths": { shop.registry.name(): { "auth": auth } } });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), logged_in.to_string()).unwrap();
        let environment = [("DOCKER_CONFIG", folder.path().to_str().unwrap())];
        for arguments in [["push", "v1", &reference], ["pull", &reference, "-opulled"]] {
            let all = [&["plugin"], &arguments[..]].concat();
            let finished = shop.site.weir_with(&all, &environment).finish();
            assert_eq!(finished.code, Some(code), "{finished:#?}");
            if code == 1 {
                assert_refused(&finished, &words);
            }
        }
    }
    assert_eq!(shop.read("pulled"), versions("v1"));
}

#[test]
fn a_registry_that_is_not_this_machine_is_spoken_to_over_tls() {
    let authority = Authority::new("tests");
    let signed = authority.sign("registry", &["0.0.0.0"]);
    // An address that leads here, and is not one of loopback.
    let reference = |shop: &Shop| format!("oci://0.0.0.0:{}/shop/versions:1", shop.registry.port());
    let shop = Shop::on(OciRegistry::start_tls(&signed.certificate, &signed.key));
    let ca = format!(
        "nats: {{ tls: {{ ca: {} }}, ",
        authority.certificate().display()
    );
    let changes = [("nats: { ", &*ca), ("plugin.wasm", &reference(&shop))];
    shop.site.pipeline_but(&changes, "");
    let push = ["push", "v1", &reference(&shop), "--file", "p.yaml"];
    shop.site.done(&push);
    let checked = shop.site.weir(&["check", "p.yaml"]);
    assert_eq!(checked.code, Some(0), "{checked:#?}");

    let unknown = shop.site.plugin(&["pull", &reference(&shop)]);
    assert_refused(&unknown, &["cannot be reached", "UnknownIssuer"]);
    let plain = Shop::new();
    let refused = plain.site.plugin(&["push", "v1", &reference(&plain)]);
    assert_refused(&refused, &["cannot be reached"]);
}
