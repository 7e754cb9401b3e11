//! What the page on JavaScript promises of it alone.

use crate::languages::author::piped;
use weir::cli::project::Language;

const PLUGIN: &str = r#"import { http, Output, State } from "./sdk/weir.js";

export async function process(message) {
  const { what } = message.json();
  await Promise.resolve();
  if (what === "forget") return;
  if (what === "keep") new State("count").set(message, 1);
  if (what === "fail") await fail(what);
  if (what === "ask") http.get("http://127.0.0.1:1");
  return Output.json({ what, after: await later(10) });
}

const later = (number) => new Promise((done) => done(number + 1));

async function fail(what) {
  throw new TypeError(`asked to ${what}`);
}
"#;

const INPUT: &str = r#"{"subject": "readings.a", "payload": {"what": "wait"}}
{"subject": "readings.b", "payload": {"what": "forget"}}
{"subject": "readings.c", "payload": {"what": "fail"}}
{"subject": "readings.d", "payload": {"what": "keep"}}
{"subject": "readings.e", "payload": {"what": "ask"}}
{"subject": "readings.f", "payload": {"what": "wait"}}
"#;

#[test]
fn process_may_be_async_and_an_exception_says_in_which_line_of_the_source() {
    let piped = piped(Language::Js, "later-rooms", PLUGIN, INPUT);
    let waited = piped.stdout.matches(r#"{"what":"wait","after":11}"#);
    assert_eq!(waited.count(), 2, "{piped:#?}");
    let dead: Vec<_> = piped
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .collect();
    let [forgotten, failed, kept, asked] = dead[..] else {
        panic!("{piped:#?}")
    };
    assert!(forgotten.contains("`process` returned nothing"), "{forgotten}");
    assert!(failed.contains("TypeError: asked to fail"), "{failed}");
    let no_state = "a plugin with state needs `world: stateful-operator` in plugin.yaml";
    assert!(kept.contains(no_state), "{kept}");
    let no_http = "a plugin that sends requests needs `http: true` in plugin.yaml";
    assert!(asked.contains(no_http), "{asked}");
    let line = PLUGIN.lines().position(|line| line.contains("TypeError"));
    let place = format!("plugin.js:{}", line.unwrap() + 1);
    assert!(failed.contains(&place), "not {place}: {failed}");
}
