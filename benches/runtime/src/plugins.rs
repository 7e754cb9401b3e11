//! Many plugins in one process: how long they take to load, and what they hold.

use crate::Measure;
use crate::load::{self, Loaded};
use anyhow::Result;
use serde::Serialize;
use weir_figures::{Table, bytes};

/// Components that differ from each other, and the same to see that it works.
const COUNTS: [usize; 3] = [1, 50, 500];
const QUICK: [usize; 3] = [1, 5, 10];

/// One process with the cache empty, and one with it filled.
#[derive(Serialize)]
struct Row {
    plugins: usize,
    empty: Loaded,
    filled: Loaded,
}

const METHOD: &str = "The identity plugin is loaded this many times, each time with a different \
    custom section, so that weir treats each as a plugin of its own. They are loaded one after \
    the other in a process of its own, in wall-clock time. Resident memory is that beyond an \
    empty runtime, in the process with the filled cache: with all of them loaded, and with an \
    instance of each that has been called.";

/// Measures every count.
pub(crate) fn measure(measure: &Measure) -> Result<()> {
    let cache = measure.out.join("compiled-many");
    let mut rows = Vec::new();
    for plugins in if measure.quick { QUICK } else { COUNTS } {
        let component = measure.plugins.join("identity.wasm");
        let load = load::Arguments::new(component, "null", &cache).times(plugins, 1);
        let row = Row {
            plugins,
            empty: load::ask(&load, true)?,
            filled: load::ask(&load, false)?,
        };
        eprintln!("bench: {plugins} plugins: {:.2} s", row.empty.seconds);
        rows.push(row);
    }
    let title = "Many plugins in one process";
    measure.write("plugins", title, METHOD, vec![table(&rows)], &[], &rows)
}

fn table(rows: &[Row]) -> Table {
    let columns = ["plugins", "loaded, cache empty", "loaded, cache filled"];
    let memory = ["resident, loaded", "resident, called"];
    let mut table = Table::new(&[columns.as_slice(), &memory].concat());
    for row in rows {
        let beyond = |now: u64| bytes(now.saturating_sub(row.filled.before) as f64);
        table.row([
            row.plugins.to_string(),
            seconds(row.empty.seconds),
            seconds(row.filled.seconds),
            beyond(row.filled.loaded),
            beyond(row.filled.called),
        ]);
    }
    table
}

fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 0.9995 => format!("{:.1} ms", short * 1e3),
        long => format!("{long:.1} s"),
    }
}
