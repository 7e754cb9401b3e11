//! However the path of a plugin comes to lead to other bytes, the host swaps to them, each time.

use crate::harness::guests::versions as version;
use crate::harness::{NatsServer, Site, put, wait_for};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

/// A way: its name, the path of the plugin in its folder, how that comes to be, and how it changes to the
/// version of this number.
struct Way {
    name: &'static str,
    path: &'static str,
    change: fn(&Path, &[u8], usize),
}

/// Points a link to something else, at once.
fn point(link: &Path, to: &str) {
    let beside = link.parent().unwrap().join("new-link");
    symlink(to, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}

fn folder(at: &Path) -> &Path {
    fs::create_dir_all(at).unwrap();
    at
}

const WAYS: &[Way] = &[
    Way {
        name: "a new file takes its place",
        path: "p.wasm",
        change: |at, bytes, _| drop(put(at, "p.wasm", bytes)),
    },
    Way {
        name: "it is written to, and its time is set back",
        path: "p.wasm",
        change: |at, bytes, _| {
            fs::write(at.join("p.wasm"), bytes).unwrap();
            let file = fs::File::options().write(true).open(at.join("p.wasm"));
            file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        },
    },
    Way {
        name: "it is deleted, and made again",
        path: "p.wasm",
        change: |at, bytes, _| {
            let _ = fs::remove_file(at.join("p.wasm"));
            fs::write(at.join("p.wasm"), bytes).unwrap();
        },
    },
    Way {
        name: "it is a link",
        path: "p.wasm",
        change: |at, bytes, number| {
            put(at, &format!("{number}.wasm"), bytes);
            point(&at.join("p.wasm"), &format!("{number}.wasm"));
        },
    },
    Way {
        name: "it is a link to a link elsewhere",
        path: "p.wasm",
        change: |at, bytes, number| {
            put(
                folder(&at.join("far/away")),
                &format!("{number}.wasm"),
                bytes,
            );
            point(&at.join("far/current"), &format!("away/{number}.wasm"));
            point(&at.join("p.wasm"), "far/current");
        },
    },
    Way {
        name: "only the last of three links is another",
        path: "p.wasm",
        change: |at, bytes, number| {
            put(
                folder(&at.join("far/away")),
                &format!("{number}.wasm"),
                bytes,
            );
            point(&at.join("far/current"), &format!("away/{number}.wasm"));
            if number == 0 {
                symlink("far/current", at.join("near")).unwrap();
                symlink("near", at.join("p.wasm")).unwrap();
            }
        },
    },
    Way {
        name: "a volume of Kubernetes",
        path: "p.wasm",
        change: |at, bytes, number| {
            put(folder(&at.join(format!("..{number}"))), "p.wasm", bytes);
            point(&at.join("..data"), &format!("..{number}"));
            if number == 0 {
                symlink("..data/p.wasm", at.join("p.wasm")).unwrap();
            }
        },
    },
    Way {
        name: "a volume of Kubernetes with a path",
        path: "sub/p.wasm",
        change: |at, bytes, number| {
            put(folder(&at.join(format!("..{number}/sub"))), "p.wasm", bytes);
            point(&at.join("..data"), &format!("..{number}"));
            if number == 0 {
                symlink("..data/sub", at.join("sub")).unwrap();
            } else {
                fs::remove_dir_all(at.join(format!("..{}", number - 1))).unwrap();
            }
        },
    },
    Way {
        name: "its folder is renamed, and another takes its place",
        path: "now/p.wasm",
        change: |at, bytes, number| {
            put(folder(&at.join("next")), "p.wasm", bytes);
            let _ = fs::rename(at.join("now"), at.join(format!("then-{number}")));
            fs::rename(at.join("next"), at.join("now")).unwrap();
        },
    },
    Way {
        name: "a folder far above is another",
        path: "releases/current/a/b/p.wasm",
        change: |at, bytes, number| {
            put(
                folder(&at.join(format!("releases/{number}/a/b"))),
                "p.wasm",
                bytes,
            );
            point(&at.join("releases/current"), &number.to_string());
        },
    },
    Way {
        name: "its folder is deleted, and made again",
        path: "a/b/p.wasm",
        change: |at, bytes, _| {
            let _ = fs::remove_dir_all(at.join("a"));
            put(folder(&at.join("a/b")), "p.wasm", bytes);
        },
    },
    Way {
        name: "it is written to under another name",
        path: "here/p.wasm",
        change: |at, bytes, number| {
            fs::write(folder(&at.join("there")).join("q.wasm"), bytes).unwrap();
            if number == 0 {
                fs::create_dir(at.join("here")).unwrap();
                fs::hard_link(at.join("there/q.wasm"), at.join("here/p.wasm")).unwrap();
            }
        },
    },
];

#[test]
fn a_host_follows_a_path_that_leads_to_a_first_a_second_and_a_third_other_version() {
    let site = Site::on(NatsServer::start());
    site.create_streams();
    let mut pipelines = Vec::new();
    for (index, way) in WAYS.iter().enumerate() {
        let at = site.path(&format!("way-{index}"));
        (way.change)(folder(&at), &version(&format!("{index}-0")), 0);
        pipelines.push(format!(
            "name: w{index}\nnats: {{ url: \"{}\" }}\nsource: {{ stream: IN, consumer: w{index}, \
             subjects: [in.{index}] }}\noperators:\n  - {{ name: op, plugin: way-{index}/{}, \
             rollout: {{ probation: 0s }}, limits: {{ deadline: 1m }} }}\n\
             sink: {{ subject: out.{index} }}\ndead-letter: {{ subject: dead.{index} }}\n",
            site.nats.url(),
            way.path,
        ));
    }
    let file = site.file("p.yaml", pipelines.join("---\n"));
    let weir = site.run(&file);
    for number in 1..=3 {
        for (index, way) in WAYS.iter().enumerate() {
            let at = site.path(&format!("way-{index}"));
            (way.change)(&at, &version(&format!("{index}-{number}")), number);
        }
        for (index, way) in WAYS.iter().enumerate() {
            let digest = blake3::hash(&version(&format!("{index}-{number}"))).to_hex();
            wait_for(&format!("{}: swap {number}", way.name), || {
                let log = weir.stderr();
                let swapped = log
                    .lines()
                    .any(|line| line.contains("swapped") && line.contains(digest.as_str()));
                if swapped { Ok(()) } else { Err(log) }
            });
        }
    }
}

#[test]
fn what_is_no_file_or_too_large_is_not_read_and_the_old_version_goes_on() {
    let site = Site::new();
    let file = site.pipeline("");
    let mut weir = site.run(&file);
    // A device without end.
    point(&site.path("plugin.wasm"), "/dev/zero");
    weir.wait_until_output("it is not a file");
    let large = fs::File::create(site.path("large")).unwrap();
    large.set_len(1 << 40).unwrap();
    point(&site.path("plugin.wasm"), "large");
    weir.wait_until_output("it is larger than");
    site.nats.client().publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
    let ended = site.weir(&["check", "p.yaml"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
}
