//! The functions that expressions can call: CEL's standard library with its extensions for texts, lists and numbers,
//! `matches`, and rounding of what JSON has.
//!
//! `matches` is on `regex-lite`: the syntax of RE2 without Unicode classes (`\pL`), in a tenth of the size. Patterns
//! are compiled once an instance, not once a message.

use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use cel::{DeclarationError, Env, ExecutionError};
use regex_lite::Regex;
use std::cell::RefCell;
use std::collections::HashMap;

/// Patterns that are not written out but computed would fill the cache for ever.
const CACHED_PATTERNS: usize = 64;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::new(HashMap::new());
}

/// The environment of all expressions.
pub fn environment() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings)?;
    env.add_extension(cel::extensions::lists)?;
    env.add_extension(cel::extensions::math)?;
    cel::add_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>)?;
    cel::add_member_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>,
        id = "string_matches")?;
    // JSON writes `2` and `2.0` of the same sensor, and CEL rounds only the second.
    cel::add_overload!(env, fn whole: (CelInt) -> CelInt, name = "math.round", id = "round_int")?;
    cel::add_overload!(env, fn whole: (CelInt) -> CelInt, name = "math.floor", id = "floor_int")?;
    cel::add_overload!(env, fn whole: (CelInt) -> CelInt, name = "math.ceil", id = "ceil_int")?;
    cel::add_overload!(env, fn whole: (CelInt) -> CelInt, name = "math.trunc", id = "trunc_int")?;
    cel::add_overload!(env, fn whole_digits: (CelInt, CelInt) -> CelInt, name = "math.round")?;
    cel::add_overload!(env, fn digits: (CelDouble, CelInt) -> Result<CelDouble>, name = "math.round")?;
    Ok(env)
}

fn whole(number: &CelInt) -> CelInt {
    *number
}

/// A whole number has nothing behind the point.
fn whole_digits(number: &CelInt, _digits: &CelInt) -> CelInt {
    *number
}

/// As it is written with so many digits, so that 2.675 with two is 2.68, and not what its double is nearer to.
fn digits(number: &CelDouble, digits: &CelInt) -> Result<CelDouble, ExecutionError> {
    let wrong = || ExecutionError::function_error("math.round", "the digits must be 0 to 15");
    let digits = i32::try_from(*digits.inner()).map_err(|_| wrong())?;
    if !(0..=15).contains(&digits) {
        return Err(wrong());
    }
    let (number, scale) = (*number.inner(), 10_f64.powi(digits));
    // Twice the shortest text of a number: of the number with its point moved, and of the result.
    let moved: f64 = format!("{number}e{digits}")
        .parse()
        .unwrap_or(number * scale);
    let rounded = moved.round();
    let back: f64 = format!("{rounded}e-{digits}").parse().unwrap_or(number);
    Ok(CelDouble::from(match moved.is_finite() {
        true => back,
        false => number,
    }))
}

/// Compiles a pattern.
pub fn check(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

fn matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    COMPILED.with_borrow_mut(|compiled| {
        if !compiled.contains_key(pattern.inner()) {
            let regex = check(pattern.inner())
                .map_err(|error| ExecutionError::function_error("matches", error))?;
            if compiled.len() == CACHED_PATTERNS {
                compiled.clear();
            }
            compiled.insert(pattern.inner().to_owned(), regex);
        }
        Ok(CelBool::from(
            compiled[pattern.inner()].is_match(text.inner()),
        ))
    })
}
