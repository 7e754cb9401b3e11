//! An operator sees the messages whose subject one of its filters matches, others pass it by;
//! several operators are one chain, and several pipelines one process.

use crate::harness::guests::guest;
use crate::harness::{Scene, operator_series, wait_until};

#[test]
fn operators_form_a_chain_and_each_sees_only_its_subjects() {
    let scene = Scene::new();
    let client = scene.nats.client();
    client.publish("in.a", "x");
    client.publish("in.b", "x");
    let plugin = guest("misbehave");
    let file = scene.file(
        "chain.yaml",
        &format!(
            "name: p\nnats: {{ url: \"{}\" }}\nsource: {{ stream: IN, consumer: p }}\noperators:\n\
             \x20 - {{ name: one, plugin: {plugin}, config: {{ mark: one }}, subjects: [in.a] }}\n\
             \x20 - {{ name: two, plugin: {plugin}, config: {{ mark: two }}, subjects: [in.b] }}\n\
             \x20 - {{ name: all, plugin: {plugin} }}\n\
             sink: {{ subject: \"out.{{subject[1]}}\" }}\ndead-letter: {{ subject: dead.p }}\n",
            scene.nats.url(),
            plugin = plugin.display(),
        ),
    );
    let weir = scene.run(&file);
    let out = scene.wait_for_messages("OUT", 2);
    let mark = |subject: &str| {
        let message = out.iter().find(|message| message.subject == subject);
        message.unwrap().header("Mark").map(ToOwned::to_owned)
    };
    assert_eq!(mark("out.a").as_deref(), Some("one"));
    assert_eq!(mark("out.b").as_deref(), Some("two"));
    let seen = |operator| weir.metric(&operator_series("messages_total", operator));
    assert_eq!([seen("one"), seen("two"), seen("all")], [1.0, 1.0, 2.0]);
}

#[test]
fn several_pipelines_run_in_one_process() {
    let scene = Scene::new();
    let client = scene.nats.client();
    let file = scene.pipeline("");
    let one = std::fs::read_to_string(&file).unwrap();
    let two = one
        .replace("name: p\n", "name: q\n")
        .replace("consumer: p", "consumer: q");
    let two = two.replace("out.{subject}", "out.q.{subject}");
    std::fs::write(&file, format!("{one}---\n{two}")).unwrap();
    client.publish("in.a", "x");
    let _weir = scene.run(&file);
    wait_until("both have published", || client.count("OUT") == 2);
    let mut subjects: Vec<_> = client
        .messages("OUT")
        .into_iter()
        .map(|message| message.subject)
        .collect();
    subjects.sort();
    assert_eq!(subjects, ["out.in.a", "out.q.in.a"]);
}
