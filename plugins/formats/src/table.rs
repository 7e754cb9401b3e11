//! CSV (RFC 4180): a row is an object with a field for each column.

use crate::json::{self, View, view};
use csv::{ErrorKind, ReaderBuilder, StringRecord, WriterBuilder};
use fields::Node;
use std::collections::BTreeMap;
use weir_sdk::Refusal;

#[derive(serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The names of the columns, in order. Without them, `decode` takes the names from the first row.
    columns: Option<Vec<String>>,
    /// Whether to write the names of the columns as the first row; `false` by default.
    #[serde(default)]
    header: bool,
    /// The separator of values: one ASCII character, a comma by default.
    #[serde(default = "comma")]
    delimiter: String,
    /// The types of columns; text by default.
    #[serde(default)]
    types: BTreeMap<String, Type>,
}

/// Most columns that a reason names.
const NAMED: usize = 10;

fn comma() -> String {
    ",".into()
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// Text, unchanged.
    Text,
    /// A number in the syntax of JSON; an empty value is `null`.
    Number,
    /// `true` or `false`; an empty value is `null`.
    Boolean,
}

pub struct Table {
    columns: Option<Vec<String>>,
    header: bool,
    delimiter: u8,
    types: BTreeMap<String, Type>,
}

impl Table {
    pub fn read(refusal: &mut Refusal, config: Config) -> Self {
        let mut letters = config.delimiter.bytes();
        let delimiter = match (letters.next(), letters.next()) {
            (Some(letter), None) if !b"\"\r\n".contains(&letter) => letter,
            _ => {
                let delimiter = config.delimiter;
                refusal.add(
                    &["delimiter"],
                    format!("it must be one ASCII character, not `{delimiter}`"),
                );
                b','
            }
        };
        if let Some(columns) = &config.columns {
            for unknown in config.types.keys().filter(|name| !columns.contains(name)) {
                refusal.add(
                    &["types", unknown],
                    format!("there is no column `{unknown}`"),
                );
            }
            if columns.is_empty() {
                refusal.add(&["columns"], "at least one name is needed");
            }
            for (index, name) in columns.iter().enumerate() {
                let place = ["columns", &index.to_string()];
                if name.is_empty() {
                    refusal.add(&place, "a column needs a name");
                } else if columns.iter().take(index).any(|other| other == name) {
                    refusal.add(&place, format!("two columns have the name `{name}`"));
                }
            }
        }
        Self {
            columns: config.columns,
            header: config.header,
            delimiter,
            types: config.types,
        }
    }

    /// Whether it has what is needed to write.
    pub fn names(&self) -> Result<&[String], String> {
        self.columns
            .as_deref()
            .ok_or_else(|| "`csv` needs `columns` to write".into())
    }

    pub fn decode(&self, payload: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(payload);
        let mut rows = reader.records();
        let names = match &self.columns {
            Some(columns) => columns.clone(),
            None => match rows
                .next()
                .transpose()
                .map_err(|error| wrong(&error, &[], 0))?
            {
                Some(header) => header.iter().map(str::to_owned).collect(),
                None => Vec::new(),
            },
        };
        let above = usize::from(self.columns.is_none());
        let rows: Vec<StringRecord> = rows
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error, &names, above))?;
        let objects = rows.iter().enumerate().map(|(index, row)| {
            let object = self.object(&names, row).map_err(|error| match rows.len() {
                // The payload may be one line of a file, whose number nobody knows here.
                1 => error,
                _ => format!("row {}: {error}", index + 1),
            })?;
            Ok(object.to_json())
        });
        objects.collect()
    }

    fn object(&self, names: &[String], row: &StringRecord) -> Result<Node<'static>, String> {
        if row.len() != names.len() {
            return Err(format!(
                "there are {} values for {} columns: {}",
                row.len(),
                names.len(),
                listed(names)
            ));
        }
        let fields = names.iter().zip(row.iter()).map(|(name, value)| {
            let kind = self.types.get(name).copied().unwrap_or(Type::Text);
            let value = match kind {
                Type::Text => json::value(value),
                _ if value.is_empty() => json::value(&()),
                Type::Number => number(value),
                Type::Boolean => match value {
                    "true" => json::value(&true),
                    "false" => json::value(&false),
                    _ => Err(format!("`{value}` is neither `true` nor `false`")),
                },
            };
            let value = value.map_err(|error| format!("column `{name}`: {error}"))?;
            Ok((name.clone(), value))
        });
        fields.collect::<Result<_, String>>().map(json::object)
    }

    pub fn encode(&self, payload: &mut Node<'_>) -> Result<Vec<u8>, String> {
        let names = self.names()?;
        let mut writer = WriterBuilder::new()
            .delimiter(self.delimiter)
            .from_writer(Vec::new());
        if self.header {
            writer
                .write_record(names)
                .map_err(|error| error.to_string())?;
        }
        let rows = match payload.open()? {
            Node::Array(rows) => rows.iter_mut().collect(),
            row => vec![row],
        };
        let many = rows.len() > 1;
        for (index, row) in rows.into_iter().enumerate() {
            let values = values(names, row).map_err(|error| match many {
                true => format!("row {}: {error}", index + 1),
                false => error,
            })?;
            writer
                .write_record(values)
                .map_err(|error| error.to_string())?;
        }
        writer.into_inner().map_err(|error| error.to_string())
    }
}

/// Why a payload is not CSV; so many rows are not counted.
fn wrong(error: &csv::Error, names: &[String], above: usize) -> String {
    let ErrorKind::Utf8 { pos, err } = error.kind() else {
        return format!("the payload is not CSV: {error}");
    };
    let row = pos.as_ref().map(csv::Position::record);
    let row = row.and_then(|row| usize::try_from(row).ok()?.checked_sub(above));
    let row = match row.filter(|_| !names.is_empty()) {
        Some(row) => format!("row {}", row + 1),
        None => "the first row".to_owned(),
    };
    match names.get(err.field()) {
        Some(name) => format!("{row}: column `{name}`: the value is not UTF-8"),
        None => format!("{row}: value {} is not UTF-8", err.field() + 1),
    }
}

/// The names of columns, as far as a line takes them.
fn listed(names: &[String]) -> String {
    let quoted = names.iter().take(NAMED).map(|name| format!("`{name}`"));
    let quoted = quoted.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => quoted,
        more => format!("{quoted} and {more} more"),
    }
}

fn number(text: &str) -> Result<Node<'static>, String> {
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    match json::digits(text.to_owned()) {
        Ok(number) if is_number => Ok(number),
        _ => Err(format!("`{text}` is no number")),
    }
}

/// The values of a row, in the order of the columns.
fn values(names: &[String], row: &mut Node<'_>) -> Result<Vec<String>, String> {
    let View::Object(fields) = view(row)? else {
        return Err("CSV is written from an object, or from an array of them".into());
    };
    if let Some((unknown, _)) = fields
        .iter()
        .find(|(name, _)| !names.iter().any(|known| known == name))
    {
        return Err(format!("there is no column for the field `{unknown}`"));
    }
    let values = names.iter().map(|name| {
        let field = fields.iter_mut().rfind(|(field, _)| field == name);
        let Some((_, node)) = field else {
            return Ok(String::new());
        };
        match (node.text()?, node.raw()) {
            (Some(text), _) => Ok(text.into_owned()),
            (None, Some("null")) => Ok(String::new()),
            (None, Some(raw)) if !raw.starts_with(['{', '[']) => Ok(raw.to_owned()),
            _ => Err(format!("the field `{name}` is no single value")),
        }
    });
    values.collect()
}
