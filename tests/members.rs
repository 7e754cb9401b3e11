//! Hosts of a job agree on who owns which partition: each has one owner while hosts join, leave, die and hang,
//! whatever is in their bucket, and nobody takes from another what is his.

mod host;

use crate::harness::{NatsServer, wait_for};
use async_nats::jetstream::stream;
use host::{Host, Ledger};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weir::job::assign::assign;
use weir::nats::members::Member;

pub const PARTITIONS: u16 = 8;
const BUCKET: &str = "KV_weir-members";

/// What a host says of itself, with any partitions.
fn foreign(owned: impl IntoIterator<Item = u16>) -> Member {
    let mut member = Member::new("job", PARTITIONS);
    member.owned = owned.into_iter().collect();
    member.beat = 1;
    member
}

fn json(member: &Member) -> Vec<u8> {
    serde_json::to_vec(member).unwrap()
}

/// Waits until the hosts know each other and each partition has one owner, as all of them say.
#[track_caller]
fn settle(ledger: &Ledger, hosts: &[&Host]) {
    wait_for("each partition has its owner", || {
        let owners = ledger.owners();
        let mut live: Vec<String> = hosts.iter().map(|host| host.id()).collect();
        live.sort_unstable();
        let right = assign(&live, PARTITIONS).into_iter();
        let right: Vec<_> = right.map(|place| Some(live[place].clone())).collect();
        if owners != right {
            return Err(format!("{owners:?}, not {right:?}"));
        }
        for host in hosts {
            let members = host.members();
            let view: BTreeSet<(u16, String)> = members
                .iter()
                .flat_map(|member| {
                    member
                        .owned
                        .iter()
                        .map(|owned| (*owned, member.host.clone()))
                })
                .collect();
            let truth = (0..PARTITIONS)
                .zip(owners.iter().flatten().cloned())
                .collect();
            if members.len() != hosts.len() || view != truth {
                return Err(format!("{owners:?}, and {members:?}"));
            }
        }
        Ok(())
    });
}

/// Waits until every host has heard several times more of all the others.
#[track_caller]
fn hear_of_each_other(hosts: &[&Host]) {
    let beats = || -> BTreeMap<(usize, String), u64> {
        let views = hosts.iter().enumerate();
        let said = views.flat_map(|(place, host)| {
            let members = host.members().into_iter();
            members.map(move |member| ((place, member.host), member.beat))
        });
        said.collect()
    };
    let before = beats();
    assert_eq!(before.len(), hosts.len() * hosts.len());
    wait_for("all are heard of again", || {
        let now = beats();
        let later = |(member, beat): (&(usize, String), &u64)| {
            now.get(member).is_some_and(|now| *now > beat + 3)
        };
        before
            .iter()
            .all(later)
            .then_some(())
            .ok_or(format!("{now:?}"))
    });
}

#[test]
fn hosts_that_join_get_their_share_one_partition_at_a_time_and_leave_it_to_the_others() {
    let server = NatsServer::start();
    let ledger = Arc::new(Ledger::default());
    let start = || Host::start(&server.url(), &ledger);
    let first = start();
    settle(&ledger, &[&first]);
    ledger.count_anew();
    let second = start();
    settle(&ledger, &[&first, &second]);
    let counts = ledger.counts();
    assert_eq!((counts.claims, counts.stolen, counts.most_free), (4, 0, 1));
    let third = start();
    settle(&ledger, &[&first, &second, &third]);
    let counts = ledger.counts();
    // The first two release to the third, and to each other what the bound displaces.
    assert!(counts.most_free <= 3, "{counts:?}");
    assert_eq!(counts.stolen, 0);
    first.leave();
    settle(&ledger, &[&second, &third]);
    second.leave();
    settle(&ledger, &[&third]);
    assert_eq!(ledger.counts().stolen, 0);
}

#[test]
fn partitions_of_a_host_that_dies_or_hangs_go_to_the_others_and_come_back_when_it_goes_on() {
    let server = NatsServer::start();
    let ledger = Arc::new(Ledger::default());
    let start = || Host::start(&server.url(), &ledger);
    let (one, two, three) = (start(), start(), start());
    settle(&ledger, &[&one, &two, &three]);
    three.die();
    settle(&ledger, &[&one, &two]);
    let paused = two.pause();
    settle(&ledger, &[&one]);
    drop(paused);
    // It does not take back what others have meanwhile, but is given it.
    settle(&ledger, &[&one, &two]);
}

#[test]
fn a_restart_of_the_server_and_the_loss_of_the_bucket_move_nothing() {
    let mut server = NatsServer::start();
    let ledger = Arc::new(Ledger::default());
    let start = || Host::start(&server.url(), &ledger);
    let (one, two, three) = (start(), start(), start());
    let all = [&one, &two, &three];
    settle(&ledger, &all);
    ledger.count_anew();
    server.restart();
    hear_of_each_other(&all);
    let client = server.client();
    client
        .run(async { client.jetstream.delete_stream(BUCKET).await })
        .unwrap();
    hear_of_each_other(&all);
    settle(&ledger, &all);
    assert_eq!(ledger.counts().claims, 0);
    assert_eq!(client.count(BUCKET), 3);
}

#[test]
fn hosts_of_a_cluster_agree_while_its_servers_are_killed_in_turn() {
    let mut servers = NatsServer::start_cluster();
    let ledger = Arc::new(Ledger::default());
    // It has a leader once a stream can be created.
    servers[0].client().create_stream("ANY", &["any"]);
    let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
    let urls = urls.join(",");
    let hosts = [0; 3].map(|_| Host::start(&urls, &ledger));
    let all: Vec<&Host> = hosts.iter().collect();
    settle(&ledger, &all);
    let info = servers[0].client().stream_info(BUCKET).unwrap();
    assert_eq!(info.config.num_replicas, 3);
    ledger.count_anew();
    for server in &mut servers {
        server.kill9();
        server.start_again();
        hear_of_each_other(&all);
    }
    settle(&ledger, &all);
    let late = Host::start(&urls, &ledger);
    settle(&ledger, &[&hosts[0], &hosts[1], &hosts[2], &late]);
}

#[test]
fn what_others_write_into_the_bucket_moves_nothing() {
    let server = NatsServer::start();
    let ledger = Arc::new(Ledger::default());
    // Somebody has made the bucket, without its limits.
    server.client().create_stream_with(stream::Config {
        name: BUCKET.to_owned(),
        subjects: vec!["$KV.weir-members.>".to_owned()],
        max_messages_per_subject: 1,
        allow_direct: true,
        ..Default::default()
    });
    let (all, mut later) = (foreign(0..PARTITIONS), foreign(0..PARTITIONS));
    later.beat = u64::MAX;
    let [mut beyond, mut unlike, mut elsewhere] = [0; 3].map(|_| foreign([0]));
    beyond.owned.insert(PARTITIONS);
    unlike.partitions = 9;
    elsewhere.job = "another".to_owned();
    let wrong = br#"{"job":"job","host":7}"#.to_vec();
    let huge = vec![b'x'; 900_000];
    let records = [&all, &later, &beyond, &unlike, &elsewhere].map(json);
    let write = || {
        for (number, bytes) in [vec![0xff, 0, b'{'], Vec::new(), wrong.clone(), huge.clone()]
            .into_iter()
            .chain(records.clone())
            .enumerate()
        {
            let subject = format!("$KV.weir-members.job.{number}");
            let headers: &[u8] = match number % 3 {
                0 => b"",
                1 => b"NATS/1.0 503\r\n\r\n",
                _ => b"NATS/1.0\r\nNats-Num-Pending: \xff\r\nNats-Subject: x\r\n\r\n",
            };
            server.publish_raw(&[(subject.as_bytes(), headers, &bytes)]);
        }
        server.publish_raw(&[(b"$KV.weir-members.job.\xff\xfe", b"", b"{}")]);
    };
    write();
    let one = Host::start(&server.url(), &ledger);
    let two = Host::start(&server.url(), &ledger);
    settle(&ledger, &[&one, &two]);
    ledger.count_anew();
    write();
    hear_of_each_other(&[&one, &two]);
    assert_eq!(ledger.counts().claims, 0);
    let three = Host::start(&server.url(), &ledger);
    settle(&ledger, &[&one, &two, &three]);
    assert_eq!(ledger.counts().stolen, 0);
}

/// A server's configuration in which everybody is a user who may not `what` to `subject`.
fn denying(what: &str, subject: &str) -> String {
    format!(
        "authorization {{ users = [ {{ user: a, password: a, permissions: \
         {{ {what}: {{ deny: [\"{subject}\"] }} }} }} ] }}\nno_auth_user: a"
    )
}

#[test]
fn a_host_that_may_not_use_the_bucket_owns_all_partitions_until_it_may() {
    let server = NatsServer::start_with(&denying("publish", "$KV.>"));
    let ledger = Arc::new(Ledger::default());
    let one = Host::start(&server.url(), &ledger);
    settle(&ledger, &[&one]);
    server.reload(&denying("publish", "any"));
    let two = Host::start(&server.url(), &ledger);
    settle(&ledger, &[&one, &two]);
}

#[test]
fn hosts_that_hear_nothing_agree_by_what_they_read() {
    // As where the bucket is in another domain or account.
    let server = NatsServer::start_with(&denying("subscribe", "$KV.>"));
    let ledger = Arc::new(Ledger::default());
    let start = || Host::start(&server.url(), &ledger);
    let one = start();
    settle(&ledger, &[&one]);
    let two = start();
    settle(&ledger, &[&one, &two]);
    assert_eq!(ledger.counts().stolen, 0);
    one.leave();
    settle(&ledger, &[&two]);
}
