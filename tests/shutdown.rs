//! SIGTERM and SIGINT stop softly: nothing more is taken, what is in hand is finished, and nothing
//! is lost; a second signal stops at once and loses nothing either.

use crate::harness::{
    Fate, Finished, Proxy, SHORT_ACK_WAIT, SLEEPER, Sender, Site, Weir, guests, series, signal,
    wait_until,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FIRST_SIGNAL: &str = "finishing messages in flight; a second signal stops at once";
const HANDED_BACK: &str = "nakked the messages in flight";

/// A pipeline that never ends by itself: a call may take hours, and so may a soft stop. What is not
/// handed back at a hard one would be delivered again after an hour, and be missed.
fn endless(site: &Site, drain: &str) -> PathBuf {
    let changes = [SLEEPER, ("consumer: p", "consumer: p, ack-wait: 1h")];
    site.pipeline_but(&changes, &format!("drain: {drain}\n"))
}

/// Starts a host in whose hand one message is that it will never finish: the next host will.
fn run_with_one_in_hand(site: &Site, file: &Path) -> Weir {
    site.nats.client().publish("in.a", "sleep-once");
    let weir = site.run(file);
    wait_until("the message is in hand", || {
        weir.metric(&series("in_flight")) == 1.0
    });
    weir
}

/// The host has stopped as it was asked to, without finishing; another gets the message at once.
#[track_caller]
fn assert_handed_back(site: &Site, file: &Path, ended: &Finished, before: u64) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(HANDED_BACK), "{}", ended.stderr);
    assert_eq!(site.nats.client().count("OUT"), before);
    let weir = site.run(file);
    site.wait_for_messages("OUT", before + 1);
    site.wait_until_settled();
    assert_eq!(weir.metric(&series("redelivered_total")), 1.0);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(HANDED_BACK), "{}", ended.stderr);
}

#[test]
fn either_signal_in_mid_flow_is_a_soft_stop_that_settles_what_is_in_hand() {
    const FLOW: u64 = 12_000;
    let site = Site::new();
    let client = site.nats.client();
    let file = site.pipeline("in-flight: { max-messages: 32 }\nbatch: { max-messages: 8 }\n");
    // A minute of work, of which a host does some.
    client.publish_all((0..FLOW).map(|_| ("in.a", "slow:5")));
    for stop in [Weir::terminate, Weir::interrupt] {
        let weir = site.run(&file);
        let before = client.count("OUT");
        wait_until("something has come through", || {
            client.count("OUT") > before && weir.metric(&series("in_flight")) > 0.0
        });
        stop(&weir);
        let ended = weir.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains(HANDED_BACK), "{}", ended.stderr);
        // Without a host that pulls, what was left unsettled would stay so. The server may take a
        // moment to work through the last acks.
        wait_until("nothing is left unsettled", || {
            client.consumer("IN", "p").unwrap().num_ack_pending == 0
        });
        let delivered = client.consumer("IN", "p").unwrap().delivered;
        assert_eq!(client.count("OUT"), delivered.consumer_sequence);
        assert!(client.count("OUT") < FLOW, "not in mid-flow");
    }
    // To this one it is no work.
    site.file("plugin.wasm", guests::bytes("echo"));
    let _weir = site.run(&file);
    site.wait_for_messages("OUT", FLOW);
    site.wait_until_settled();
    assert_eq!(client.count("OUT"), FLOW);
}

#[test]
fn a_hangup_is_a_soft_stop_unless_whoever_started_the_host_ignores_it() {
    let site = Site::new();
    let file = endless(&site, "1h");
    let mut weir = run_with_one_in_hand(&site, &file);
    signal(weir.pid(), "HUP");
    weir.wait_until_output(FIRST_SIGNAL);
    assert!(weir.is_running());
    signal(weir.pid(), "HUP");
    assert_handed_back(&site, &file, &weir.finish(), 0);

    // As `nohup` does.
    let arguments = [
        "run",
        "p.yaml",
        "--metrics-listen=off",
        "--admin-listen=off",
    ];
    let mut weir = Weir::start_in_shell(site.folder.path(), "trap '' HUP", &arguments);
    weir.wait_until_output("running");
    signal(weir.pid(), "HUP");
    site.nats.client().publish("in.a", "still there");
    site.wait_for_messages("OUT", 2);
    weir.terminate();
    let ended = weir.finish();
    assert!(
        ended.stderr.contains("SIGTERM: finishing"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("SIGHUP"), "{}", ended.stderr);
}

#[test]
fn a_second_signal_hands_back_what_is_in_hand_and_finishes_nothing() {
    let site = Site::new();
    let file = endless(&site, "1h");
    let signals = [
        [Weir::terminate, Weir::interrupt],
        [Weir::interrupt, Weir::terminate],
    ];
    for (before, [first, second]) in signals.iter().enumerate() {
        let mut weir = run_with_one_in_hand(&site, &file);
        first(&weir);
        weir.wait_until_output(FIRST_SIGNAL);
        assert!(weir.is_running());
        second(&weir);
        assert_handed_back(&site, &file, &weir.finish(), before as u64);
    }
}

#[test]
fn a_soft_stop_hands_back_what_is_not_finished_within_the_drain_time() {
    let site = Site::new();
    let file = endless(&site, "100ms");
    let weir = run_with_one_in_hand(&site, &file);
    weir.terminate();
    let ended = weir.finish();
    let said = "not finished within the drain time";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_handed_back(&site, &file, &ended, 0);
}

#[test]
fn a_hard_stop_in_the_middle_of_many_loses_none() {
    let site = Site::new();
    let client = site.nats.client();
    client.publish_all((0..20).map(|_| ("in.a", "slow:300")));
    let file = site.pipeline("");
    let mut weir = site.run(&file);
    wait_until("a message is in hand", || {
        weir.metric(&series("in_flight")) > 0.0
    });
    weir.terminate();
    weir.wait_until_output(FIRST_SIGNAL);
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let _weir = site.run(&file);
    site.wait_for_messages("OUT", 20);
    site.wait_until_settled();
    assert_eq!(client.count("OUT"), 20);
}

#[test]
fn a_stop_without_a_connection_waits_for_nothing_and_loses_nothing() {
    let mut site = Site::new();
    // So long that waiting for it would be seen as a hang.
    let more = "drain: 1h\n";
    let file = site.pipeline_but(&[SHORT_ACK_WAIT], more);
    let mut weir = site.run(&file);
    let messages = (0..500).map(|number| ("in.a", format!("slow:{}", number % 20)));
    site.nats.client().publish_all(messages);
    wait_until("something has come through", || {
        site.nats.client().count("OUT") > 0
    });
    site.nats.stop();
    weir.wait_until_output("the connection to nats was lost");
    weir.terminate();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("stopped without a connection to nats"),
        "{}",
        ended.stderr
    );
    site.nats.start_again();
    let _weir = site.run(&file);
    site.wait_for_messages("OUT", 500);
    site.wait_until_settled();
}

#[test]
fn what_the_server_sends_before_it_hears_of_a_soft_stop_is_worked_on() {
    let site = Site::new();
    let client = site.nats.client();
    let proxy = Proxy::before(&site.nats);
    // What is lost would come again after an hour.
    let hour = ("consumer: p", "consumer: p, ack-wait: 1h");
    let through = (&*site.nats.url(), &*proxy.url());
    let file = site.pipeline_but(&[through, hour], "drain: 1h\n");
    let weir = site.run(&file);
    client.publish("in.a", "first");
    site.wait_for_messages("OUT", 1);
    site.wait_until_settled();
    wait_until("a pull waits", || {
        client.consumer("IN", "p").unwrap().num_waiting > 0
    });
    let unsubscribed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&unsubscribed);
    proxy.rule(move |sender, what, _| match sender {
        Sender::Host => {
            seen.fetch_or(what == "UNSUB", Ordering::Relaxed);
            Fate::Late
        }
        Sender::Server => Fate::Arrives,
    });
    weir.terminate();
    wait_until("the host has asked for no more", || {
        unsubscribed.load(Ordering::Relaxed)
    });
    for number in 0..20 {
        client.publish("in.a", number.to_string());
    }
    wait_until("the server has sent all of it", || {
        client
            .consumer("IN", "p")
            .unwrap()
            .delivered
            .consumer_sequence
            == 21
    });
    proxy.release();
    let ended = weir.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    wait_until("nothing is left unsettled", || {
        client.consumer("IN", "p").unwrap().num_ack_pending == 0
    });
    assert_eq!(client.count("OUT"), 21);
}

#[test]
fn what_comes_after_a_soft_stop_is_delivered_to_the_next_host() {
    let site = Site::new();
    let client = site.nats.client();
    let hour = ("consumer: p", "consumer: p, ack-wait: 1h");
    let file = site.pipeline_but(&[hour], "");
    let weir = site.run(&file);
    client.publish("in.a", "first");
    site.wait_for_messages("OUT", 1);
    weir.terminate();
    assert_eq!(weir.finish().code, Some(0));
    client.publish("in.a", "second");
    let _weir = site.run(&file);
    site.wait_for_messages("OUT", 2);
    site.wait_until_settled();
}
