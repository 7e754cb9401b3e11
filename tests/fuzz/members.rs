//! What hosts say of themselves in the bucket of members: whatever stands there, a host goes on, and takes and follows
//! nothing that its job does not have.

use crate::engine::Target;
use weir::job::handover::Handover;
use weir::nats::members::Member;

const JOB: &str = "p";
const PARTITIONS: u16 = 8;

const ONE: &str = r#"{"job":"p","host":"a","name":"h/1","partitions":8,"owned":[0,3],"wants":2,"standby":{"1":17},"left":false,"beat":3,"at":"2026-11-26T10:00:00Z"}"#;
const LATER: &str = r#"{"job":"p","host":"a","name":"h/1","partitions":8,"owned":[0,1,2,3,4,5,6,7],"wants":null,"standby":{},"left":false,"beat":4,"at":""}"#;
const LEFT: &str = r#"{"job":"p","host":"a","name":"h/1","partitions":8,"owned":[],"left":true,"beat":18446744073709551615,"at":""}"#;
const OTHER: &str =
    r#"{"job":"p","host":"b","name":"h/2","partitions":8,"owned":[4],"wants":5,"beat":1,"at":""}"#;

const TOKENS: &[&str] = &[
    "\n",
    ONE,
    LATER,
    LEFT,
    OTHER,
    "null",
    "true",
    "-1",
    "7",
    "8",
    "65535",
    "65536",
    "18446744073709551615",
    "\"a\"",
    "\"b\"",
    "\"\"",
    "[]",
    "{}",
    "\"host\":",
    "\"owned\":",
    "\"wants\":",
    "\"standby\":",
    "\"partitions\":",
    "\"beat\":",
];

#[test]
fn whatever_other_hosts_say_a_host_owns_only_partitions_of_its_job() {
    let seeds = [
        [ONE, LATER, LEFT].join("\n"),
        [ONE, OTHER, OTHER, LATER].join("\n"),
        [LEFT, ONE, "", OTHER].join("\n\n"),
    ];
    Target {
        name: "members",
        seeds: seeds.map(String::into_bytes).to_vec(),
        tokens: TOKENS,
        runs: 5_000,
        check,
    }
    .run();
}

/// Each line is what a host says; an empty one is a beat of the own host, which has read what all have said.
fn check(bytes: &[u8]) -> String {
    let mut me = Member::new(JOB, PARTITIONS);
    "me".clone_into(&mut me.host);
    let mut handover = Handover::new(me, 1);
    let mut said = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        match Member::read(line, JOB) {
            Some(member) => {
                said.push(member.clone());
                handover.hear(member);
            }
            None if line.is_empty() => drop(handover.beat(said.clone())),
            None => continue,
        }
        for partition in handover.assigned().clone() {
            handover.set_owned(partition, true);
        }
        let all = handover.assigned().iter().chain(handover.standby());
        assert!(all.copied().all(|partition| partition < PARTITIONS));
        assert!(handover.assigned().is_disjoint(handover.standby()));
        let own = handover.say();
        assert_eq!(
            Member::read(&serde_json::to_vec(&own).unwrap(), JOB),
            Some(own)
        );
    }
    // Whoever is silent is taken for gone.
    for _ in 0..100 {
        handover.beat(Vec::new());
    }
    assert_eq!(handover.assigned().len(), usize::from(PARTITIONS));
    format!("{} {}", said.len().min(5), handover.members().count())
}
