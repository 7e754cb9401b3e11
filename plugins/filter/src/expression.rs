//! A CEL expression over a message.
//!
//! What an expression can name is in [`VARIABLES`]; only what it does name is computed, so that an
//! expression over the subject never reads the payload. Names are checked when it is compiled: a
//! typing error is an error of the configuration, not of every message.

use crate::json::Json;
use crate::matches;
use crate::names::{Names, is_function};
use cel::{Context, Env, ExecutionError, Program, Value};
use std::collections::HashMap;
use std::sync::Arc;
use weir_sdk::Message;

/// What an expression can name.
const VARIABLES: [&str; 8] = [
    "subject",
    "key",
    "headers",
    "payload",
    "text",
    "sequence",
    "attempt",
    "event_time",
];

pub struct Expression {
    env: Arc<Env>,
    program: Program,
    /// Those of [`VARIABLES`] that the program names.
    variables: Vec<&'static str>,
}

impl Expression {
    /// Compiles an expression and checks the names in it.
    pub fn compile(source: &str) -> Result<Self, String> {
        let env = Arc::new(matches::environment()?);
        let program = env.compile(source).map_err(|errors| describe(&errors))?;
        let names = Names::of(program.expression());
        if let Some(unknown) = names
            .variables
            .iter()
            .find(|name| !VARIABLES.contains(name))
        {
            let known = VARIABLES.join("`, `");
            return Err(format!("unknown name `{unknown}`: there are `{known}`"));
        }
        if let Some(unknown) = names.functions.iter().find(|name| !is_function(&env, name)) {
            return Err(format!("unknown function `{unknown}`"));
        }
        for pattern in names.patterns {
            matches::check(pattern)?;
        }
        let variables = VARIABLES
            .into_iter()
            .filter(|name| names.variables.contains(name))
            .collect();
        Ok(Self {
            env,
            program,
            variables,
        })
    }

    /// Whether it is true for this message; the error says why that cannot be told.
    pub fn is_true_for(&self, message: &Message) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        for &name in &self.variables {
            context.add_variable_from_value(name, variable(name, message)?);
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(format!(
                "the expression is neither true nor false: {other:?}"
            )),
            Err(ExecutionError::NoSuchKey(name)) => Err(format!("there is no field `{name}`")),
            Err(error) => Err(format!("cannot evaluate the expression: {error}")),
        }
    }
}

fn variable(name: &str, message: &Message) -> Result<Value, String> {
    let integer = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Ok(match name {
        "subject" => message.subject.as_str().into(),
        "key" => message.key.as_deref().map_or(Value::Null, Value::from),
        "headers" => {
            let lines = message.headers.iter().rev(); // of several, the first counts
            let map: HashMap<_, _> = lines
                .map(|line| (line.name.as_str(), line.value.as_str()))
                .collect();
            map.into()
        }
        "payload" => {
            let Json(value) = serde_json::from_slice(&message.payload)
                .map_err(|error| format!("the payload is not JSON: {error}"))?;
            value
        }
        "text" => str::from_utf8(&message.payload)
            .map_err(|error| format!("the payload is not text: {error}"))?
            .into(),
        "sequence" => integer(message.sequence),
        "attempt" => integer(message.attempt.into()),
        _ => integer(message.event_time),
    })
}

/// The parser's errors, one a line, with the column in the expression.
fn describe(errors: &cel::ParseErrors) -> String {
    let lines = errors.errors.iter().map(|error| {
        let (line, column) = error.pos;
        format!("line {line}, column {column}: {}", error.msg)
    });
    lines.collect::<Vec<_>>().join("\n")
}
