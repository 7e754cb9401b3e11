//! Unit tests of the metrics.

use super::*;

#[test]
fn every_name_is_on_the_page_once_its_labels_exist() {
    let metrics = Metrics::new();
    let pipeline = metrics.pipeline("rebates");
    pipeline.source_lag("orders").set(3);
    let operator = metrics.operator("rebates", "price");
    operator.instance_discarded("trap");
    operator.plugin_add("orders", 2);
    operator.plugin_set("level", 0.5);
    operator.plugin_observe("size", 30.0);
    let page = metrics.encode();
    for name in Name::ALL {
        let full = name.full();
        let full = match name.spec().kind {
            Kind::Histogram => format!("{full}_count"),
            _ => full,
        };
        let lines = page
            .lines()
            .filter(|line| line.starts_with(&format!("{full}{{")));
        assert_ne!(lines.count(), 0, "{full} in\n{page}");
    }
    assert!(page.contains(
        "weir_plugin_counter_total{pipeline=\"rebates\",operator=\"price\",name=\"orders\"} 2\n"
    ));
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn the_same_name_has_the_same_handles() {
    let metrics = Metrics::new();
    metrics.pipeline("a").received.inc_by(2);
    metrics.pipeline("a").received.inc();
    metrics.pipeline("b").received.inc();
    let page = metrics.encode();
    assert!(
        page.contains("weir_received_total{pipeline=\"a\"} 3\n"),
        "{page}"
    );
    assert!(
        page.contains("weir_received_total{pipeline=\"b\"} 1\n"),
        "{page}"
    );
}

#[test]
fn no_two_metrics_share_a_name() {
    let mut names: Vec<_> = Name::ALL.iter().map(|name| name.full()).collect();
    names.sort();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
}

#[test]
fn a_plugin_gets_64_names_and_the_rest_are_counted() {
    let metrics = Metrics::new();
    let operator = metrics.operator("p", "o");
    for number in 0..PLUGIN_NAMES {
        operator.plugin_add(&format!("user_{number}"), 1);
    }
    assert_eq!(operator.metrics_refused.get(), 0);
    operator.plugin_add("one_too_many", 1);
    operator.plugin_add("user_1", 1);
    assert_eq!(operator.metrics_refused.get(), 1);
    assert!(!metrics.encode().contains("one_too_many"));
}

#[test]
fn a_name_that_breaks_the_rules_or_changes_its_type_is_refused() {
    let metrics = Metrics::new();
    let operator = metrics.operator("p", "o");
    let long = "a".repeat(PLUGIN_NAME_BYTES + 1);
    for name in ["", "Upper", "1st", "_a", "a-b", "a\"b", "ä", &long] {
        operator.plugin_add(name, 1);
    }
    assert_eq!(operator.metrics_refused.get(), 8);
    operator.plugin_add("level", 1);
    operator.plugin_set("level", 1.0);
    operator.plugin_observe("level", 1.0);
    assert_eq!(operator.metrics_refused.get(), 10);
}
