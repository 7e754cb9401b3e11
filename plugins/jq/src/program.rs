//! A jq program over a message.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, Error, File, Loader, span};
use jaq_core::{Compiler, Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Map, Num, Rc, Val, read};
use weir_sdk::Message;

/// What a program can name besides its input, the payload.
const VARIABLES: [&str; 6] = [
    "$subject",
    "$key",
    "$headers",
    "$sequence",
    "$attempt",
    "$event_time",
];

/// A mistake: the line and the column in the program, in characters from 1, and what is wrong.
pub type Wrong = ((usize, usize), String);

pub struct Program {
    filter: Filter<JustLut<Val>>,
    /// Whether it names any of [`VARIABLES`]; most programs do not, and the values cost.
    needs_variables: bool,
}

impl Program {
    /// Compiles a program; the error has each mistake, with the line and the column in it.
    pub fn compile(query: &str) -> Result<Self, Vec<Wrong>> {
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(
                &arena,
                File {
                    code: query,
                    path: (),
                },
            )
            .map_err(|errors| describe_syntax(query, errors))?;
        let filter = Compiler::default()
            .with_funs(functions)
            .with_global_vars(VARIABLES)
            .compile(modules)
            .map_err(|errors| {
                let undefined = errors.into_iter().flat_map(|(_, errors)| errors);
                describe(
                    query,
                    undefined
                        .map(|(name, what)| (name, format!("unknown {} `{name}`", what.as_str()))),
                )
            })?;
        let needs_variables = VARIABLES.iter().any(|name| query.contains(name));
        Ok(Self {
            filter,
            needs_variables,
        })
    }

    /// The values it yields for this message, until the first error.
    pub fn run(
        &self,
        message: &Message,
    ) -> Result<impl Iterator<Item = Result<Val, String>>, String> {
        fields::check_depth(&message.payload)?;
        // jaq reads more than JSON: `NaN`, `+1`, comments, and bytes that are no text.
        fields::check(&message.payload, fields::DEPTH)
            .map_err(|error| format!("the payload is not JSON: {error}"))?;
        let payload = read::parse_single(&message.payload)
            .map_err(|error| format!("the payload is not JSON: {error}"))?;
        let variables = if self.needs_variables {
            variables(message)
        } else {
            Default::default()
        };
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new(variables));
        let values = self.filter.id.run((context, payload)).map(unwrap_valr);
        Ok(values.map(|value| value.map_err(|error| format!("the program fails: {error}"))))
    }
}

/// The values of [`VARIABLES`], in their order.
fn variables(message: &Message) -> [Val; VARIABLES.len()] {
    let text = |text: &str| Val::from(text.to_owned());
    let mut headers = Map::default();
    for header in message.headers.iter().rev() {
        headers.insert(text(&header.name), text(&header.value)); // of several, the first counts
    }
    [
        text(&message.subject),
        message.key.as_deref().map_or(Val::Null, text),
        Val::Obj(Rc::new(headers)),
        Val::Num(Num::from_integral(message.sequence)),
        Val::Num(Num::from_integral(message.attempt)),
        Val::Num(Num::from_integral(message.event_time)),
    ]
}

fn describe_syntax(query: &str, errors: jaq_core::load::Errors<&str, ()>) -> Vec<Wrong> {
    let errors = errors.into_iter().flat_map(|(_, error)| match error {
        Error::Io(errors) => errors,
        Error::Lex(errors) => {
            let expected = |(expect, at): (jaq_core::load::lex::Expect<&_>, _)| {
                (at, format!("expected {}", expect.as_str()))
            };
            errors.into_iter().map(expected).collect()
        }
        Error::Parse(errors) => {
            let expected = |(expect, at): (jaq_core::load::parse::Expect<&_>, _)| {
                (at, format!("expected {}", expect.as_str()))
            };
            errors.into_iter().map(expected).collect()
        }
    });
    describe(query, errors)
}

/// The mistakes, with their places in the program.
fn describe<'q>(query: &str, errors: impl Iterator<Item = (&'q str, String)>) -> Vec<Wrong> {
    let wrong = errors.map(|(at, what)| {
        let before = query.get(..span(query, at).start).unwrap_or(query);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let at = (before.matches('\n').count() + 1, line.chars().count() + 1);
        (at, what)
    });
    wrong.collect()
}
