//! Writes JSON payloads in another format. The formats are in the crate `formats`.

#[cfg(test)]
mod tests;

use fields::OnError;
use formats::Format;
use weir_sdk::{Error, Message, Operator, Output, Outputs, Refusal};

/// The keys of `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The format to write.
    format: formats::Config,
    /// What happens to a message whose payload cannot be written in this format; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

struct Encode {
    format: Format,
    on_error: OnError,
}

impl Operator for Encode {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let format = refusal.under("format", |refusal| Format::to_write(refusal, config.format));
        refusal.or(format.map(|format| Self {
            format,
            on_error: config.on_error,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.format.encode(&message.payload) {
            Ok(payload) => Ok(Output::new(payload).into()),
            Err(reason) => self.on_error.result(reason),
        }
    }
}

weir_sdk::export!(Encode);
