//! What it costs to cross into a plugin and back: by payload, headers, batch, and by what comes back.

use crate::Measure;
use crate::native;
use crate::race::{Runner, Times, race};
use crate::scene::{BATCH, Scene, Use, messages, orders};
use anyhow::Result;
use serde::Serialize;
use weir::config::resolved::HeaderSelection;
use weir::message::{Message, Outcome};
use weir_figures::{Table, micros};

/// One row: the same messages through a plugin and through native code.
#[derive(Serialize)]
struct Row {
    messages: String,
    plugin: &'static str,
    times: Vec<Times>,
}

/// A plugin and what does the same.
type Work = (&'static str, &'static str, fn(&[Message]) -> Vec<Outcome>);

const PASS: Work = ("passes on", "identity.wasm", native::pass);
const BY_VALUE: Work = ("all by value", "by_value.wasm", native::by_value);
const JSON: Work = ("JSON", "json.wasm", native::json);

const METHOD: &str = "Processor time for each message of a call, on one thread, without a broker: \
    a plugin in weir's runtime and a native function process the same messages alternately in one \
    process; medians of 21 rounds. `passes on` returns no bytes and the host copies everything \
    from the input; `all by value` returns payload, subject and headers; `JSON` parses an order, \
    adds its total and serialises it. The batch of one shows the cost of the call itself. The \
    world is `operator`, the only one that weir runs.";

/// Measures every row.
pub(crate) fn measure(measure: &Measure) -> Result<()> {
    let scene = Scene::new(measure)?;
    let mut rows = Vec::new();
    let mut row = |what: &str, batch: Vec<Message>, work: Work| -> Result<()> {
        let (plugin, file, transform) = work;
        let how = Use {
            headers: HeaderSelection::All,
            ..Use::default()
        };
        let worker = Box::new(scene.worker(file, &how)?);
        let runners = vec![
            ("plugin".to_owned(), Runner::Plugin(worker, batch.clone())),
            ("native".to_owned(), Runner::Native(transform, batch)),
        ];
        let times = race(measure.quick, runners)?;
        rows.push(Row {
            messages: what.to_owned(),
            plugin,
            times,
        });
        Ok(())
    };
    for (what, bytes) in [("64 B", 64), ("1 KiB", 1024), ("16 KiB", 16 << 10)] {
        for work in [PASS, BY_VALUE] {
            row(what, messages(BATCH, bytes, 0), work)?;
        }
    }
    for headers in [2, 8] {
        for work in [PASS, BY_VALUE] {
            let what = format!("64 B, {headers} headers");
            row(&what, messages(BATCH, 64, headers), work)?;
        }
    }
    for batch in [1, 16, 256] {
        let what = format!("64 B, batch of {batch}");
        row(&what, messages(batch, 64, 0), PASS)?;
    }
    row("orders, 300 B", orders(BATCH), JSON)?;
    let title = "The border alone";
    measure.write("border", title, METHOD, vec![table(&rows)], &[], &rows)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["messages, in batches of 64", "plugin", "in weir", "native"]);
    table.columns.push("weir, beyond native".to_owned());
    for row in rows {
        let [plugin, native] = row.times.as_slice() else {
            continue;
        };
        table.row([
            row.messages.clone(),
            row.plugin.to_owned(),
            micros(plugin.median),
            micros(native.median),
            micros(plugin.median - native.median),
        ]);
    }
    table
}
