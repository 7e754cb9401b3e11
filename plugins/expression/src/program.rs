//! A CEL expression over a message.
//!
//! What an expression can name is in [`VARIABLES`]; each is computed when it is looked at, so that an
//! expression over the subject never reads the payload, and one that the subject has decided does not
//! ask whether the payload is JSON. Names and calls are checked when it is compiled: a typing error is an error
//! of the configuration, not of every message.

use crate::json::{Computed, Json};
use crate::names::Names;
use crate::wanted::fields_of;
use crate::wrong::Wrong;
use crate::{functions, library, syntax, why};
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
    /// Compiles an expression, and checks what it names and calls.
    ///
    /// # Errors
    /// What is wrong with it; of several mistakes in how it is written, the first.
    pub fn compile(source: &str) -> Result<Self, Vec<Wrong>> {
        let env = library::environment().map(Arc::new).map_err(|error| {
            let (at, message, hint) = ((1, 1), error.to_string(), None);
            vec![Wrong { at, message, hint }]
        })?;
        let program = env
            .compile(source)
            .map_err(|errors| vec![syntax::explain(source, &errors)])?;
        let mut wrong = check(source, &program);
        wrong.sort_by_key(|wrong| wrong.at);
        if !wrong.is_empty() {
            return Err(wrong);
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
                "the expression is neither true nor false, but {}",
                why::kind(&other)
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
        let outcome = self.program.execute(&context);
        outcome.map_err(|error| match variables.error() {
            Some(reason) => reason.to_owned(),
            None => why::explain(self.program.expression(), &context, error),
        })
    }
}

/// What is wrong with what an expression names and calls.
fn check(source: &str, program: &Program) -> Vec<Wrong> {
    let names = Names::of(program.expression());
    let at = |id: u64, name: &str| position(source, program, id, name);
    let variables = names.variables.iter();
    let unknown = variables.filter(|named| !VARIABLES.contains(&named.name));
    let unknown = unknown.map(|named| {
        let near = functions::nearest(named.name, VARIABLES.into_iter());
        let all = || format!("the variables are `{}`", VARIABLES.join("`, `"));
        Wrong {
            at: at(named.id, named.name),
            message: format!("unknown variable `{}`", named.name),
            hint: Some(near.map_or_else(all, |near| format!("did you mean `{near}`?"))),
        }
    });
    let calls = names.calls.iter().filter_map(|called| {
        let known = functions::all().find(|function| function.name == called.name);
        let message = match known {
            Some(function) if function.takes(called.is_member, called.arguments) => return None,
            Some(_) => format!("`{}` is not called like this", called.name),
            None => format!("unknown function `{}`", called.name),
        };
        let hint = match (known, functions::meant(&called.name)) {
            (Some(function), _) => format!("write {}", function.call()),
            (None, Some(near)) => format!("did you mean {}?", near.call()),
            (None, None) => "docs/expressions.md lists the functions".to_owned(),
        };
        Some(Wrong {
            at: at(called.id, &called.name),
            message,
            hint: Some(hint),
        })
    });
    let types = names.types.iter().map(|named| Wrong {
        at: at(named.id, named.name),
        message: format!("there is no type `{}`", named.name),
        hint: Some("write an object: `{\"name\": value}`".to_owned()),
    });
    let patterns = names.patterns.iter().filter_map(|named| {
        let message = library::check(named.name).err()?;
        Some(Wrong {
            at: at(named.id, named.name),
            message,
            hint: None,
        })
    });
    unknown.chain(calls).chain(types).chain(patterns).collect()
}

/// The line and the column of a node, in characters from 1. What has a bracket behind its name is a node at the
/// bracket, and is looked for before it.
fn position(source: &str, program: &Program, id: u64, name: &str) -> (usize, usize) {
    let offset = program.source_info().offset_for(id);
    let offset = usize::try_from(offset.unwrap_or_default().0).unwrap_or_default();
    let (mut before, behind) = source.split_at_checked(offset).unwrap_or((source, ""));
    let last = name.rsplit('.').next().unwrap_or_default();
    if behind.starts_with(['(', '{'])
        && let Some(begin) = before.rfind(last)
    {
        before = &before[..begin];
    }
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
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
        "payload" => Json::read(&message.payload, wanted)?.0,
        "text" => str::from_utf8(&message.payload)
            .map_err(|error| format!("the payload is not text: {error}"))?
            .into(),
        "sequence" => integer(message.sequence),
        "attempt" => integer(message.attempt.into()),
        _ => integer(message.event_time),
    })
}
