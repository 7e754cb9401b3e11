//! Instances: what an idle one holds, and what a fresh one for each message costs.

use crate::Measure;
use crate::load::{self, Loaded};
use crate::race::{Runner, Times, race};
use crate::scene::{Scene, Use, messages};
use anyhow::Result;
use serde::Serialize;
use weir::config::limits::Isolation;
use weir::message::Message;
use weir_figures::{Table, bytes, micros};

/// Instances that are held at once.
const HELD: usize = 200;

/// One plugin.
#[derive(Serialize)]
struct Row {
    plugin: &'static str,
    times: Vec<Times>,
    loaded: Loaded,
}

const METHOD: &str = "Memory is the resident memory of the process per instance, with 200 \
    instances: configured, and after a call with 64 messages. Times are processor time of a call \
    with one message, without a broker: with the lane's instance, and with `isolation: message`, \
    which creates, configures and drops an instance for it; medians of 21 rounds in which the two \
    alternate.";

/// Measures every plugin.
pub(crate) fn measure(measure: &Measure) -> Result<()> {
    let scene = Scene::new(measure)?;
    let cache = measure.out.join("compiled");
    let mut rows = Vec::new();
    for (plugin, file, config) in [
        ("identity", "identity.wasm", "null"),
        ("JSON", "json.wasm", "null"),
        (
            "the standard plugin filter",
            "filter.wasm",
            r#"{"when":"true"}"#,
        ),
    ] {
        // Every plugin answers it, if only with a refusal.
        let one: Vec<Message> = messages(1, 128, 0);
        let runner = |what: &str, isolation: Isolation| -> Result<_> {
            let how = Use {
                config: config.to_owned(),
                isolation,
                ..Use::default()
            };
            let worker = Box::new(scene.worker(file, &how)?);
            Ok((what.to_owned(), Runner::Plugin(worker, one.clone())))
        };
        let runners = vec![
            runner("lane", Isolation::Lane)?,
            runner("message", Isolation::Message)?,
        ];
        let times = race(measure.quick, runners)?;
        let load = load::Arguments::new(measure.plugins.join(file), config, &cache);
        let loaded = load::ask(&load.times(1, HELD), false)?;
        rows.push(Row {
            plugin,
            times,
            loaded,
        });
    }
    let title = "Instances";
    measure.write("instances", title, METHOD, vec![table(&rows)], &[], &rows)
}

fn table(rows: &[Row]) -> Table {
    let columns = ["plugin", "resident, idle", "resident, after a call"];
    let times = ["the lane's instance, a message", "`isolation: message`"];
    let mut table = Table::new(&[columns.as_slice(), &times].concat());
    for row in rows {
        let [lane, message] = row.times.as_slice() else {
            continue;
        };
        let loaded = &row.loaded;
        let each = |now: u64| bytes(now.saturating_sub(loaded.loaded) as f64 / HELD as f64);
        table.row([
            row.plugin.to_owned(),
            each(loaded.started),
            each(loaded.called),
            micros(lane.median),
            micros(message.median),
        ]);
    }
    table
}
