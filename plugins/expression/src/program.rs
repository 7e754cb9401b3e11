//! A CEL expression over a message.
//!
//! What an expression can name is in [`VARIABLES`]; each is computed when it is looked at, so that an
//! expression over the subject never reads the payload, and one that the subject has decided does not
//! ask whether the payload is JSON. Names are checked when it is compiled: a typing error is an error
//! of the configuration, not of every message.

use crate::json::{Computed, Json};
use crate::matches;
use crate::names::{Names, is_function};
use crate::wanted::fields_of;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Program, Value};
use fields::Wanted;
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

/// A compiled expression.
pub struct Expression {
    env: Arc<Env>,
    program: Program,
    /// The fields of the payload that it looks at.
    wanted: Wanted,
}

impl Expression {
    /// Compiles an expression and checks the names in it.
    ///
    /// # Errors
    /// What is wrong with it, with the line and the column.
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
        let wanted = fields_of("payload", program.expression());
        Ok(Self {
            env,
            program,
            wanted,
        })
    }

    /// Whether it is true for this message.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn is_true_for(&self, message: &Message) -> Result<bool, String> {
        let variables = Variables {
            wanted: Some(&self.wanted),
            ..Variables::of(message)
        };
        match self.execute(&variables)? {
            Value::Bool(answer) => Ok(answer),
            other => Err(format!(
                "the expression is neither true nor false: {other:?}"
            )),
        }
    }

    /// Its value, to be written as JSON.
    ///
    /// # Errors
    /// Why it has none.
    pub fn value(&self, variables: &Variables<'_>) -> Result<Computed, String> {
        self.execute(variables).map(Computed)
    }

    fn execute(&self, variables: &Variables<'_>) -> Result<Value, String> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(variables);
        self.program
            .execute(&context)
            .map_err(|error| match (variables.error(), error) {
                (Some(reason), _) => reason.to_owned(),
                (None, ExecutionError::NoSuchKey(name)) => format!("there is no field `{name}`"),
                // CEL has no arithmetic with both, and JSON writes both in the same way.
                (
                    None,
                    ExecutionError::UnsupportedBinaryOperator(
                        _,
                        Value::Float(decimal),
                        Value::Int(whole),
                    )
                    | ExecutionError::UnsupportedBinaryOperator(
                        _,
                        Value::Int(whole),
                        Value::Float(decimal),
                    ),
                ) => format!(
                    "cannot calculate with the decimal number {decimal} and the whole number {whole}: \
                     write `double(...)` around both"
                ),
                (None, error) => format!("cannot evaluate the expression: {error}"),
            })
    }
}

/// What an expression can name of one message, in the order of [`VARIABLES`]; filled in as it is asked for, once
/// for all expressions.
pub struct Variables<'m> {
    message: &'m Message,
    /// The fields of the payload, if not all of them.
    wanted: Option<&'m Wanted>,
    values: [OnceLock<Result<Box<dyn Val>, String>>; VARIABLES.len()],
}

impl<'m> Variables<'m> {
    /// Those of a message.
    #[must_use]
    pub fn of(message: &'m Message) -> Self {
        Self {
            message,
            wanted: None,
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
            let value = variable(name, self.message, self.wanted)?;
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

fn variable(name: &str, message: &Message, wanted: Option<&Wanted>) -> Result<Value, String> {
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
            let json = match wanted {
                Some(wanted) => Json::read(&message.payload, wanted),
                None => serde_json::from_slice(&message.payload),
            };
            let Json(value) = json.map_err(|error| format!("the payload is not JSON: {error}"))?;
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
