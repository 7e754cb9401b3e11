//! A plugin reaches the servers that its operator grants, and no other: not by a name that leads
//! elsewhere, not by a redirect. What it asks of them is bounded like everything else it does.

use crate::harness::certificates::Authority;
use crate::harness::guests::{self, guest};
use crate::harness::lane::{Lane, limits, runtime};
use crate::harness::web::Web;
use crate::harness::{Finished, Site, Weir, pipeline_folder, replaced};
use std::path::Path;
use std::time::Duration;
use weir::config::limits::Limits;
use weir::config::origin::Origin;
use weir::config::resolved::Grants;
use weir::message::Outcome;
use weir::plugin::{FaultKind, LoadOptions};

/// An operator with these entries in `http` and in `http-private`.
fn lane_with(http: &[&str], private: &[&str], limits: Limits, ca: Option<&Path>) -> Lane {
    let parse = |entry: &&str, private| Origin::parse(entry, private).unwrap();
    let http = http.iter().map(|entry| parse(entry, false));
    let private = private.iter().map(|entry| parse(entry, true));
    let mut grants = Grants::default();
    grants.http.extend(http.chain(private));
    let options = LoadOptions {
        grants: Some(&grants),
        ca,
        ..LoadOptions::default()
    };
    let plugin = runtime().load_with(&guest("fetch"), options).unwrap();
    Lane::new(plugin, limits, "null")
}

fn lane(http: &[&str]) -> Lane {
    lane_with(http, &[], limits(), None)
}

/// Why the message with this payload was rejected.
fn rejected(lane: &mut Lane, payload: &str) -> String {
    match &*lane.call(&[payload]).unwrap() {
        [Outcome::Reject(reason)] => reason.to_string(),
        other => panic!("{payload}: {other:?}"),
    }
}

/// `weir VERB pipeline.yaml` with the fetching plugin and these grants, if any.
fn weir(verb: &str, grants: &str, input: &str) -> Finished {
    let pipeline = format!(
        "name: demo\nsource: {{ stream: IN }}\nsink: {{ subject: out }}\n\
         operators:\n  - name: enrich\n    plugin: plugin.wasm\n{grants}"
    );
    let folder = pipeline_folder("fetch", &pipeline);
    Weir::run_with_input(folder.path(), &[verb, "pipeline.yaml"], input)
}

#[test]
fn a_granted_request_goes_out_and_its_answer_comes_back() {
    let web = Web::start();
    let origin = web.origin();
    let line = |payload: &str| format!("{{\"subject\":\"in\",\"text\":\"{payload}\"}}\n");
    let input = [
        line(&format!("get {origin}/hello")),
        line(&format!("post {origin}/echo")),
        line(&format!("get {origin}/missing")),
        line(&format!("get {origin}/host")),
    ];
    let grants = format!("    grants: {{ http: [\"{origin}\"] }}\n");
    let finished = weir("pipe", &grants, &input.concat());
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let texts: Vec<_> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].clone())
        .collect();
    let host = format!("200 127.0.0.1:{}", web.port());
    assert_eq!(
        texts,
        [
            "200 hello",
            "200 hello with key 2",
            "404 nothing here",
            &host
        ]
    );
}

#[test]
fn a_plugin_that_needs_http_is_refused_without_the_grant() {
    let finished = weir("check", "", "");
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let (finding, hint) = finished.stderr.split_once("\n  hint: ").unwrap();
    assert!(
        finding.contains("pipeline.yaml:")
            && finding.contains(": it imports `wasi:http/")
            && finding.ends_with("which is not granted"),
        "{finding}"
    );
    assert!(
        hint.starts_with(
            "add `grants: { http: [\"https://api.example.com\"] }` to the operator, with the \
             servers that it may reach\n"
        ),
        "{hint}"
    );
    let granted = "    grants: { http: [\"https://api.example.com\"] }\n";
    assert_eq!(weir("check", granted, "").code, Some(0));
}

#[test]
fn a_grant_that_a_plugin_does_not_use_is_told() {
    let pipeline = "name: demo\nsource: { stream: IN }\nsink: { subject: out }\noperators:\n  - name: enrich\n    \
                    plugin: plugin.wasm\n    grants: { http: [\"https://api.example.com\"] }\n";
    let folder = pipeline_folder("echo", pipeline);
    let checked = Weir::run_in(folder.path(), &["check", "pipeline.yaml"]);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    let told = "  note: `enrich` has `grants.http`, and its plugin imports nothing for it: remove the grant; ";
    assert!(checked.stdout.contains(told), "{checked:#?}");
    let granted = "    grants: { http: [\"https://api.example.com\"] }\n";
    let used = weir("check", granted, "").stdout;
    assert!(!used.contains("imports nothing for it"), "{used}");
}

#[test]
fn inspect_names_the_grant_that_a_plugin_needs() {
    let file = guest("fetch");
    let file = file.to_str().unwrap();
    let text = Weir::run(&["plugin", "inspect", file]).stdout;
    let line = "\ngrants    http, as in `grants: { http: [\"https://api.example.com\"] }`\n";
    assert!(text.contains(line), "{text}");
    assert!(
        text.starts_with("contract  weir:plugin/operator@0.1.0\n"),
        "{text}"
    );
    let json = Weir::run(&["plugin", "inspect", file, "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["grants_needed"], serde_json::json!(["http"]));
    assert_eq!(json["ungranted"], serde_json::json!([]));
}

#[test]
fn a_server_that_is_not_in_the_list_is_denied() {
    let (web, other) = (Web::start(), Web::start());
    let mut lane = lane(&[&web.origin(), "https://*.example.org"]);
    let port = web.port();
    for url in [
        other.origin(),
        format!("https://127.0.0.1:{port}"),
        "http://a.example.org".to_owned(),
        "https://a.b.example.org".to_owned(),
        format!("http://localhost:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
    ] {
        let reason = rejected(&mut lane, &format!("get {url}/hello"));
        assert_eq!(reason, "ErrorCode::HttpRequestDenied", "{url}");
    }
    // No name and no address, whatever a resolver would make of them.
    for host in ["127.1", "0x7f.1", "2130706433"] {
        let reason = rejected(&mut lane, &format!("get http://{host}:{port}/hello"));
        assert_eq!(reason, "ErrorCode::HttpRequestUriInvalid", "{host}");
    }
    assert_eq!((web.hits(), other.hits()), (0, 0));
    assert_eq!(
        lane.output(&format!("get {}/hello", web.origin())),
        "200 hello"
    );
    assert_eq!(lane.metrics.http_requests.get(), 10);
    assert_eq!(lane.metrics.http_denied.get(), 6);
    assert_eq!(lane.metrics.http_failed.get(), 3);
}

#[test]
fn a_denied_request_is_told_in_the_log() {
    let grants = "    grants: { http: [\"https://api.example.com\"] }\n";
    let input = "{\"subject\":\"in\",\"text\":\"get https://evil.example/\"}\n";
    let finished = weir("pipe", grants, input);
    let told = "denied a request to `https://evil.example:443`: it is not in `grants.http`";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
}

#[test]
fn a_name_that_leads_to_a_private_address_is_denied_unless_it_is_said() {
    let web = Web::start();
    let name = format!("http://localhost:{}", web.port());
    let mut public = lane(&[&name]);
    let reason = rejected(&mut public, &format!("get {name}/hello"));
    assert_eq!(reason, "ErrorCode::DestinationIpProhibited");
    assert_eq!(public.metrics.http_denied.get(), 1);
    assert_eq!(web.hits(), 0);
    let mut private = lane_with(&[], &[&name], limits(), None);
    assert_eq!(private.output(&format!("get {name}/hello")), "200 hello");
}

#[test]
fn a_redirect_goes_through_the_same_door() {
    let (web, other) = (Web::start(), Web::start());
    let mut lane = lane(&[&web.origin()]);
    let follow = |to: &Web| format!("follow {}/redirect?to={}/hello", web.origin(), to.origin());
    assert_eq!(lane.output(&follow(&web)), "200 hello");
    assert_eq!(
        rejected(&mut lane, &follow(&other)),
        "ErrorCode::HttpRequestDenied"
    );
    assert_eq!(other.hits(), 0);
}

#[test]
fn a_body_over_the_limit_fails() {
    let web = Web::start();
    let narrow = Limits {
        http_response_bytes: 1000,
        ..limits()
    };
    let mut lane = lane_with(&[&web.origin()], &[], narrow, None);
    let mut get = |path: &str| rejected(&mut lane, &format!("get {}/{path}", web.origin()));
    // Announced, and found out.
    assert_eq!(
        get("sized/1001"),
        "ErrorCode::HttpResponseBodySize(Some(1001))"
    );
    assert_eq!(
        get("chunked/1001"),
        "ErrorCode::HttpResponseBodySize(Some(1000))"
    );
    for path in ["sized/1000", "chunked/1000"] {
        let body = lane.output(&format!("get {}/{path}", web.origin()));
        assert_eq!(body.len(), "200 ".len() + 1000);
    }
    assert_eq!(lane.metrics.http_failed.get(), 2);
}

#[test]
fn an_instance_opens_only_so_many_requests_at_once_and_gives_them_back() {
    let web = Web::start();
    let narrowed = |http_requests| Limits {
        http_requests,
        // Less than the calls below would need if one handle of each stayed.
        handles: 64,
        ..limits()
    };
    let thrice = format!("thrice {}/hello", web.origin());
    let mut narrow = lane_with(&[&web.origin()], &[], narrowed(2), None);
    assert_eq!(
        rejected(&mut narrow, &thrice),
        "ErrorCode::ConnectionLimitReached"
    );
    let mut wide = lane_with(&[&web.origin()], &[], narrowed(3), None);
    for _ in 0..70 {
        assert_eq!(wide.output(&thrice), "200 hello, 200 hello, 200 hello");
    }
    assert_eq!(wide.metrics.instances_created.get(), 1);
}

#[test]
fn a_server_that_does_not_answer_leaves_the_plugin_time_to_say_so() {
    let web = Web::start();
    let hasty = Limits {
        deadline: Duration::from_secs(6),
        ..limits()
    };
    let mut lane = lane_with(&[&web.origin()], &[], hasty, None);
    let outcomes = lane
        .call(&[&format!("retry {}/never", web.origin())])
        .unwrap();
    let [Outcome::Retry { reason, .. }] = &*outcomes else {
        panic!("{outcomes:?}")
    };
    assert_eq!(&**reason, "ErrorCode::ConnectionReadTimeout");
    let reason = rejected(&mut lane, &format!("get {}/stall", web.origin()));
    assert_eq!(reason, "ErrorCode::ConnectionReadTimeout");
}

#[test]
fn a_plugin_that_waits_longer_than_its_deadline_is_ended_and_leaves_nothing_open() {
    let web = Web::start();
    let hasty = Limits {
        deadline: Duration::from_secs(3),
        ..limits()
    };
    let mut lane = lane_with(&[&web.origin()], &[], hasty, None);
    for path in ["never", "stall"] {
        let fault = lane.fault(&[&format!("patient {}/{path}", web.origin())]);
        assert_eq!(fault.kind, FaultKind::Deadline, "{fault:?}");
    }
    assert_eq!(
        lane.output(&format!("get {}/hello", web.origin())),
        "200 hello"
    );
}

#[test]
fn a_slow_server_costs_the_message_that_waited_for_it_and_no_other() {
    let (site, web) = (Site::new(), Web::start());
    let origin = web.origin();
    let client = site.nats.client();
    client.publish("in.a", format!("get {origin}/hello"));
    client.publish("in.b", format!("patient {origin}/never"));
    client.publish("in.c", format!("get {origin}/hello"));
    site.file("plugin.wasm", guests::bytes("fetch"));
    let grants = format!("deadline: 3s }}\n    grants: {{ http: [\"{origin}\"] }}");
    let _weir = site.run(&site.pipeline_but(&[("deadline: 1m }", &grants)], ""));
    site.wait_until_settled();
    let mut subjects: Vec<_> = client
        .messages("OUT")
        .into_iter()
        .map(|m| m.subject)
        .collect();
    subjects.sort();
    assert_eq!(subjects, ["out.in.a", "out.in.c"]);
    let dead = client.messages("DEAD");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].header("Weir-Kind"), Some("deadline"));
    assert_eq!(dead[0].header("Weir-Subject"), Some("in.b"));
}

#[test]
fn https_is_checked_against_the_roots_that_nats_trusts() {
    let authority = Authority::new("the test's own");
    let web = Web::start_tls(&authority);
    let origin = format!("https://localhost:{}", web.port());
    let get = format!("get {origin}/hello");
    let ca = authority.certificate();
    let trusting = |ca| lane_with(&[], &[&origin], limits(), ca);
    assert_eq!(trusting(Some(&*ca)).output(&get), "200 hello");
    let another = Authority::new("another");
    let stranger = another.certificate();
    let mut wary = trusting(Some(&*stranger));
    assert_eq!(rejected(&mut wary, &get), "ErrorCode::TlsCertificateError");
    let wrong = replaced(&get, &[("localhost", "127.0.0.1")]);
    assert_eq!(rejected(&mut wary, &wrong), "ErrorCode::HttpRequestDenied");
}
