//! `order: key` publishes the results of each key in the order of the stream, and `order: stream` all of them:
//! whatever is retried, whichever host is killed, stopped or started, and whatever the network loses. A key that
//! fails holds back only itself.
//!
//! All settings but the delay of retries are the defaults. Each test runs a pipeline of either kind on the same
//! hosts; what a nemesis does to them is in `exactly_once/nemesis.rs`.

use crate::harness::{Fate, Proxy, Sender, Site, Stored, Weir, series, wait_for, wait_until};
use async_nats::jetstream::consumer::{AckPolicy, PriorityPolicy, pull};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::path::PathBuf;
use weir::nats::members::Member;

/// In place of what only a pipeline with a consumer has.
const NO_CONSUMER: (&str, &str) = ("stream: IN, consumer: p", "stream: IN");
const KEY: &str = "order: key\nkey: \"{subject[1]}\"\n";
const STREAM: &str = "order: stream\n";

/// `payload` tells what the plugin does with a message, and which it is.
fn feed(site: &Site, numbers: std::ops::Range<usize>, payload: impl Fn(usize) -> String) {
    let client = site.nats.client();
    for stream in ["in", "whole"] {
        let message = |number: usize| (format!("{stream}.{}", number % 7), payload(number));
        client.publish_all(numbers.clone().map(message));
    }
}

/// Attempts of message `number`: some succeed at once, some at their second or third attempt.
fn retried(number: usize) -> String {
    match number % 17 {
        5 => format!("retry-until:3/{number}"),
        11 => format!("retry-until:2/{number}"),
        _ => format!("pass/{number}"),
    }
}

impl Site {
    /// `p.yaml` with `order: key`, and `q.yaml` with `order: stream` from the stream `WHOLE`.
    fn ordered(&self, changes: &[(&str, &str)]) -> [PathBuf; 2] {
        self.nats.client().create_stream("WHOLE", &["whole.>"]);
        let whole = [
            ("name: p\n", "name: q\n"),
            ("stream: IN, consumer: p", "stream: WHOLE"),
            ("dead.p", "dead.q"),
        ];
        let file = self.pipeline_but(&[&whole, changes].concat(), STREAM);
        let whole = self.path("q.yaml");
        std::fs::rename(file, &whole).unwrap();
        let keyed = self.pipeline_but(&[&[NO_CONSUMER], changes].concat(), KEY);
        [keyed, whole]
    }

    /// A host that runs both.
    fn run_ordered(&self, files: &[PathBuf; 2]) -> Weir {
        let [keyed, whole] = files.each_ref().map(|file| file.to_str().unwrap());
        let weir = self.start_with(&[keyed, whole, "--create"], &[]);
        wait_until("a host runs both", || {
            weir.stderr().matches("running").count() >= 2
        });
        weir
    }

    /// What the hosts of a job say of themselves.
    fn members(&self, job: &str) -> Vec<Member> {
        let said = self.nats.client().messages("KV_weir-members");
        let said = said
            .iter()
            .filter_map(|said| Member::read(&said.payload, job));
        let last: BTreeMap<String, Member> =
            said.map(|member| (member.host.clone(), member)).collect();
        last.into_values().collect()
    }

    /// Waits until the partition of the whole stream is with the host that is to own it.
    fn wait_until_placed(&self, hosts: usize) {
        wait_until("the partition is with the host that is to own it", || {
            let said = self.members("q");
            let settled = |member: &Member| member.beat > 6 && member.wants.is_none();
            said.len() == hosts && said.iter().all(settled)
        });
    }

    /// Waits for the results of so many messages, and compares them.
    #[track_caller]
    fn expect_in_order(&self, messages: usize, result: impl Fn(usize) -> String) {
        let out = self.wait_for_messages("OUT", 2 * messages as u64);
        let (keyed, whole): (Vec<Stored>, Vec<Stored>) =
            { out.into_iter() }.partition(|message| message.subject.starts_with("out.in."));
        let whole: Vec<String> = whole.iter().map(Stored::text).collect();
        assert_eq!(whole, (0..messages).map(&result).collect::<Vec<_>>());
        let mut by_key: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for message in &keyed {
            by_key
                .entry(&message.subject)
                .or_default()
                .push(message.text());
        }
        assert_eq!(by_key.len(), 7);
        for (key, found) in by_key {
            let first: usize = key.rsplit('.').next().unwrap().parse().unwrap();
            let expected: Vec<String> = (first..messages).step_by(7).map(&result).collect();
            assert_eq!(found, expected, "{key}");
        }
    }
}

/// Which of the hosts, none of which had a message of the whole stream yet, is the first to have some.
fn active(hosts: &[Weir]) -> usize {
    let received = |host: &Weir| host.metric("weir_received_total{pipeline=\"q\"}");
    wait_for("a host goes on with the stream", || {
        let received: Vec<f64> = hosts.iter().map(received).collect();
        let active = received.iter().position(|messages| *messages > 0.0);
        active.ok_or_else(|| format!("{received:?}"))
    })
}

#[test]
fn results_keep_the_order_of_the_stream_whatever_is_retried() {
    let site = Site::new();
    let files = site.ordered(&[]);
    feed(&site, 0..500, retried);
    let _weir = site.run_ordered(&files);
    site.expect_in_order(500, retried);
}

#[test]
fn a_key_that_keeps_failing_holds_back_only_itself() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish("in.bad", "retry");
    client.publish("in.bad", "x");
    client.publish_all((0..200).map(|_| ("in.good", "x")));
    let for_ever = ("initial: 10ms", "max-attempts: 1000000, initial: 10ms");
    let file = site.pipeline_but(&[NO_CONSUMER, for_ever], KEY);
    let mut weir = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    weir.wait_until_output("running");
    let out = site.wait_for_messages("OUT", 200);
    assert!(out.iter().all(|message| message.subject == "out.in.good"));
    // Until there is a version that does not fail.
    site.install("v1");
    let out = site.wait_for_messages("OUT", 202);
    let bad: Vec<String> = out[200..].iter().map(Stored::text).collect();
    assert_eq!(bad, ["v1 retry", "v1 x"]);
}

#[test]
fn hosts_that_start_while_a_message_waits_for_its_retry_do_not_get_ahead_of_it() {
    let site = Site::new();
    let for_ever = ("initial: 10ms", "max-attempts: 1000000, initial: 10ms");
    let files = site.ordered(&[for_ever]);
    let payload = |number: usize| match number {
        0 => "retry".to_owned(),
        number => number.to_string(),
    };
    feed(&site, 0..70, payload);
    let mut hosts = vec![site.run_ordered(&files)];
    wait_until("the first message is retried", || {
        let retried = |name| format!("weir_retried_total{{pipeline=\"{name}\"}}");
        ["p", "q"]
            .iter()
            .all(|name| hosts[0].metric(&retried(name)) > 0.0)
    });
    // Those of the other keys.
    site.wait_for_messages("OUT", 60);
    hosts.extend((0..2).map(|_| site.run_ordered(&files)));
    wait_until("each host has a part of the keys", || {
        let taken = series("job_takeovers_total");
        hosts.iter().all(|host| host.metric(&taken) > 0.0)
    });
    assert_eq!(site.nats.client().count("OUT"), 60);
    site.install("same");
    let result = |number: usize| match number {
        // The other keys were done before the version that does not fail.
        number if number % 7 == 0 => format!("same {}", payload(number)),
        number => payload(number),
    };
    let out = site.wait_for_messages("OUT", 140);
    let of = |subject: &str| -> Vec<String> {
        let of = out
            .iter()
            .filter(|message| message.subject.starts_with(subject));
        of.map(Stored::text).collect()
    };
    let first: Vec<String> = (0..70).step_by(7).map(result).collect();
    assert_eq!(of("out.in.0"), first);
    let whole: Vec<String> = (0..70)
        .map(|number| format!("same {}", payload(number)))
        .collect();
    assert_eq!(of("out.whole."), whole);
    assert_eq!(out.len(), 140);
}

#[test]
fn a_pipeline_whose_consumer_knows_how_far_it_was_is_refused_as_a_job_until_it_says_where_to_begin()
{
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..10).map(|number| ("in.a", number.to_string())));
    // As it was read when its order was kept by a pinned consumer.
    let config = pull::Config {
        durable_name: Some("weir-p".to_owned()),
        ack_policy: AckPolicy::Explicit,
        priority_policy: PriorityPolicy::PinnedClient,
        priority_groups: vec!["weir".to_owned()],
        ..Default::default()
    };
    client.run(async {
        let stream = client.jetstream.get_stream("IN").await.unwrap();
        stream.create_consumer(config).await.unwrap();
        let pull = serde_json::json!({ "batch": 7, "no_wait": true, "group": "weir" });
        let subject = "$JS.API.CONSUMER.MSG.NEXT.IN.weir-p";
        let mut inbox = client.nats.subscribe("settled").await.unwrap();
        let pull = client
            .nats
            .publish_with_reply(subject, "settled", pull.to_string().into());
        pull.await.unwrap();
        for _ in 0..7 {
            let delivery = inbox.next().await.unwrap();
            let ack = client.nats.request(delivery.reply.unwrap(), "".into());
            ack.await.unwrap();
        }
    });
    let file = site.pipeline_but(&[NO_CONSUMER], KEY);
    let start = || site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    let refused = start().finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for words in [
        "consumer `weir-p` of stream `IN` has settled its messages up to 7",
        "write `source.start: { sequence: 8 }`; then delete the consumer with `nats consumer rm IN weir-p`",
    ] {
        assert!(refused.stderr.contains(words), "{refused:#?}");
    }
    site.pipeline_but(
        &[(
            "stream: IN, consumer: p",
            "stream: IN, start: { sequence: 8 }",
        )],
        KEY,
    );
    let deleted = client.jetstream.delete_consumer_from_stream("weir-p", "IN");
    client.run(deleted).unwrap();
    let _weir = start();
    let out = site.wait_for_messages("OUT", 3);
    let found: Vec<String> = out.iter().map(Stored::text).collect();
    assert_eq!(found, ["7", "8", "9"]);
}

#[test]
fn another_host_goes_on_in_order_when_the_active_one_is_killed_with_a_backlog() {
    let site = Site::new();
    let files = site.ordered(&[]);
    let slow = |number: usize| format!("slow:5/{number}");
    let mut hosts: Vec<Weir> = (0..2).map(|_| site.run_ordered(&files)).collect();
    site.wait_until_placed(hosts.len());
    feed(&site, 0..100, slow);
    let which = active(&hosts);
    hosts[which].pause();
    feed(&site, 100..400, slow);
    hosts.remove(which).kill9();
    let some = site.nats.client().count("OUT");
    assert!(some < 800, "there is no backlog: {some}");
    site.expect_in_order(400, slow);
}

#[test]
fn a_standby_that_is_stopped_changes_nothing_for_the_active_host() {
    let site = Site::new();
    let files = site.ordered(&[]);
    let slow = |number: usize| format!("slow:5/{number}");
    let mut hosts: Vec<Weir> = (0..3).map(|_| site.run_ordered(&files)).collect();
    site.wait_until_placed(hosts.len());
    feed(&site, 0..400, slow);
    let which = active(&hosts);
    let active = hosts.remove(which);
    let owned = || active.metric("weir_job_takeovers_total{pipeline=\"q\"}");
    let before = owned();
    let standby = hosts.remove(0);
    standby.terminate();
    let ended = standby.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    site.expect_in_order(400, slow);
    assert_eq!(owned(), before);
    let deposed = "weir_job_deposed_total{pipeline=\"q\"}";
    assert_eq!(active.metric(deposed), 0.0);
}

#[test]
fn a_connection_that_loses_what_the_server_sends_keeps_the_order() {
    let site = Site::new();
    let proxy = Proxy::before(&site.nats);
    let files = site.ordered(&[(&site.nats.url(), &proxy.url())]);
    feed(&site, 0..200, retried);
    let _weir = site.run_ordered(&files);
    site.wait_for_messages("OUT", 50);
    proxy.rule(|sender, _, _| match sender {
        Sender::Server => Fate::Lost,
        Sender::Host => Fate::Arrives,
    });
    feed(&site, 200..500, retried);
    wait_until("much is lost", || proxy.withheld() > 50);
    proxy.release();
    site.expect_in_order(500, retried);
}
