//! CEL's `matches`, on `regex-lite`: the syntax of RE2 without Unicode classes (`\pL`), in a tenth of
//! the size. Patterns are compiled once an instance, not once a message.

use cel::common::types::{CelBool, CelString};
use cel::{Env, ExecutionError};
use regex_lite::Regex;
use std::cell::RefCell;
use std::collections::HashMap;

/// Patterns that are not written out but computed would fill the cache for ever.
const CACHED_PATTERNS: usize = 64;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::new(HashMap::new());
}

/// CEL's standard library with `matches`.
pub fn environment() -> Result<Env, String> {
    let mut env = Env::stdlib();
    cel::add_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>)
        .and_then(|()| {
            cel::add_member_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>,
                id = "string_matches")
        })
        .map_err(|error| error.to_string())?;
    Ok(env)
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
