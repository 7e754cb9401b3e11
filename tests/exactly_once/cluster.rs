//! What operates a job on three servers goes on when one of them dies.

use super::operate::KEYS;
use crate::cli::json;
use crate::harness::{NatsServer, Site, wait_until};

#[test]
fn a_savepoint_on_three_servers_outlives_one_of_them_and_the_job_goes_on_from_it() {
    let [first, _second, mut third] = NatsServer::start_cluster();
    let site = Site::on(first);
    site.create_streams_on(3);
    let file = site.stateful("partitions: 3\n");
    let weir = site.keep_job(&file);
    site.count_each(20);
    site.wait_for_counts("OUT", 20);
    let made = ["savepoint", "create", "p", "--name", "s", "--json"];
    let made = json(&site.operate(&made).stdout);
    assert_eq!(made["state"]["keys"], KEYS as u64, "{made}");
    let bucket = site.nats.client().stream_info("OBJ_weir-savepoints");
    assert_eq!(bucket.unwrap().config.num_replicas, 3);
    site.count_each(20);
    site.wait_for_counts("OUT", 40);
    weir.terminate();
    weir.finish();
    third.kill9();
    // The servers that are left may have to elect leaders.
    let restore = ["job", "savepoint", "restore", "p", "s", "--yes"];
    wait_until("it is restored", || site.weir(&restore).code == Some(0));
    let _weir = site.keep_job(&file);
    site.wait_for_messages("OUT", 60 * KEYS as u64);
    // What came behind the savepoint comes again, and nothing else.
    let expected: Vec<u64> = (1..=40).chain(21..=40).collect();
    for counts in site.counts("OUT").values() {
        assert_eq!(*counts, expected);
    }
}
