//! Protocol Buffers by a schema: the text of `.proto` files, or a set of descriptors.

use crate::json;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use std::collections::BTreeMap;
use weir_sdk::Refusal;

#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The text of the schema; or of several files that import each other, by their names.
    schema: Option<Files>,
    /// A `FileDescriptorSet` in Base64, as `protoc --include_imports -o` writes it.
    descriptor_set: Option<String>,
    /// The full name of the message's type. Not needed if there is only one.
    message: Option<String>,
    /// The names of fields in JSON; as in the schema by default.
    #[serde(default)]
    names: Names,
    /// Whether `decode` gives fields that are not set the default of their type; `true` by default.
    #[serde(default = "yes")]
    defaults: bool,
}

fn yes() -> bool {
    true
}

#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Files {
    One(String),
    Several(BTreeMap<String, String>),
}

#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// As in the schema.
    #[default]
    Schema,
    /// In lower camel case, as in the JSON mapping of Protocol Buffers.
    Json,
}

pub struct Protobuf {
    message: MessageDescriptor,
    options: SerializeOptions,
}

impl Protobuf {
    pub fn read(refusal: &mut Refusal, config: Config) -> Option<Self> {
        let (pool, own) = match (config.schema, config.descriptor_set) {
            (Some(schema), None) => refusal.under("schema", |refusal| compiled(refusal, schema)),
            (None, Some(base64)) => refusal.check(&["descriptor-set"], described(&base64)),
            _ => {
                refusal.add(&[], "give either `schema` or `descriptor-set`");
                None
            }
        }?;
        let message = message(&pool, &own, config.message.as_deref());
        Some(Self {
            message: refusal.check(&["message"], message)?,
            options: SerializeOptions::new()
                .stringify_64_bit_integers(false)
                .use_proto_field_name(config.names == Names::Schema)
                .skip_default_fields(!config.defaults),
        })
    }

    pub fn decode(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let message = DynamicMessage::decode(self.message.clone(), payload)
            .map_err(|error| format!("the payload is no {}: {error}", self.message.full_name()))?;
        let mut writer = serde_json::Serializer::new(Vec::new());
        message
            .serialize_with_options(&mut writer, &self.options)
            .map_err(|error| error.to_string())?;
        Ok(writer.into_inner())
    }

    pub fn encode(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(
            self.message.clone(),
            &mut reader,
            &options,
        )
        .map_err(|error| format!("the payload is no {}: {error}", self.message.full_name()))?;
        Ok(prost_reflect::prost::Message::encode_to_vec(&message))
    }
}

/// The types, and the names of the files that are the author's own.
type Types = (DescriptorPool, Vec<String>);

/// Of several files that are wrong, each is named.
fn compiled(refusal: &mut Refusal, schema: Files) -> Option<Types> {
    let is_one = matches!(schema, Files::One(_));
    let files = match schema {
        Files::One(text) => BTreeMap::from([("schema.proto".to_owned(), text)]),
        Files::Several(files) => files,
    };
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(files.clone()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    let mut is_sound = true;
    for name in files.keys() {
        let Err(error) = compiler.open_file(name) else {
            continue;
        };
        is_sound = false;
        // It may be in a file that this one imports, which tells it, too.
        let keys: &[&str] = match error.file() {
            _ if is_one => &[],
            Some(other) if other != name && files.contains_key(other) => continue,
            _ => &[name],
        };
        // The report has the line and the column.
        refusal.add(keys, format!("{error:?}"));
    }
    if !is_sound {
        return None;
    }
    let set = compiler.file_descriptor_set();
    let pool = refusal.check(&[], DescriptorPool::from_file_descriptor_set(set))?;
    Some((pool, files.into_keys().collect()))
}

fn described(base64: &str) -> Result<Types, String> {
    let text: String = base64.split_whitespace().collect();
    let bytes = json::from_base64(&text).map_err(|error| error.to_string())?;
    let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
    let names = pool.files().map(|file| file.name().to_owned());
    let names = names.filter(|name| !name.starts_with("google/protobuf/"));
    Ok((pool.clone(), names.collect()))
}

fn message(
    pool: &DescriptorPool,
    own: &[String],
    name: Option<&str>,
) -> Result<MessageDescriptor, String> {
    if let Some(name) = name {
        return pool
            .get_message_by_name(name)
            .ok_or_else(|| format!("the schema has no message `{name}`"));
    }
    let files = pool
        .files()
        .filter(|file| own.iter().any(|own| own == file.name()));
    let mut messages: Vec<MessageDescriptor> = files
        .flat_map(|file| file.messages().collect::<Vec<_>>())
        .collect();
    match (messages.pop(), messages.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err("the schema has several messages or none; write the name of one".into()),
    }
}

struct Texts(BTreeMap<String, String>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.get(name) {
            Some(text) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}
