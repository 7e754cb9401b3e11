//! Nothing that weir prints, to whatever end a command comes, has a secret in it: no error, no finding, no
//! log entry of any level, no JSON.

use crate::harness::{Finished, NatsServer, Site, Weir, commands, wait_until};

/// The password of the server's user, and the same as part of a URL.
const PASSWORD: &str = "sw0rd/fi:sh@%1";
const ENCODED: &str = "sw0rd%2Ffi%3Ash%40%251";
const WRONG: &str = "harp00n-of-steel";
const TOKEN: &str = "t0ken-of-the-realm";
const API_KEY: &str = "k3y-of-some-api";
const REGISTRY: &str = "p4ssword-of-docker";
/// `user:p4ssword-of-docker`, as `docker login` stores it.
const REGISTRY_ENCODED: &str = "dXNlcjpwNHNzd29yZC1vZi1kb2NrZXI=";
const JWT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJYIn0.c2lnbmF0dXJl";
const KEY: &str = "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJk5oGZAoYTrxP1e";

/// Those that read a file in ways of their own: with every kind of mistake in it.
const THOROUGH: [&str; 6] = ["run", "check", "dlq ls", "replay", "status", "plugin list"];

/// A server with a user who has a password, and what files may name.
struct Keeper {
    site: Site,
    seed: String,
}

impl Keeper {
    fn new() -> Self {
        let nats = NatsServer::start_with(&format!(
            "authorization {{ users = [ {{ user: all, password: a }}, \
             {{ user: host, password: \"{PASSWORD}\" }} ] }}\nno_auth_user: all"
        ));
        let site = Site::on(nats);
        site.create_streams();
        site.nats.client().publish("in.a", "a message");
        site.nats.client().publish("dead.p", "a dead letter");
        site.file("input.jsonl", "{\"subject\":\"in.a\",\"payload\":\"1\"}\n");
        let seed = nkeys::KeyPair::new_user().seed().unwrap();
        let creds = |seed: &str| {
            format!(
                "-----BEGIN NATS USER JWT-----\n{JWT}\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            )
        };
        site.file("good.creds", creds(&seed));
        site.file("damaged.creds", creds(&seed[..57]));
        site.file("key.pem", format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n"));
        let auths = format!("\"127.0.0.1:9\":{{\"auth\":\"{REGISTRY_ENCODED}\"}}");
        site.file("config.json", format!("{{\"auths\":{{{auths}}}}}"));
        Self { site, seed }
    }

    /// Files, each with secrets in their places or elsewhere. The first two are without mistakes.
    fn files(&self) -> Vec<String> {
        let (port, seed) = (self.site.nats.port(), &self.seed);
        let url = format!("nats://127.0.0.1:{port}");
        let nats = |section: String| format!("nats: {section}\n");
        let with = |keys: &str| nats(format!("{{ url: \"{url}\", {keys} }}"));
        let at = |address: &str| nats(format!("{{ url: \"{address}\" }}"));
        let mut files = vec![
            at(&format!("nats://host:{ENCODED}@127.0.0.1:{port}")),
            with(&format!("user: host, password: {WRONG}")),
            at(&format!("nats://host:{WRONG}@127.0.0.1:{port}9999")),
            at(&format!("nats://host:{WRONG}")),
            at(&format!("https://host:{WRONG}@127.0.0.1:{port}")),
            nats(format!(
                "{{ servers: [\"nats://{TOKEN}@127.0.0.1:1\", \"{WRONG} {TOKEN}\"] }}"
            )),
            nats(WRONG.to_owned()),
            nats(format!("[{WRONG}]")),
            nats(format!("{{ nats://host:{WRONG}@127.0.0.1:{port} }}")),
            with("credentials: good.creds"),
            with("credentials: damaged.creds"),
            with("tls: { cert: key.pem, key: key.pem }"),
        ];
        let keys = [
            "nkey",
            "token",
            "credentials",
            "pasword",
            "password",
            "first",
            "tls",
        ];
        files.extend(keys.map(|key| with(&format!("{key}: {WRONG}"))));
        files.push(with(&format!(
            "token: {TOKEN}, nkey: {seed}, first: {WRONG}"
        )));
        files.push(with(&format!(
            "tls: {{ ca: {WRONG}, cert: {seed}, required: {TOKEN} }}"
        )));
        // In the wrong section, and of the wrong type.
        let values = [
            "lanes",
            "order",
            "drain",
            "batch",
            "retry",
            "key",
            "password",
            "dead-letter",
        ];
        files.extend(values.map(|key| at(&url) + &format!("{key}: \"{WRONG} x\"\n")));
        files.push(at(&url) + &format!("in-flight: {{ max-bytes: {WRONG}, token: {TOKEN} }}\n"));
        files
    }

    /// Writes a file with a plugin that is given a key which it refuses, or with one from a registry.
    fn write(&self, name: &str, top: &str, plugin: &str) {
        let own = ["key:", "order:", "drain:"]
            .iter()
            .any(|key| top.contains(&format!("\n{key}")));
        let retry = if top.contains("\nretry:") || own {
            ""
        } else {
            "retry: { initial: 10ms }\n"
        };
        let dead = if top.contains("\ndead-letter:") {
            ""
        } else {
            "dead-letter: { subject: dead.p }\n"
        };
        let text = format!(
            "name: p\n{top}source: {{ stream: IN, consumer: p }}\noperators:\n  - name: op\n    \
             plugin: {plugin}\nsink: {{ subject: \"out.{{subject}}\" }}\n{retry}{dead}"
        );
        self.site.file(name, text);
    }

    /// Runs a command until it ends, or until its pipelines run.
    fn run(&self, command: &str, arguments: &[&str], more: &[&str]) -> Finished {
        let mut all: Vec<&str> = command.split(' ').collect();
        all.extend(arguments);
        all.extend(more);
        let folder = self.site.folder.path().to_str().unwrap();
        let environment = [("API_KEY", API_KEY), ("DOCKER_CONFIG", folder)];
        let mut weir: Weir = self.site.weir_with(&all, &environment);
        wait_until("the command ends, or runs", || {
            !weir.is_running() || weir.stderr().contains(" running")
        });
        if weir.is_running() {
            weir.interrupt();
        }
        weir.finish()
    }

    #[track_caller]
    fn assert_kept(&self, what: &str, ended: &Finished) {
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        let secrets = [
            PASSWORD,
            ENCODED,
            WRONG,
            TOKEN,
            API_KEY,
            REGISTRY,
            REGISTRY_ENCODED,
            JWT,
            KEY,
            &self.seed,
        ];
        for secret in secrets {
            assert!(
                !printed.contains(secret),
                "{what}: `{secret}` in:\n{printed}"
            );
        }
    }
}

#[test]
fn no_command_prints_a_secret_whatever_is_wrong_with_its_file() {
    let commands = commands::all();
    let keeper = Keeper::new();
    let debug = ["--log-level", "debug,async_nats=trace,oci_client=trace"];
    let given =
        "plugin.wasm\n    config: { \"${API_KEY}\": \"${API_KEY}\", token: t0ken-of-the-realm }";
    for (number, top) in keeper.files().iter().enumerate() {
        let file = format!("{number}.yaml");
        keeper.write(&file, top, if number == 0 { "plugin.wasm" } else { given });
        for (command, arguments) in commands {
            if number > 1 && !THOROUGH.contains(command) {
                continue;
            }
            let mut arguments = commands::with_file(arguments, &file);
            arguments.extend(debug);
            let json: &[&str] = if number % 2 == 0 { &[] } else { &["--json"] };
            let ended = keeper.run(command, &arguments, json);
            keeper.assert_kept(&format!("{command} {arguments:?}\n{top}"), &ended);
        }
    }
}

#[test]
fn no_command_prints_the_credentials_of_an_address_on_its_command_line_and_right_ones_work() {
    let keeper = Keeper::new();
    let port = keeper.site.nats.port();
    let right = format!("nats://host:{ENCODED}@127.0.0.1:{port}");
    let ended = keeper.run("status", &["--nats", &right], &[]);
    keeper.assert_kept("status", &ended);
    // It asked, and there is none.
    assert!(ended.stderr.contains("no host responds"), "{ended:#?}");
    for address in [
        right.clone(),
        format!("nats://host:{WRONG}@127.0.0.1:{port}"),
        format!("nats://host:{WRONG}@127.0.0.1:1"),
        format!("nats://host:{WRONG}@127.0.0.1:999999"),
        format!("nats://host:{WRONG}"),
        format!("nats://{WRONG}@"),
        format!("http://host:{WRONG}@127.0.0.1:{port}"),
    ] {
        for command in [
            "status",
            "plugin list nats://plugins",
            "plugin history",
            "dlq ls 0.yaml",
        ] {
            keeper.write("0.yaml", "", "plugin.wasm");
            for json in [&[][..], &["--json"]] {
                let given = ["--log-level", "debug", "--nats", &address];
                let ended = keeper.run(command, &given, json);
                keeper.assert_kept(&format!("{command} {address}"), &ended);
            }
        }
        // Where no address belongs.
        let ended = keeper.run("status", &[&address, &address], &[]);
        keeper.assert_kept(&format!("status {address} twice"), &ended);
    }
}

#[test]
fn no_command_prints_the_password_of_a_registry() {
    let keeper = Keeper::new();
    let references = [
        "oci://127.0.0.1:9/a/b:1".to_owned(),
        format!("oci://user:{REGISTRY}@127.0.0.1:9/a/b:1"),
        format!("oci://user:{REGISTRY}/x@127.0.0.1:9/a/b:1"),
    ];
    for reference in &references {
        keeper.write("0.yaml", "", reference);
        for command in ["check", "run"] {
            let ended = keeper.run(command, &["0.yaml", "--log-level", "debug"], &[]);
            assert_ne!(ended.code, Some(0), "{ended:#?}");
            keeper.assert_kept(&format!("{command} {reference}"), &ended);
        }
        let pushed = keeper.run("plugin push plugin.wasm", &[reference], &[]);
        keeper.assert_kept("push", &pushed);
    }
}
