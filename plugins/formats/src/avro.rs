//! Avro by a schema: bare, or with the fingerprint of the schema in front (single-object encoding).

use crate::json::{self, View, excerpt, view};
use crate::{avro_depth, avro_wrong};
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{Name, RecordSchema, ResolvedSchema, Schema, UnionSchema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Uuid};
use fields::Node;
use num_bigint::BigInt;
use std::collections::HashMap;
use weir_sdk::Refusal;

/// What single-object encoding begins with.
const MARKER: [u8; 2] = [0xC3, 0x01];
/// Bytes that one text, array or map may claim to have: more than a message has is a lie.
const LARGEST: usize = 64 << 20;

#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The schema, as an object or as its JSON text.
    schema: serde_json::Value,
    /// The framing of the value; none by default.
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Nothing.
    #[default]
    Datum,
    /// A marker and the fingerprint of the schema: Avro's single-object encoding.
    SingleObject,
}

pub struct Avro {
    schema: Schema,
    names: HashMap<Name, Schema>,
    /// Stands in front of a value.
    head: Vec<u8>,
}

impl Avro {
    /// Of a schema that can be used. What is wrong with it is added to the refusal.
    pub fn read(refusal: &mut Refusal, config: Config) -> Option<Self> {
        apache_avro::util::max_allocation_bytes(LARGEST);
        let made = Self::new(&config);
        made.map_err(|error| avro_wrong::add(refusal, &config.schema, &error))
            .ok()
    }

    fn new(config: &Config) -> Result<Self, String> {
        let wrong = |error: apache_avro::Error| error.to_string();
        let schema = match &config.schema {
            // A text that is no object is the name of a type, such as `string`.
            serde_json::Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
                Schema::parse_str(text)
            }
            schema => Schema::parse(schema),
        };
        let schema = schema.map_err(wrong)?;
        let resolved = ResolvedSchema::new(&schema).map_err(wrong)?;
        let names = resolved.get_names().iter();
        let names = names.map(|(name, schema)| (name.clone(), (*schema).clone()));
        let names = names.collect();
        let head = match config.encoding {
            Encoding::Datum => Vec::new(),
            Encoding::SingleObject => {
                let fingerprint = schema.fingerprint::<Rabin>().bytes;
                MARKER.into_iter().chain(fingerprint).collect()
            }
        };
        Ok(Self {
            schema,
            names,
            head,
        })
    }

    pub fn decode(&self, payload: &[u8]) -> Result<Node<'static>, String> {
        let mut rest = payload.strip_prefix(self.head.as_slice()).ok_or_else(|| {
            match payload.starts_with(&MARKER) {
                true => "the payload was written with another schema than this one".to_owned(),
                false => "the payload has no single-object encoding".to_owned(),
            }
        })?;
        avro_depth::check(rest, &self.schema, &self.names, LARGEST)?;
        let value = GenericDatumReader::builder(&self.schema)
            .build()
            .and_then(|reader| reader.read_value(&mut rest))
            .map_err(|error| format!("the payload does not fit the schema: {error}"))?;
        if !rest.is_empty() {
            return Err(format!(
                "the payload does not fit the schema: {} bytes come behind the value",
                rest.len()
            ));
        }
        Names(&self.names).node(value, &self.schema)
    }

    pub fn encode(&self, payload: &mut Node<'_>) -> Result<Vec<u8>, String> {
        let names = Names(&self.names);
        let value = names.value(payload, &self.schema, "")?;
        let datum = GenericDatumWriter::builder(&self.schema)
            .build()
            .and_then(|writer| writer.write_value_to_vec(value))
            .map_err(|error| format!("the payload does not fit the schema: {error}"))?;
        Ok([self.head.as_slice(), &datum].concat())
    }
}

/// The types that a schema names.
struct Names<'s>(&'s HashMap<Name, Schema>);

impl<'s> Names<'s> {
    fn resolve(&self, schema: &'s Schema) -> Result<&'s Schema, String> {
        match schema {
            Schema::Ref { name } => self
                .0
                .get(name)
                .ok_or_else(|| format!("the schema has no type {name}")),
            schema => Ok(schema),
        }
    }

    fn node(&self, value: Value, schema: &'s Schema) -> Result<Node<'static>, String> {
        match (value, self.resolve(schema)?) {
            (Value::Null, _) => json::value(&()),
            (Value::Boolean(value), _) => json::value(&value),
            (Value::Int(number) | Value::Date(number) | Value::TimeMillis(number), _) => {
                json::value(&number)
            }
            (
                Value::Long(number)
                | Value::TimeMicros(number)
                | Value::TimestampMillis(number)
                | Value::TimestampMicros(number)
                | Value::TimestampNanos(number)
                | Value::LocalTimestampMillis(number)
                | Value::LocalTimestampMicros(number)
                | Value::LocalTimestampNanos(number),
                _,
            ) => json::value(&number),
            (Value::Float(number), _) => json::float(number),
            (Value::Double(number), _) => json::double(number),
            (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => json::bytes(&bytes),
            (Value::String(text) | Value::Enum(_, text), _) => json::value(&text),
            (Value::Uuid(uuid), _) => json::value(&uuid.to_string()),
            (Value::BigDecimal(number), _) => json::digits(number.to_plain_string()),
            (Value::Decimal(number), Schema::Decimal(decimal)) => {
                json::digits(plain(&BigInt::from(number), decimal.scale))
            }
            (Value::Union(index, value), Schema::Union(union)) => {
                let branch = usize::try_from(index).map(|index| union.variants().get(index));
                let branch = branch.ok().flatten().ok_or("a union has no such branch")?;
                self.node(*value, branch)
            }
            (Value::Array(elements), Schema::Array(array)) => {
                let elements = elements.into_iter();
                let elements = elements.map(|element| self.node(element, &array.items));
                elements.collect::<Result<_, _>>().map(Node::Array)
            }
            (Value::Map(entries), Schema::Map(map)) => {
                let mut entries: Vec<_> = entries.into_iter().collect();
                entries.sort_by(|(left, _), (right, _)| left.cmp(right));
                let entries = entries.into_iter();
                let fields = entries.map(|(name, value)| Ok((name, self.node(value, &map.types)?)));
                fields.collect::<Result<_, String>>().map(json::object)
            }
            (Value::Record(fields), Schema::Record(record)) => {
                let fields = fields.into_iter().zip(&record.fields);
                let fields = fields
                    .map(|((name, value), field)| Ok((name, self.node(value, &field.schema)?)));
                fields.collect::<Result<_, String>>().map(json::object)
            }
            (value, _) => Err(format!(
                "there is a value that JSON has no word for: {value:?}"
            )),
        }
    }

    /// `path` is the place of the value, for errors.
    fn value(&self, node: &mut Node<'_>, schema: &'s Schema, path: &str) -> Result<Value, String> {
        let schema = self.resolve(schema)?;
        match schema {
            Schema::Record(record) => return self.record(node, record, path),
            Schema::Union(union) => return self.union(node, union, path),
            _ => {}
        }
        let misfit = format!(
            "{path}{}{} is no {}",
            if path.is_empty() { "" } else { ": " },
            excerpt(node),
            kind(schema)
        );
        let value = match (view(node)?, schema) {
            (View::Null, Schema::Null) => Some(Value::Null),
            (View::Bool(value), Schema::Boolean) => Some(Value::Boolean(value)),
            (View::Whole(number), _) => whole(number, schema),
            (View::Decimal(number), Schema::Double) => Some(Value::Double(number)),
            // The schema says that it has 32 bits.
            (View::Decimal(number), Schema::Float) => Some(Value::Float(number as f32)),
            (View::Decimal(_), Schema::Decimal(decimal)) => None.or_else(|| {
                let raw = node.raw()?;
                unscaled(raw, decimal.scale).map(self::decimal)
            }),
            (View::Text(text), Schema::String) => Some(Value::String(text.into_owned())),
            (View::Text(text), Schema::Bytes) => json::from_base64(&text).ok().map(Value::Bytes),
            (View::Text(text), Schema::Fixed(fixed)) => json::from_base64(&text)
                .ok()
                .filter(|bytes| bytes.len() == fixed.size)
                .map(|bytes| Value::Fixed(fixed.size, bytes)),
            (View::Text(text), Schema::Uuid(_)) => Uuid::parse_str(&text).ok().map(Value::Uuid),
            (View::Text(text), Schema::Enum(symbols)) => symbols
                .symbols
                .iter()
                .position(|symbol| *symbol == text)
                .and_then(|index| u32::try_from(index).ok())
                .map(|index| Value::Enum(index, text.into_owned())),
            (View::Array(elements), Schema::Array(array)) => {
                let elements = elements.iter_mut().enumerate().map(|(index, element)| {
                    self.value(element, &array.items, &format!("{path}/{index}"))
                });
                Some(Value::Array(elements.collect::<Result<_, _>>()?))
            }
            (View::Object(fields), Schema::Map(map)) => {
                let entries = fields.iter_mut().map(|(name, node)| {
                    let value = self.value(node, &map.types, &format!("{path}/{name}"))?;
                    Ok((name.to_string(), value))
                });
                Some(Value::Map(
                    entries.collect::<Result<HashMap<_, _>, String>>()?,
                ))
            }
            _ => None,
        };
        value.ok_or(misfit)
    }

    fn record(
        &self,
        node: &mut Node<'_>,
        record: &'s RecordSchema,
        path: &str,
    ) -> Result<Value, String> {
        let View::Object(present) = view(node)? else {
            return Err(format!("{path}: {} is no record", excerpt(node)));
        };
        let is_unknown = |name: &str| !record.lookup.contains_key(name);
        if let Some((name, _)) = present.iter().find(|(name, _)| is_unknown(name)) {
            return Err(format!("the schema has no field {path}/{name}"));
        }
        let fields = record.fields.iter().map(|field| {
            let path = format!("{path}/{}", field.name);
            let found = present.iter_mut().rfind(|(name, _)| *name == field.name);
            let value = match (found, &field.default) {
                (Some((_, node)), _) => self.value(node, &field.schema, &path)?,
                (None, Some(default)) => {
                    self.value(&mut Node::new(default)?, &field.schema, &path)?
                }
                (None, None) => return Err(format!("there is no field {path}")),
            };
            Ok((field.name.clone(), value))
        });
        fields.collect::<Result<_, String>>().map(Value::Record)
    }

    /// The first branch that the value fits.
    fn union(
        &self,
        node: &mut Node<'_>,
        union: &'s UnionSchema,
        path: &str,
    ) -> Result<Value, String> {
        let mut misfit = String::new();
        for (index, branch) in (0_u32..).zip(union.variants()) {
            match self.value(node, branch, path) {
                Ok(value) => return Ok(Value::Union(index, Box::new(value))),
                // What does not fit the last branch but `null` is what the author meant.
                Err(error) if !matches!(branch, Schema::Null) || misfit.is_empty() => {
                    misfit = error;
                }
                Err(_) => {}
            }
        }
        Err(misfit)
    }
}

fn decimal(unscaled: BigInt) -> Value {
    Value::Decimal(Decimal::from(unscaled.to_signed_bytes_be()))
}

fn whole(number: i128, schema: &Schema) -> Option<Value> {
    let int = || i32::try_from(number).ok();
    let long = || i64::try_from(number).ok();
    // Beyond 2^53 a double does not have all whole numbers.
    let double = || {
        i32::try_from(number)
            .map_or_else(|_| exact_double(number), |number| Some(f64::from(number)))
    };
    match schema {
        Schema::Int => int().map(Value::Int),
        Schema::Date => int().map(Value::Date),
        Schema::TimeMillis => int().map(Value::TimeMillis),
        Schema::Long => long().map(Value::Long),
        Schema::TimeMicros => long().map(Value::TimeMicros),
        Schema::TimestampMillis => long().map(Value::TimestampMillis),
        Schema::TimestampMicros => long().map(Value::TimestampMicros),
        Schema::TimestampNanos => long().map(Value::TimestampNanos),
        Schema::LocalTimestampMillis => long().map(Value::LocalTimestampMillis),
        Schema::LocalTimestampMicros => long().map(Value::LocalTimestampMicros),
        Schema::LocalTimestampNanos => long().map(Value::LocalTimestampNanos),
        Schema::Double => double().map(Value::Double),
        // The schema says that it has 32 bits.
        Schema::Float => double().map(|number| Value::Float(number as f32)),
        Schema::Decimal(decimal) => unscaled(&number.to_string(), decimal.scale).map(self::decimal),
        _ => None,
    }
}

fn exact_double(number: i128) -> Option<f64> {
    // Within the bound there is nothing to round.
    (number.unsigned_abs() <= 1 << 53).then_some(number as f64)
}

/// A number without its decimal point: `12.5` with a scale of 2 is 1250.
fn unscaled(text: &str, scale: usize) -> Option<BigInt> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > scale || text.contains(['e', 'E']) {
        return None;
    }
    format!("{whole}{fraction:0<scale$}").parse().ok()
}

/// A number with its decimal point.
fn plain(unscaled: &BigInt, scale: usize) -> String {
    let text = unscaled.to_string();
    if scale == 0 {
        return text;
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// What a schema is called in an error.
fn kind(schema: &Schema) -> String {
    match schema {
        Schema::Enum(symbols) => format!("symbol of {}", symbols.name),
        Schema::Fixed(fixed) => format!("{} ({} bytes in Base64)", fixed.name, fixed.size),
        Schema::Bytes => "Base64".to_owned(),
        Schema::Decimal(decimal) => format!("decimal number with {} decimal places", decimal.scale),
        schema => format!("{schema:?}")
            .split(['(', ' ', '{'])
            .next()
            .unwrap_or_default()
            .to_lowercase(),
    }
}
