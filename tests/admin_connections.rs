//! Whoever reaches the ports of a host can take neither its answers nor its descriptors.

use crate::harness::weir::get;
use crate::harness::{Site, Weir, wait_for};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::TcpStream;

/// More than a process with `ulimit -n 1024` can hold.
const FLOOD: usize = 1100;

const FREE: [&str; 3] = [
    "p.yaml",
    "--metrics-listen=127.0.0.1:0",
    "--admin-listen=127.0.0.1:0",
];

/// Starts the usual pipeline in a shell with this limit.
fn run_with(site: &Site, limit: &str) -> Weir {
    site.pipeline("");
    let arguments = [&["run"][..], &FREE].concat();
    let mut weir = Weir::start_in_shell(site.folder.path(), limit, &arguments);
    weir.wait_until_output("running");
    weir
}

/// Connections that say nothing, which whoever accepts them may close.
fn idle(address: &str) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(address).unwrap();
    (0..FLOOD).map(connect).collect()
}

#[test]
fn a_flood_of_idle_connections_takes_neither_an_answer_nor_the_connection_to_nats() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let own = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, own).unwrap();
    let mut site = Site::new();
    let weir = run_with(&site, "ulimit -n 1024");
    let addresses = ["metrics", "status"].map(|page| weir.address_of(page));
    let floods = [idle(&addresses[0]), idle(&addresses[1])];
    assert_eq!(get(&addresses[0], "/ready").0, 200);
    assert_eq!(get(&addresses[1], "/status").0, 200);

    site.nats.restart();
    site.nats.client().publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
    wait_for("the host is ready", || match get(&addresses[0], "/ready") {
        (200, _) => Ok(()),
        (status, text) => Err(format!("{status}: {text}")),
    });
    drop(floods);
}

#[test]
fn a_connection_on_which_no_request_comes_is_closed() {
    let site = Site::new();
    let weir = site.run(&site.pipeline(""));
    for start in ["", "GET /ready HTTP/1.1\r\nHost: "] {
        let mut connection = TcpStream::connect(weir.address_of("metrics")).unwrap();
        connection.write_all(start.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Comes to an end because the host closes it.
        let _ = connection.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}

#[test]
fn a_host_takes_as_many_descriptors_as_it_may() {
    let site = Site::new();
    let weir = run_with(&site, "ulimit -Sn 300");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", weir.pid())).unwrap();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let numbers: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert_eq!(numbers[0], numbers[1]);
    assert_ne!(numbers[0], "300");
}
