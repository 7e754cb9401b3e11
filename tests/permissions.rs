//! A permission that a host lacks for a while is noticed, said, and mended when it is back: nothing
//! that the server refused before is held against it.

use crate::harness::weir::get;
use crate::harness::{
    AS_HOST, NatsServer, SHORT_ACK_WAIT, Site, Weir, series, wait_for, wait_until,
};
use std::path::{Path, PathBuf};

const PULL: &str = "$JS.API.CONSUMER.MSG.NEXT.IN.p";

/// A server's configuration in which the user `host` may not publish to `denied`.
pub fn denying(denied: &[&str]) -> String {
    format!(
        "authorization {{ users = [ {{ user: all, password: a }}, {{ user: host, password: h, \
         permissions: {{ publish: {{ deny: {denied:?} }} }} }} ] }}\nno_auth_user: all"
    )
}

/// A site with that server, and the pipeline of that user.
fn site(denied: &[&str], changes: &[(&str, &str)]) -> (Site, PathBuf) {
    let site = Site::on(NatsServer::start_with(&denying(denied)));
    site.create_streams();
    let file = site.pipeline_but(&[&[AS_HOST], changes].concat(), "");
    (site, file)
}

fn run(site: &Site, file: &Path) -> Weir {
    let mut weir = site.start_with(&[file.to_str().unwrap(), "--create"], &[]);
    weir.wait_until_output("running");
    weir
}

#[track_caller]
fn wait_until_running(weir: &Weir) {
    wait_until("the pipeline runs", || {
        weir.metric(&series("running")) == 1.0
    });
}

#[test]
fn a_pipeline_whose_permission_to_pull_is_taken_away_says_so_and_goes_on_when_it_is_back() {
    let (site, file) = site(&[], &[]);
    let client = site.nats.client();
    let weir = run(&site, &file);
    client.publish("in.a", "1");
    site.wait_for_messages("OUT", 1);

    site.nats.reload(&denying(&[PULL]));
    // The pull that waits at the server brings this; the next is refused.
    client.publish("in.a", "2");
    let address = weir.address_of("metrics");
    wait_for("/ready says which permission is missing", || {
        match get(&address, "/ready") {
            (503, why) if why.contains(PULL) => Ok(()),
            (status, why) => Err(format!("{status}: {why}")),
        }
    });

    site.nats.reload(&denying(&[]));
    client.publish("in.a", "3");
    site.wait_for_messages("OUT", 3);
    site.wait_until_settled();
    wait_until_running(&weir);
}

#[test]
fn what_was_refused_once_does_not_explain_a_silence_that_comes_later() {
    let (site, file) = site(&[], &[]);
    let client = site.nats.client();
    let weir = run(&site, &file);
    client.publish("in.a", "1");
    site.wait_for_messages("OUT", 1);
    site.nats.reload(&denying(&[PULL]));
    client.publish("in.a", "2");
    wait_until("a pull has been refused", || {
        weir.stderr().contains("nats refused")
    });
    site.nats.reload(&denying(&[]));
    client.publish("in.a", "3");
    site.wait_for_messages("OUT", 3);
    wait_until_running(&weir);
    let (restarts, missed) = (series("restarts_total"), series("missed_heartbeats_total"));
    let before = weir.metric(&restarts);

    site.nats.pause();
    wait_until("the host misses what its pulls should bring", || {
        weir.metric(&missed) > 0.0
    });
    site.nats.resume();
    client.publish("in.a", "4");
    site.wait_for_messages("OUT", 4);
    assert_eq!(weir.metric(&restarts), before, "{}", weir.stderr());
}

#[test]
fn what_was_refused_when_a_pipeline_started_is_asked_for_when_it_starts_again() {
    let (site, file) = site(&["$JS.API.STREAM.CREATE.WEIR_PARKED_P"], &[]);
    let client = site.nats.client();
    let weir = run(&site, &file);
    assert!(weir.stderr().contains("Permissions Violation"));
    assert!(client.stream_info("WEIR_PARKED_P").is_none());
    site.nats.reload(&denying(&[]));
    client
        .run(client.jetstream.delete_consumer_from_stream("p", "IN"))
        .unwrap();
    wait_until("the pipeline has the stream of its long retries", || {
        client.stream_info("WEIR_PARKED_P").is_some()
    });
}

#[test]
fn parked_retries_come_back_when_the_permission_to_pull_them_does() {
    let pull = "$JS.API.CONSUMER.MSG.NEXT.WEIR_PARKED_P.IN-p";
    let slow = (
        "retry: { initial: 10ms, max: 50ms }",
        "retry: { park-after: 100ms, initial: 1s, max: 1s }",
    );
    let (site, file) = site(&[pull], &[slow]);
    let client = site.nats.client();
    let mut weir = run(&site, &file);
    weir.wait_until_output("cannot read parked retries");
    site.nats.reload(&denying(&[]));
    wait_until("a pull waits", || {
        let consumer = client.consumer("WEIR_PARKED_P", "IN-p");
        consumer.is_some_and(|info| info.num_waiting > 0)
    });
    client.publish("in.a", "retry-until:2");
    site.wait_for_messages("OUT", 1);
    wait_until("the parked one is settled", || {
        client.count("WEIR_PARKED_P") == 0
    });
    assert_eq!(weir.metric(&series("restarts_total")), 0.0);
}

/// What makes a host use a permission.
#[derive(Clone, Copy)]
enum Use {
    /// A message with this payload.
    Message(&'static str),
    /// Its pipeline is started again, because its consumer is gone.
    Restart,
    /// It does so by itself.
    Nothing,
}

/// The server's configuration in which the user `host` may not publish to one, or not subscribe to the other.
fn without(publish: &[&str], subscribe: &[&str]) -> String {
    format!(
        "authorization {{ users = [ {{ user: all, password: a }}, {{ user: host, password: h, \
         permissions: {{ publish: {{ deny: {publish:?} }}, subscribe: {{ deny: {subscribe:?} }} }} }} ] }}\n\
         no_auth_user: all"
    )
}

/// Takes each of these permissions away while the host runs, uses it, waits until the host says which it
/// lacks, and gives it back: then messages flow, and the host is ready. `unready` says whether nothing can
/// flow without it.
#[track_caller]
fn taken_and_given_back(table: &[(&str, Use, bool)]) {
    let parked = (
        "retry: { initial: 10ms, max: 50ms }",
        "retry: { park-after: 100ms, initial: 1s, max: 1s }",
    );
    let site = Site::on(NatsServer::start_with(&without(&[], &[])));
    site.create_streams();
    let client = site.nats.client();
    let file = site.pipeline_but(&[AS_HOST, SHORT_ACK_WAIT, parked], "stalled-after: 1s\n");
    let weir = run(&site, &file);
    let address = weir.address_of("metrics");
    for (number, (permission, used, unready)) in table.iter().enumerate() {
        let said = permission.trim_end_matches(".>");
        match permission.starts_with("_INBOX") {
            true => site.nats.reload(&without(&[], &[permission])),
            false => site.nats.reload(&without(&[permission], &[])),
        }
        match used {
            Use::Message(payload) => drop(client.publish("in.a", *payload)),
            Use::Restart => client
                .run(client.jetstream.delete_consumer_from_stream("p", "IN"))
                .map(drop)
                .unwrap(),
            Use::Nothing => {}
        }
        wait_for(
            &format!("the host says that it lacks `{permission}`"),
            || {
                let (status, why) = get(&address, "/ready");
                let log = weir.stderr();
                let found = match unready {
                    true => status == 503 && why.contains(said),
                    false => log.contains(said),
                };
                found.then_some(()).ok_or(format!("{status}: {why}\n{log}"))
            },
        );
        site.nats.reload(&without(&[], &[]));
        let subject = format!("in.after-{number}");
        client.publish(&subject, "fine");
        wait_until(&format!("messages flow after `{permission}`"), || {
            let last = client.messages("OUT").into_iter();
            last.rev()
                .any(|one| one.subject == format!("out.{subject}"))
        });
        site.wait_until_settled();
        wait_until("what was parked is settled", || {
            client.count("WEIR_PARKED_P") == 0
        });
        wait_for(
            &format!("the host is ready after `{permission}`"),
            || match get(&address, "/ready") {
                (200, _) => Ok(()),
                (_, why) => Err(why),
            },
        );
    }
}

#[test]
fn permissions_for_messages_are_missed_said_and_mended() {
    taken_and_given_back(&[
        ("$JS.API.CONSUMER.MSG.NEXT.IN.p", Use::Message("x"), true),
        ("$JS.ACK.IN.p.>", Use::Message("x"), true),
        ("out.>", Use::Message("x"), true),
        ("dead.p", Use::Message("reject:no"), true),
        ("_INBOX.>", Use::Message("x"), true),
    ]);
}

#[test]
fn permissions_for_parked_retries_and_for_the_lag_are_missed_said_and_mended() {
    let again = Use::Message("retry-until:2");
    taken_and_given_back(&[
        ("$JS.ACK.WEIR_PARKED_P.IN-p.>", again, false),
        ("$JS.API.STREAM.INFO.WEIR_PARKED_P", Use::Nothing, false),
        ("$JS.API.CONSUMER.INFO.IN.p", Use::Nothing, false),
        ("weir.parked.p.>", again, false),
    ]);
    // Each of the two makes a host rest from parking for a while.
    let pull = "$JS.API.CONSUMER.MSG.NEXT.WEIR_PARKED_P.IN-p";
    taken_and_given_back(&[(pull, again, false)]);
}

#[test]
fn permissions_that_a_start_needs_are_missed_said_and_mended() {
    taken_and_given_back(&[
        ("$JS.API.STREAM.INFO.IN", Use::Restart, true),
        ("$JS.API.CONSUMER.CREATE.IN.p", Use::Restart, true),
        (
            "$JS.API.CONSUMER.CREATE.WEIR_PARKED_P.IN-p.>",
            Use::Restart,
            false,
        ),
        ("$JS.API.STREAM.NAMES", Use::Restart, false),
    ]);
}
