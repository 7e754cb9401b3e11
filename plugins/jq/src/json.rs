//! Writes what a program yields as JSON.
//!
//! jaq's values are a superset of JSON, and its own writer writes them all. What leaves this plugin
//! is read by others, so it is JSON or an error. Numbers keep their digits.

use fields::DEPTH;
use jaq_json::{Num, Val};
use std::io::Write;

/// The value as JSON text; with `raw`, a string as it is.
pub fn write(value: &Val, raw: bool) -> Result<Vec<u8>, String> {
    if let (true, Val::TStr(text) | Val::BStr(text)) = (raw, value) {
        return Ok(text.to_vec());
    }
    let mut json = Vec::with_capacity(256);
    append(value, &mut json, DEPTH)?;
    Ok(json)
}

/// `depth` is how many levels may still come.
fn append(value: &Val, json: &mut Vec<u8>, depth: usize) -> Result<(), String> {
    let inner = || {
        depth.checked_sub(1).ok_or_else(|| {
            format!("the program yields a value with more than {DEPTH} levels of nesting")
        })
    };
    match value {
        Val::Null => json.extend(b"null"),
        Val::Bool(truth) => json.extend(if *truth { "true" } else { "false" }.bytes()),
        // As jq does: JSON has no word for these.
        Val::Num(Num::Float(number)) if number.is_nan() => json.extend(b"null"),
        Val::Num(Num::Float(number)) if number.is_infinite() => {
            let number = f64::MAX.copysign(*number);
            write!(json, "{number:e}").map_err(|error| error.to_string())?;
        }
        Val::Num(number) => write!(json, "{number}").map_err(|error| error.to_string())?,
        Val::TStr(text) => serde_json::to_writer(json, &String::from_utf8_lossy(text))
            .map_err(|error| error.to_string())?,
        Val::BStr(_) => return Err("the program yields bytes, which JSON has no word for".into()),
        Val::Arr(elements) => {
            let inner = inner()?;
            json.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                append(element, json, inner)?;
            }
            json.push(b']');
        }
        Val::Obj(entries) => {
            let inner = inner()?;
            json.push(b'{');
            for (index, (name, element)) in entries.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                if !matches!(name, Val::TStr(_)) {
                    return Err(format!("the program yields an object with the key {name}"));
                }
                append(name, json, inner)?;
                json.push(b':');
                append(element, json, inner)?;
            }
            json.push(b'}');
        }
    }
    Ok(())
}
