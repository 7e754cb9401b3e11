//! Says of each window what it got.
//!
//! A result is `<start>..<end> <timing> <index>: <words>`, with the window in seconds and the payloads in the order of
//! the alphabet. The payload `reject` is refused, `trap` traps, and a window with `stuck` is not emitted.
//!
//! Configuration: with `counts: true` a result is JSON with the window, the number of messages, and the least and the
//! greatest `counter` in their payloads.

use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane, serde_json};

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    counts: bool,
}

struct Windows(Config);

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Got {
    words: Vec<String>,
    count: u64,
    min: Option<i64>,
    max: Option<i64>,
}

impl Aggregator for Windows {
    type Config = Config;
    type Accumulator = Got;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn add(&self, got: &mut Got, message: &Message) -> Result<(), Error> {
        got.count += 1;
        if self.0.counts {
            let payload: serde_json::Value = message.json()?;
            let counter = payload["counter"].as_i64();
            got.min = [got.min, counter].into_iter().flatten().min();
            got.max = got.max.max(counter);
            return Ok(());
        }
        match message.text()? {
            "reject" => Err(Error::reject("it says so")),
            "trap" => panic!("it says so"),
            word => {
                got.words.push(word.to_owned());
                Ok(())
            }
        }
    }

    fn merge(&self, left: Got, right: Got) -> Result<Got, Error> {
        Ok(Got {
            words: [left.words, right.words].concat(),
            count: left.count + right.count,
            min: [left.min, right.min].into_iter().flatten().min(),
            max: left.max.max(right.max),
        })
    }

    fn emit(&self, pane: &Pane, mut got: Got) -> Result<Outputs, Error> {
        let (start, end) = (pane.window.start, pane.window.end);
        if self.0.counts {
            let counts = serde_json::json!({
                "start": start,
                "end": end,
                "count": got.count,
                "min": got.min,
                "max": got.max,
            });
            return Ok(Output::json(&counts)?.into());
        }
        if got.words.iter().any(|word| word == "stuck") {
            return Err(Error::reject("a window is stuck"));
        }
        got.words.sort();
        let (timing, index, words) = (pane.timing.as_str(), pane.index, got.words.join(" "));
        let seconds = |time: i64| time as f64 / 1e9;
        let (start, end) = (seconds(start), seconds(end));
        let text = format!("{start}..{end} {timing} {index}: {words}");
        Ok(Output::new(text).header("Own", "header").into())
    }
}

weir_sdk::export_aggregator!(Windows);
