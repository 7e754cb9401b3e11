//! A key of a job belongs to the key group that the server computes for it, so either of them may deal out
//! messages to partitions.

use crate::harness::NatsServer;
use async_nats::jetstream::stream::{Config, SubjectTransform};
use weir::state::{Group, Groups};

#[test]
fn the_server_and_the_host_agree_on_the_group_of_every_key() {
    let server = NatsServer::start();
    let client = server.client();
    client.create_stream_with(Config {
        name: "IN".to_owned(),
        subjects: vec!["in.>".to_owned()],
        subject_transform: Some(SubjectTransform {
            source: "in.*".to_owned(),
            destination: "group.{{partition(1024,1)}}.{{wildcard(1)}}".to_owned(),
        }),
        ..Config::default()
    });
    let odd = [
        "a",
        "~",
        "caf\u{e9}",
        "\u{1f980}",
        "a-b_c=d/e",
        "$x",
        "{{y}}",
    ];
    let long = "k".repeat(2000);
    let keys = odd.into_iter().chain([&*long]).map(str::to_owned);
    let keys: Vec<String> = keys
        .chain((0..500).map(|number| format!("user-{number}")))
        .collect();
    client.publish_all(keys.iter().map(|key| (format!("in.{key}"), "")));
    let stored = client.messages("IN");
    assert_eq!(stored.len(), keys.len());
    for (key, message) in keys.iter().zip(stored) {
        let group = Group::of(key.as_bytes());
        let expected = format!("group.{}.{key}", group.number());
        assert_eq!(message.subject, expected);
        let owners = (0..7).filter(|partition| {
            let groups = Groups::of_partition(*partition, 7).unwrap();
            groups.position(group).is_some()
        });
        assert_eq!(owners.collect::<Vec<_>>(), [group.partition(7)], "{key}");
    }
}
