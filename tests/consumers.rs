//! A consumer that somebody else has made is kept as it is where a pipeline can use it, refused with the
//! reason where not, and never changed without a word. Limits of the server, the account and the consumer
//! are kept to, or refused with the key that mends it.

use crate::harness::{NatsServer, SHORT_ACK_WAIT, Site, series, wait_until};
use async_nats::jetstream::consumer::{self, AckPolicy, PriorityPolicy, pull, push};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Makes the consumer `p` of `IN` by hand.
fn by_hand(site: &Site, config: pull::Config) {
    let client = site.nats.client();
    let config = pull::Config {
        durable_name: Some("p".to_owned()),
        ..config
    };
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.create_consumer(config).await.unwrap();
    });
}

fn config(site: &Site) -> consumer::Config {
    site.nats.client().consumer("IN", "p").unwrap().config
}

#[test]
fn a_consumer_made_by_hand_is_kept_as_it_is_and_what_one_should_know_of_it_is_said() {
    let site = Site::new();
    let client = site.nats.client();
    by_hand(
        &site,
        pull::Config {
            description: Some("by hand".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(7),
            backoff: vec![Duration::from_secs(7), Duration::from_secs(20)],
            max_deliver: 9,
            filter_subject: "in.a".to_owned(),
            sample_frequency: 50,
            max_waiting: 77,
            max_ack_pending: 33,
            headers_only: true,
            max_batch: 7,
            max_bytes: 100_000,
            max_expires: Duration::from_secs(3),
            inactive_threshold: HOUR,
            memory_storage: true,
            metadata: [("team".to_owned(), "orders".to_owned())].into(),
            ..pull::Config::default()
        },
    );
    let before = config(&site);
    let weir = site.run(&site.pipeline(""));
    client.publish_all((0..30).map(|_| ("in.a", "x")));
    client.publish("in.b", "x");
    let results = site.wait_for_messages("OUT", 30);
    assert!(
        results
            .iter()
            .all(|one| one.subject == "out.in.a" && one.payload.is_empty())
    );
    site.wait_until_settled();
    assert_eq!(config(&site), before);
    let said = weir.stderr();
    for words in [
        "its backoff replaces ack-wait: 7s at least",
        "its max-ack-pending is 33",
        "it delivers only `in.a`",
        "gives a message up after 9 deliveries",
        "headers without payloads",
        "deletes it, with its position",
    ] {
        let line = format!("consumer `p` of stream `IN` is kept as it is: {words}");
        let words_follow = said
            .lines()
            .any(|it| it.contains("is kept as it is") && it.contains(words));
        assert!(words_follow, "{line}\n{said}");
    }
    assert_eq!(weir.metric(&series("pull_errors_total")), 0.0, "{said}");
}

#[test]
fn in_progress_goes_by_the_ack_wait_that_the_consumer_really_has() {
    let site = Site::new();
    let ack_wait = Duration::from_secs(10);
    by_hand(
        &site,
        pull::Config {
            ack_wait,
            ..pull::Config::default()
        },
    );
    let weir = site.run(&site.pipeline(""));
    site.nats.client().publish("in.a", "slow:14000");
    site.wait_for_messages("OUT", 1);
    site.wait_until_settled();
    assert_eq!(config(&site).ack_wait, ack_wait);
    assert_eq!(weir.metric(&series("redelivered_total")), 0.0);
    assert!(weir.metric(&series("in_progress_sent_total")) > 0.0);
}

#[test]
fn what_the_file_says_is_changed_and_said_and_nothing_else_is() {
    let site = Site::new();
    by_hand(
        &site,
        pull::Config {
            max_deliver: 9,
            max_ack_pending: 33,
            filter_subject: "in.a".to_owned(),
            ..pull::Config::default()
        },
    );
    let says = (
        "consumer: p",
        "consumer: p, ack-wait: 5s, subjects: [in.b, in.c]",
    );
    let weir = site.run(&site.pipeline_but(&[says], ""));
    let after = config(&site);
    assert_eq!(after.filter_subjects, ["in.b", "in.c"]);
    assert_eq!((after.max_deliver, after.max_ack_pending), (9, 33));
    assert_eq!(after.ack_wait, Duration::from_secs(5));
    let said = weir.stderr();
    let change = "filter from `in.a` to `in.b`, `in.c`, ack-wait from 30s to 5s";
    assert!(
        said.contains(&format!("changing consumer `p` of stream `IN`: {change}")),
        "{said}"
    );
}

#[test]
fn a_consumer_that_weir_has_made_follows_the_file_and_keeps_what_was_added_by_hand() {
    let site = Site::new();
    let client = site.nats.client();
    let first = site.run(&site.pipeline_but(&[SHORT_ACK_WAIT], ""));
    assert!(!first.stderr().contains("changing consumer"));
    drop(first);
    let added = consumer::Config {
        max_batch: 50,
        ..config(&site)
    };
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.create_consumer(added).await.unwrap();
    });
    let second = site.run(&site.pipeline(""));
    let after = config(&site);
    assert_eq!(
        (after.ack_wait, after.max_batch),
        (Duration::from_secs(30), 50)
    );
    let said = second.stderr();
    assert!(
        said.contains("changing consumer `p` of stream `IN`: ack-wait from 5s to 30s"),
        "{said}"
    );
}

#[test]
fn a_consumer_that_a_pipeline_cannot_use_is_refused_with_the_reason_and_left_alone() {
    let site = Site::new();
    let client = site.nats.client();
    let push = push::Config {
        durable_name: Some("p".to_owned()),
        deliver_subject: "push.p".to_owned(),
        ..push::Config::default()
    };
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.create_consumer(push).await.unwrap();
    });
    let refused = |why: &str| {
        let before = config(&site);
        let ended = site.weir(&["run", site.pipeline("").to_str().unwrap()]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(
            ended
                .stderr
                .contains("cannot use consumer `p` of stream `IN`"),
            "{ended:#?}"
        );
        assert!(ended.stderr.contains(why), "{ended:#?}");
        assert!(
            ended
                .stderr
                .contains("hint: name another `source.consumer`"),
            "{ended:#?}"
        );
        assert_eq!(config(&site), before);
        client
            .run(client.jetstream.delete_consumer_from_stream("p", "IN"))
            .unwrap();
    };
    refused("it is a push consumer");
    by_hand(
        &site,
        pull::Config {
            ack_policy: AckPolicy::None,
            ..pull::Config::default()
        },
    );
    refused("its ack policy is None");
    by_hand(
        &site,
        pull::Config {
            priority_policy: PriorityPolicy::Overflow,
            priority_groups: vec!["others".to_owned()],
            ..pull::Config::default()
        },
    );
    refused("its priority policy is Overflow");
}

#[test]
fn a_consumer_that_the_pipeline_had_while_it_was_ordered_at_least_once_is_read_without_a_pin() {
    let site = Site::new();
    by_hand(
        &site,
        pull::Config {
            description: Some("weir pipeline p".to_owned()),
            priority_policy: PriorityPolicy::PinnedClient,
            priority_groups: vec!["weir".to_owned()],
            ..pull::Config::default()
        },
    );
    let client = site.nats.client();
    client.publish_all((0..10).map(|number| ("in.a", number.to_string())));
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("OUT", 10);
    let said = weir.stderr();
    let words = "priority policy from PinnedClient to None";
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_host_asks_for_as_many_messages_as_it_may() {
    let limits = "jetstream { limits { max_request_batch: 100 } }";
    let site = Site::on(NatsServer::start_with(limits));
    site.create_streams();
    let client = site.nats.client();
    client.publish_all((0..300).map(|number| ("in.a", number.to_string())));
    let weir = site.run(&site.pipeline(""));
    site.wait_for_messages("OUT", 300);
    site.wait_until_settled();
    assert_eq!(
        weir.metric(&series("pull_errors_total")),
        0.0,
        "{}",
        weir.stderr()
    );

    // A limit that comes while it runs.
    let less = consumer::Config {
        max_batch: 7,
        max_expires: Duration::from_secs(1),
        ..config(&site)
    };
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.create_consumer(less).await.unwrap();
    });
    client.publish_all((0..300).map(|number| ("in.a", number.to_string())));
    site.wait_for_messages("OUT", 600);
    wait_until("it asks for less", || {
        weir.stderr()
            .contains("asking for less from now on: Exceeded MaxRequestBatch of 7")
    });
    assert!(
        !weir.stderr().contains("the server ended a pull"),
        "{}",
        weir.stderr()
    );
}

/// `weir run --create` ends with these words, and a hint with this key.
#[track_caller]
fn refused(site: &Site, changes: &[(&str, &str)], words: &str, key: &str) {
    let file = site.pipeline_but(changes, "");
    let ended = site.weir(&["run", "--create", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(words), "{ended:#?}");
    let hint = ended.stderr.split("hint: ").nth(1).unwrap_or_default();
    assert!(hint.contains(key), "{ended:#?}");
}

#[test]
fn limits_of_the_server_and_the_account_are_refused_with_the_key_that_mends_it() {
    let pending = "jetstream { limits { max_ack_pending: 100 } }";
    let site = Site::on(NatsServer::start_with(pending));
    site.create_streams();
    refused(
        &site,
        &[],
        "max ack pending exceeds",
        "`source.max-ack-pending`",
    );

    let account = |limits: &str| {
        format!(
            "accounts {{ A {{ jetstream {{ {limits} }}, users: [ {{ user: a, password: a }} ] }} }}\n\
             no_auth_user: a"
        )
    };
    let max_bytes = "max_file: 10MB, max_bytes_required: true";
    let site = Site::on(NatsServer::start_with(&account(max_bytes)));
    let subjects = ("consumer: p", "consumer: p, subjects: [in.>]");
    refused(
        &site,
        &[subjects],
        "max bytes",
        "`source.create: { max-bytes:",
    );
    let large = (
        "consumer: p",
        "consumer: p, subjects: [in.>], create: { max-bytes: 1GiB }",
    );
    refused(
        &site,
        &[large],
        "cannot create stream `IN`",
        "`source.create: { max-bytes:",
    );

    let site = Site::on(NatsServer::start_with(&account("max_streams: 1")));
    site.nats.client().create_stream("IN", &["in.>"]);
    refused(&site, &[], "maximum number of streams", "`max_streams`");
    let site = Site::on(NatsServer::start_with(&account("max_consumers: 1")));
    site.create_streams();
    by_hand(&site, pull::Config::default());
    let other = ("consumer: p", "consumer: other");
    refused(
        &site,
        &[other],
        "maximum consumers limit",
        "`max_consumers`",
    );

    // The client of the test has one of them.
    let site = Site::on(NatsServer::start_with("max_connections: 1"));
    site.create_streams();
    refused(
        &site,
        &[],
        "maximum connections exceeded",
        "`max_connections`",
    );
}
