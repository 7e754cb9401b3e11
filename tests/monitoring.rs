//! What `examples/monitoring` gives to Prometheus and Grafana asks for metrics that there are, and has every
//! alert of `docs/operators.md`.

use crate::harness::repository;
use serde_json::Value;
use std::collections::BTreeSet;

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap()
}

/// The metrics that an expression asks for: words that begin with `weir_`.
fn metrics(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("weir_"))
        .map(str::to_owned)
        .collect()
}

/// The names under which the metrics of `docs/metrics.md` are served.
fn served() -> BTreeSet<String> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `weir_"));
    rows.flat_map(|row| {
        let name = row.split('`').nth(1).unwrap();
        let endings: &[&str] = match row.contains("| histogram |") {
            true => &["_bucket", "_sum", "_count"],
            false => &[""],
        };
        endings.iter().map(move |ending| format!("{name}{ending}"))
    })
    .collect()
}

/// The expressions of the alerts.
fn alerts() -> Vec<String> {
    let file = yaml("examples/monitoring/alerts.yaml");
    let rules = file["groups"][0]["rules"].as_array().unwrap();
    let expressions = rules.iter().map(|rule| rule["expr"].as_str().unwrap());
    expressions.map(str::to_owned).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read("examples/monitoring/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let asked: BTreeSet<String> = targets
        .flatten()
        .flat_map(|target| metrics(target["expr"].as_str().unwrap()))
        .collect();
    assert!(asked.len() > 20, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&served()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_alerts_ask_for_metrics_that_there_are() {
    let asked: BTreeSet<String> = alerts().iter().flat_map(|alert| metrics(alert)).collect();
    let unknown: Vec<_> = asked.difference(&served()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_alert_of_the_page_is_in_the_file() {
    let page = read("docs/operators.md");
    let (_, section) = page.split_once("\n## Alerts\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let alerts = alerts();
    let rows: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        // An alert without a number of its own, such as a lag that grows, is one of that metric.
        let has = |alert: &String| match row.contains(' ') {
            true => alert == row,
            false => metrics(alert).contains(row),
        };
        assert!(alerts.iter().any(has), "there is no alert for `{row}`");
    }
}

#[test]
fn prometheus_reads_the_alerts_and_the_hosts_default_address() {
    let file = yaml("examples/monitoring/prometheus.yaml");
    assert_eq!(file["rule_files"][0], "alerts.yaml");
    let job = &file["scrape_configs"][0];
    assert_eq!(job["job_name"], "weir"); // which `up{job="weir"}` names
    assert_eq!(job["static_configs"][0]["targets"][0], "127.0.0.1:9464");
}
