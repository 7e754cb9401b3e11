//! Formats of payloads other than JSON, from and to JSON.
//!
//! | file | |
//! |---|---|
//! | `json.rs` | JSON values to read and to make |
//! | `avro.rs` | Avro by a schema |
//! | `avro_wrong.rs` | where a schema of Avro is wrong |
//! | `avro_depth.rs` | how deep a value in Avro is nested |
//! | `cbor.rs` | CBOR |
//! | `messagepack.rs` | MessagePack |
//! | `protobuf.rs` | Protocol Buffers by a schema |
//! | `table.rs` | CSV |
//!
//! Whole numbers of 64 bits are exact in each of them.

mod avro;
mod avro_depth;
mod avro_wrong;
mod cbor;
mod json;
mod messagepack;
mod protobuf;
mod table;
#[cfg(test)]
mod tests;

use fields::Node;
use weir_sdk::Refusal;

/// What stands under `format:`.
#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Config {
    /// MessagePack.
    Messagepack,
    /// CBOR (RFC 8949).
    Cbor,
    /// CSV (RFC 4180).
    Csv(table::Config),
    /// Avro, with a schema.
    Avro(avro::Config),
    /// Protocol Buffers, with a schema.
    Protobuf(protobuf::Config),
}

/// A format that is ready to read and write.
pub enum Format {
    /// MessagePack.
    Messagepack,
    /// CBOR.
    Cbor,
    /// CSV.
    Csv(table::Table),
    /// Avro.
    Avro(Box<avro::Avro>),
    /// Protocol Buffers.
    Protobuf(protobuf::Protobuf),
}

impl Format {
    /// Compiles the schema. What is wrong with the configuration is added to the refusal.
    pub fn read(refusal: &mut Refusal, config: Config) -> Option<Self> {
        Some(match config {
            Config::Messagepack => Self::Messagepack,
            Config::Cbor => Self::Cbor,
            Config::Csv(config) => {
                let table = refusal.under("csv", |refusal| table::Table::read(refusal, config));
                Self::Csv(table)
            }
            Config::Avro(config) => {
                let avro = refusal.under("avro", |refusal| avro::Avro::read(refusal, config));
                Self::Avro(Box::new(avro?))
            }
            Config::Protobuf(config) => Self::Protobuf(refusal.under("protobuf", |refusal| {
                protobuf::Protobuf::read(refusal, config)
            })?),
        })
    }

    /// The same, of a format to write.
    pub fn to_write(refusal: &mut Refusal, config: Config) -> Option<Self> {
        let format = Self::read(refusal, config);
        if let Some(Self::Csv(table)) = &format {
            refusal.check(&["csv"], table.names());
        }
        format
    }

    /// The JSON texts that a payload becomes: one, but one for each row of CSV.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn decode(&self, payload: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let node = match self {
            Self::Messagepack => messagepack::decode(payload),
            Self::Cbor => cbor::decode(payload),
            Self::Csv(table) => return table.decode(payload),
            Self::Avro(avro) => avro.decode(payload),
            Self::Protobuf(protobuf) => return Ok(vec![protobuf.decode(payload)?]),
        };
        Ok(vec![node?.to_json()])
    }

    /// A JSON payload in this format.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn encode(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        fields::check_depth(payload)?;
        let mut node = Node::read(payload)?;
        match self {
            Self::Messagepack => messagepack::encode(&mut node),
            Self::Cbor => cbor::encode(&mut node),
            Self::Csv(table) => table.encode(&mut node),
            Self::Avro(avro) => avro.encode(&mut node),
            Self::Protobuf(protobuf) => protobuf.encode(payload),
        }
    }
}
