//! Hosts that share a consumer: one to three processes on the same work.

use anyhow::Result;

use crate::bench::Bench;
use crate::case::{Case, IDENTITY};
use crate::feed;
use crate::throughput::{pairs, table};

const CASES: [Case; 3] = [
    Case {
        name: "one host",
        ..IDENTITY
    },
    Case {
        name: "two hosts",
        hosts: 2,
        ..IDENTITY
    },
    Case {
        name: "three hosts",
        hosts: 3,
        ..IDENTITY
    },
];

/// Measures the rate of all hosts together, beside as many native loops.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let messages = bench.measure.messages();
    feed::fill(&bench.context, IDENTITY.feed, messages).await?;
    let mut all = Vec::new();
    for case in CASES {
        let name = format!("hosts-{}", case.hosts);
        let count = bench.measure.pairs(3);
        all.push(pairs(bench, case, &name, messages, count).await?);
    }
    let method = format!(
        "Processes on one machine that share a consumer; rates are the sum of all hosts, measured \
        like the throughput of one: messages of 128 bytes that are passed on, {messages} a run, \
        three \
         pairs of runs. The server runs on the same cores: when they are full, an additional host \
         takes time from the server."
    );
    let title = "Hosts that share a consumer";
    bench.write("hosts", title, method, vec![table(&all)], &all)
}
