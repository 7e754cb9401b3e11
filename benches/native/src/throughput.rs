//! Messages a second: every case in pairs of runs, the sides in turn first.

use anyhow::Result;
use serde::Serialize;
use weir_figures::{Table, median, micros};

use crate::bench::{Bench, Run};
use crate::case::{Case, IDENTITY, Publishing, Side};
use crate::feed::{self, Feed};
use crate::native::Work;

const LARGE: Case = Case {
    name: "identity, 1 KiB",
    feed: Feed::Large,
    ..IDENTITY
};
const ORDERS: Case = Case {
    name: "JSON, 300 B",
    feed: Feed::Orders,
    work: Work::Json,
    plugin: "json.wasm",
    ..IDENTITY
};
const FILTER: Case = Case {
    name: "filter in Rust, 300 B",
    feed: Feed::Orders,
    work: Work::Filter,
    plugin: "long_orders.wasm",
    ..IDENTITY
};

/// Those of the same feed stand next to each other: they read the same stream.
const CASES: [Case; 11] = [
    IDENTITY,
    Case {
        name: "identity, 128 B, fast ingest",
        publishing: Publishing::Ingest { ids: true },
        ..IDENTITY
    },
    Case {
        name: "identity, 128 B, fast ingest, no ids",
        publishing: Publishing::Ingest { ids: false },
        ..IDENTITY
    },
    Case {
        name: "identity, 128 B, both by fast ingest",
        publishing: Publishing::BothIngest,
        ..IDENTITY
    },
    Case {
        name: "identity, 128 B, two lanes",
        lanes: 2,
        ..IDENTITY
    },
    LARGE,
    ORDERS,
    Case {
        name: "JSON, 300 B, trusted",
        trusted: true,
        ..ORDERS
    },
    FILTER,
    Case {
        name: "filter in CEL, 300 B",
        plugin: "filter.wasm",
        config: Some("{when: \"size(payload.lines) > 3\"}"),
        ..FILTER
    },
    Case {
        name: "identity, 128 B, streams in memory",
        feed: Feed::Memory,
        ..IDENTITY
    },
];

/// What the figures are.
const METHOD: &str = "Rates are messages a second, CPU is per message. A ratio is the median of \
    the ratios within the pairs of runs, everything else is a median of the runs; the sides \
    alternate in being first. \
    Each run drains a full stream (in files unless said otherwise, one replica) through a fresh consumer \
    into a fresh stream; outputs carry a message id, publish acks are awaited in a window of 1024, inputs \
    are acked explicitly. Time is measured from the first stored output until the last input is \
    settled; CPU includes the start. Filters keep half of the orders; the native loop parses and \
    tests the same in Rust, so the filter in CEL shows the cost of an expression. Two lanes are \
    two threads \
    with a connection each, on both sides, on one consumer. By fast ingest the sink's stream has \
    `allow_batched`; the native loop is the same as in the first row, or one on weir's own wire that \
    commits a batch with the last message at hand.";

/// A run of each side, one directly after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) weir: Run,
    pub(crate) native: Run,
}

/// All pairs of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Pairs {
    pub(crate) case: String,
    pub(crate) pairs: Vec<Pair>,
}

impl Pairs {
    pub(crate) fn ratio(&self) -> f64 {
        median(
            self.pairs
                .iter()
                .map(|pair| pair.weir.rate / pair.native.rate),
        )
    }

    pub(crate) fn median(&self, value: impl Fn(&Pair) -> f64) -> f64 {
        median(self.pairs.iter().map(value))
    }
}

/// Measures every case.
pub(crate) async fn measure(bench: &Bench<'_>) -> Result<()> {
    let measure = bench.measure;
    let (messages, mut all, mut filled) = (measure.messages(), Vec::new(), None);
    for (index, case) in CASES.into_iter().enumerate() {
        if filled != Some(case.feed) {
            feed::fill(&bench.context, case.feed, messages).await?;
            filled = Some(case.feed);
        }
        // The plain cases have a goal to meet; the others show what a setting does.
        let setting = case.lanes > 1 || case.feed == Feed::Memory;
        let few = setting || case.work == Work::Filter;
        let count = measure.pairs(if few { 3 } else { 5 });
        all.push(pairs(bench, case, &format!("throughput-{index}"), messages, count).await?);
    }
    let method = format!("{METHOD} {messages} messages a run, three pairs of runs or five.");
    bench.write("throughput", "Throughput", method, vec![table(&all)], &all)
}

/// Runs in pairs, the sides in turn first, because who comes second finds warm caches.
pub(crate) async fn pairs(
    bench: &Bench<'_>,
    case: Case,
    name: &str,
    messages: u64,
    count: usize,
) -> Result<Pairs> {
    let run = async |side: Side, number: usize| {
        let name = format!("bench-{name}-{side:?}-{number}").to_lowercase();
        bench.once(side, case, &name, messages).await
    };
    let mut pairs = Vec::new();
    for number in 0..count {
        let (weir, native) = match number % 2 {
            0 => {
                let weir = run(Side::Weir, number).await?;
                (weir, run(Side::Native, number).await?)
            }
            _ => {
                let native = run(Side::Native, number).await?;
                (run(Side::Weir, number).await?, native)
            }
        };
        eprintln!(
            "bench: {} {}/{count}: weir {:.0}/s, native {:.0}/s",
            case.name,
            number + 1,
            weir.rate,
            native.rate
        );
        pairs.push(Pair { weir, native });
    }
    Ok(Pairs {
        case: case.name.to_owned(),
        pairs,
    })
}

/// A row for each case.
pub(crate) fn table(all: &[Pairs]) -> Table {
    let columns = ["", "weir", "native", "ratio"];
    let cpu = ["weir, CPU", "native, CPU", "server, CPU"];
    let mut table = Table::new(&[columns.as_slice(), &cpu].concat());
    for pairs in all {
        table.row([
            pairs.case.clone(),
            format!("{:.0}/s", pairs.median(|pair| pair.weir.rate)),
            format!("{:.0}/s", pairs.median(|pair| pair.native.rate)),
            format!("{:.2}", pairs.ratio()),
            micros(pairs.median(|pair| pair.weir.cpu)),
            micros(pairs.median(|pair| pair.native.cpu)),
            micros(pairs.median(|pair| pair.weir.server_cpu)),
        ]);
    }
    table
}
