//! The aggregator of the conformance suite, in Rust: see `plugins/sdk/conformance/README.md`.

use serde::{Deserialize, Serialize};
use weir_sdk::serde_json::{Value, json};
use weir_sdk::{Aggregator, Error, Message, Output, Outputs, Pane, export_aggregator};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    refuse: Option<String>,
    answer: Value,
}

struct Conformance {
    answer: Value,
}

#[derive(Default, Deserialize, Serialize)]
struct Got {
    count: u64,
    sum: i64,
    first: Option<u64>,
    words: Vec<String>,
}

/// The payload of every case.
#[derive(Deserialize)]
struct Given {
    n: i64,
    word: Option<String>,
}

impl Aggregator for Conformance {
    type Config = Option<Config>;
    type Accumulator = Got;

    fn configure(config: Option<Config>) -> Result<Self, String> {
        let Config { refuse, answer } = config.unwrap_or_default();
        match refuse {
            Some(reason) => Err(reason),
            None => Ok(Self { answer }),
        }
    }

    fn add(&self, got: &mut Got, message: &Message) -> Result<(), Error> {
        let given: Given = message.json()?;
        match message.token(1).unwrap_or_default() {
            "add" => {}
            "reject" => return Err(Error::reject("told to reject")),
            "retry" => return Err(Error::retry("told to retry")),
            "raise" => panic!("told to raise"),
            other => return Err(Error::reject(format!("no such case: {other}"))),
        }
        got.count += 1;
        got.sum += given.n;
        got.first = Some(got.first.unwrap_or(u64::MAX).min(message.event_time));
        got.words.extend(given.word);
        Ok(())
    }

    fn merge(&self, left: Got, right: Got) -> Result<Got, Error> {
        let clashes = |got: &Got| got.words.iter().any(|word| word == "clash");
        if clashes(&left) && clashes(&right) {
            return Err(Error::reject("told to clash"));
        }
        Ok(Got {
            count: left.count + right.count,
            sum: left.sum + right.sum,
            first: [left.first, right.first].into_iter().flatten().min(),
            words: [left.words, right.words].concat(),
        })
    }

    fn emit(&self, pane: &Pane, got: Got) -> Result<Outputs, Error> {
        let told = |wanted: &str| got.words.iter().any(|word| word == wanted);
        if told("reject") {
            return Err(Error::reject("told to reject a window"));
        }
        if told("raise") {
            panic!("told to raise a window");
        }
        if told("none") {
            return Ok(Outputs::none());
        }
        if told("many") {
            let index = |index| Output::json(&json!({ "index": index }));
            return Ok(vec![index(0)?, index(1)?].into());
        }
        if told("set") {
            let output = Output::new("set").subject("elsewhere").key("other");
            return Ok(output.header("Own", "header").into());
        }
        Ok(Output::json(&json!({
            "key": pane.key,
            "start": pane.window.start,
            "end": pane.window.end,
            "timing": pane.timing.as_str(),
            "index": pane.index,
            "count": got.count,
            "sum": got.sum,
            "first": got.first,
            "words": got.words,
            "answer": self.answer,
        }))?
        .into())
    }
}

export_aggregator!(Conformance);
