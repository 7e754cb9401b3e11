//! Where a schema of Avro is wrong: the parser says what, and not always where.

use apache_avro::schema::Schema;
use serde_json::Value;
use weir_sdk::Refusal;

/// Adds an error of the schema that stands at `schema`, at its place, and with the name of the field that it is in.
pub fn add(refusal: &mut Refusal, schema: &Value, error: &str) {
    let parsed = schema
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    let mut place = Place::default();
    place.find(parsed.as_ref().unwrap_or(schema), error);
    let message = match place.fields.is_empty() {
        true => error.to_owned(),
        false => format!("field `{}`: {error}", place.fields.join(".")),
    };
    // In a text there are no places.
    let keys = if schema.is_string() {
        &[]
    } else {
        &*place.keys
    };
    let keys: Vec<&str> = ["schema"]
        .into_iter()
        .chain(keys.iter().map(String::as_str))
        .collect();
    refusal.add(&keys, message);
}

#[derive(Default)]
struct Place {
    keys: Vec<String>,
    /// The names of the fields on the way.
    fields: Vec<String>,
}

impl Place {
    /// Goes to the innermost part of a schema that has this error by itself.
    fn find(&mut self, schema: &Value, error: &str) {
        let is_wrong =
            |part: &Value| Schema::parse(part).is_err_and(|found| found.to_string() == error);
        if let Some(branches) = schema.as_array() {
            let mut branches = branches.iter().enumerate();
            if let Some((index, branch)) = branches.find(|(_, branch)| is_wrong(branch)) {
                self.keys.push(index.to_string());
                self.find(branch, error);
            }
            return;
        }
        let fields = schema.get("fields").and_then(Value::as_array);
        let mut fields = fields.into_iter().flatten().enumerate();
        let alone = |field: &Value| {
            let mut record = schema.clone();
            record["fields"] = vec![field.clone()].into();
            record
        };
        if let Some((index, field)) = fields.find(|(_, field)| is_wrong(&alone(field))) {
            self.keys.extend(["fields".to_owned(), index.to_string()]);
            let name = field.get("name").and_then(Value::as_str);
            self.fields.extend(name.map(str::to_owned));
            self.part(field, "type", error);
            return;
        }
        for key in ["type", "items", "values"] {
            self.part(schema, key, error);
        }
    }

    fn part(&mut self, schema: &Value, key: &str, error: &str) {
        let part = schema.get(key);
        let is_wrong =
            |part: &&Value| Schema::parse(part).is_err_and(|found| found.to_string() == error);
        if let Some(part) = part.filter(is_wrong) {
            self.keys.push(key.to_owned());
            self.find(part, error);
        }
    }
}
