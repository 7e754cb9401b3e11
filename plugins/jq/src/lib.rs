//! Changes JSON payloads with a [jq](https://jqlang.org/manual/) program.
//!
//! Each value that the program yields becomes a message: none drops the message, several split it.
//! The program sees the payload as its input and the rest of the message as variables. jq itself is
//! [jaq](https://gedenkt.at/jaq/manual/), in `program.rs`; `json.rs` writes what it yields.

mod json;
mod program;
#[cfg(test)]
mod tests;

use fields::OnError;
use program::Program;
use weir_sdk::{Error, Message, Operator, Output, Outputs, Refusal};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The program, in jq.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "mentions")))]
    query: String,
    /// Write strings without quotes and escapes, as `jq -r` does.
    #[serde(default)]
    raw: bool,
    /// What happens to a message whose payload is not JSON, or on which the program fails.
    #[serde(default)]
    on_error: OnError,
}

struct Jq {
    program: Program,
    raw: bool,
    on_error: OnError,
}

impl Operator for Jq {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let program = Program::compile(&config.query);
        for (at, what) in program.as_ref().err().into_iter().flatten() {
            refusal.add_within(&["query"], *at, what, None);
        }
        refusal.or(program.ok().map(|program| Self {
            program,
            raw: config.raw,
            on_error: config.on_error,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        self.run(message)
            .or_else(|error| self.on_error.result(error))
    }
}

impl Jq {
    /// All of the program's values, or none: what it yielded before it failed is not used.
    fn run(&self, message: &Message) -> Result<Outputs, String> {
        let values = self.program.run(message)?;
        values
            .map(|value| Ok(Output::new(json::write(&value?, self.raw)?)))
            .collect()
    }
}

weir_sdk::export!(Jq);
