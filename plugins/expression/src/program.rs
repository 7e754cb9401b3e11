//! A CEL expression over a message.
//!
//! What an expression can name is in [`VARIABLES`]; each is computed when it is looked at, so that an
//! expression over the subject never reads the payload, and one that the subject has decided does not
//! ask whether the payload is JSON. Names and calls are checked when it is compiled: a typing error is an error
//! of the configuration, not of every message.

use crate::constants::Constants;
use crate::json::{Computed, Json};
use crate::names::Names;
use crate::wanted::fields_of;
use crate::wrong::Wrong;
use crate::{functions, library, syntax, why};
use cel::common::ast::IdedExpr;
use cel::common::types::{CelInt, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, Program, Value};
use fields::Wanted;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use weir_sdk::{Header, Message};

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
    /// The same with the lists in it as constants, to be computed.
    computed: IdedExpr,
    constants: Constants,
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
        let mut computed = program.expression().clone();
        let constants = Constants::of(&mut computed);
        Ok(Self {
            env,
            program,
            computed,
            constants,
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
        let resolver = Resolver {
            variables,
            constants: &self.constants,
        };
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(&resolver);
        let outcome = Value::resolve(&self.computed, &context);
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
    values: [OnceLock<Result<Box<dyn Val + 'm>, String>>; VARIABLES.len()],
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

    fn value(&self, name: &str) -> Option<&(dyn Val + 'm)> {
        let index = VARIABLES.iter().position(|variable| *variable == name)?;
        let value = self.values.get(index)?;
        let value = value.get_or_init(|| variable(name, self.message, self.wanted));
        value.as_ref().ok().map(Box::as_ref)
    }
}

/// What an expression names, and the constants in it.
struct Resolver<'r, 'm> {
    variables: &'r Variables<'m>,
    constants: &'r Constants,
}

impl VariableResolver for Resolver<'_, '_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(constant) = self.constants.get(name) {
            return Some(CowVal::Borrowed(constant));
        }
        // CEL asks for `payload.total` before it asks for `payload` and looks for the field in it: one step in place of two.
        match name.split_once('.') {
            None => self.variables.value(name).map(CowVal::Borrowed),
            Some((of, field)) if !field.contains('.') => {
                let fields = self.variables.value(of)?.as_indexer()?;
                fields.get(&CelString::from(field)).ok()
            }
            Some(_) => None,
        }
    }
}

fn variable<'m>(
    name: &str,
    message: &'m Message,
    wanted: Option<&Wanted>,
) -> Result<Box<dyn Val + 'm>, String> {
    let integer = |number: u64| CelInt::from(i64::try_from(number).unwrap_or(i64::MAX));
    Ok(match name {
        "subject" => Box::new(CelString::from(message.subject.as_str())),
        "key" => match &message.key {
            Some(key) => Box::new(CelString::from(key.as_str())),
            None => Box::new(CelNull),
        },
        "headers" => {
            let lines = message.headers.iter().rev(); // of several, the first counts
            let line = |line: &'m Header| -> (CelMapKey<'m>, Box<dyn Val + 'm>) {
                let value = CelString::from(line.value.as_str());
                (line.name.as_str().into(), Box::new(value))
            };
            Box::new(CelMap::from(lines.map(line).collect::<HashMap<_, _>>()))
        }
        "payload" => Json::read(&message.payload, wanted)?.0,
        "text" => {
            let text = str::from_utf8(&message.payload)
                .map_err(|error| format!("the payload is not text: {error}"))?;
            Box::new(CelString::from(text))
        }
        "sequence" => Box::new(integer(message.sequence)),
        "attempt" => Box::new(integer(message.attempt.into())),
        _ => Box::new(integer(message.event_time)),
    })
}
