//! A CEL expression over a message.
//!
//! What an expression can name is in [`VARIABLES`]; each is computed when it is looked at, so that an
//! expression over the subject never reads the payload, and one that the subject has decided does not
//! ask whether the payload is JSON. Names are checked when it is compiled: a typing error is an error
//! of the configuration, not of every message.

use crate::json::Json;
use crate::matches;
use crate::names::{Names, is_function};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Program, Value};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
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
        Ok(Self { env, program })
    }

    /// Whether it is true for this message; the error says why that cannot be told.
    pub fn is_true_for(&self, message: &Message) -> Result<bool, String> {
        let variables = Variables::of(message);
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(&variables);
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(format!(
                "the expression is neither true nor false: {other:?}"
            )),
            Err(error) => Err(match (variables.error(), error) {
                (Some(reason), _) => reason.to_owned(),
                (None, ExecutionError::NoSuchKey(name)) => format!("there is no field `{name}`"),
                (None, error) => format!("cannot evaluate the expression: {error}"),
            }),
        }
    }
}

/// The values of [`VARIABLES`] for one message, in their order; filled in as they are asked for.
struct Variables<'m> {
    message: &'m Message,
    values: [OnceLock<Result<Box<dyn Val>, String>>; VARIABLES.len()],
}

impl<'m> Variables<'m> {
    fn of(message: &'m Message) -> Self {
        Self {
            message,
            values: Default::default(),
        }
    }

    /// Why one that was asked for has no value.
    fn error(&self) -> Option<&str> {
        let asked = self.values.iter().filter_map(OnceLock::get);
        asked
            .filter_map(|value| value.as_ref().err())
            .map(String::as_str)
            .next()
    }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let index = VARIABLES.iter().position(|variable| *variable == name)?;
        let value = self.values[index].get_or_init(|| {
            let value = variable(name, self.message)?;
            value
                .try_into()
                .map_err(|error: ExecutionError| error.to_string())
        });
        value
            .as_ref()
            .ok()
            .map(|value| CowVal::Borrowed(value.as_ref()))
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
