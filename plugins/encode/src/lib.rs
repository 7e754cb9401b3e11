//! Writes JSON payloads in another format. The formats are in the crate `formats`.

#[cfg(test)]
mod tests;

use formats::Format;
use weir_sdk::{Error, Message, Operator, Output, Outputs, metrics};

/// What stands under `config:`.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The format that payloads get.
    format: formats::Config,
    /// What becomes of a message whose payload cannot be written in this format; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

#[derive(Clone, Copy, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum OnError {
    /// Make it a dead letter, because nobody said that it may be lost.
    #[default]
    Reject,
    /// Drop it.
    Drop,
    /// Pass it on as it came.
    Pass,
}

struct Encode {
    format: Format,
    on_error: OnError,
}

impl Operator for Encode {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let format = Format::new(config.format)?;
        format.can_write()?;
        Ok(Self {
            format,
            on_error: config.on_error,
        })
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.format.encode(&message.payload) {
            Ok(payload) => Ok(Output::new(payload).into()),
            Err(reason) => {
                metrics::add("failed", 1);
                match self.on_error {
                    OnError::Reject => Err(Error::Reject(reason)),
                    OnError::Drop => Ok(Outputs::none()),
                    OnError::Pass => Ok(Outputs::pass()),
                }
            }
        }
    }
}

weir_sdk::export!(Encode);
