//! Converts payloads in other formats to JSON. The formats are in the crate `formats`.

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
    /// The format of the payloads.
    format: formats::Config,
    /// The header with the number of this part of a larger payload, from 0, as `index-header` of `split`
    /// writes it. The reason of a dead letter names the part.
    #[cfg_attr(test, schemars(extend("x-weir-headers" = "names")))]
    index_header: Option<String>,
    /// What happens to a message whose payload is not in this format; `reject` by default.
    #[serde(default)]
    on_error: OnError,
}

struct Decode {
    format: Format,
    index_header: Option<String>,
    on_error: OnError,
}

impl Operator for Decode {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut refusal = Refusal::default();
        let format = refusal.under("format", |refusal| Format::read(refusal, config.format));
        if let Some(name) = &config.index_header {
            refusal.check(&["index-header"], fields::header_name(name));
        }
        refusal.or(format.map(|format| Self {
            format,
            index_header: config.index_header,
            on_error: config.on_error,
        }))
    }

    fn process(&mut self, message: &Message) -> Result<Outputs, Error> {
        match self.format.decode(&message.payload) {
            Ok(payloads) => Ok(payloads.into_iter().map(Output::new).collect()),
            Err(reason) => self.on_error.result(match self.part(message) {
                Some(part) => format!("part {part}: {reason}"),
                None => reason,
            }),
        }
    }
}

impl Decode {
    /// Which part of a larger payload a message is, from 1.
    fn part(&self, message: &Message) -> Option<u64> {
        let index: u64 = message
            .header(self.index_header.as_deref()?)?
            .parse()
            .ok()?;
        index.checked_add(1)
    }
}

weir_sdk::export!(Decode);
