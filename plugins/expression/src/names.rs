//! What an expression names: the variables, the functions, the patterns of `matches`.
//!
//! CEL finds out about a wrong name when it gets there, and that is once per message.

use crate::functions;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

/// A name or a text, and the node of the expression that it stands in.
pub struct Named<'e> {
    pub name: &'e str,
    pub id: u64,
}

/// A call of a function, of one with a namespace by its whole name.
pub struct Called {
    pub name: String,
    pub id: u64,
    /// On something: `text.trim()`.
    pub is_member: bool,
    pub arguments: usize,
}

/// What stands in an expression.
#[derive(Default)]
pub struct Names<'e> {
    /// Those that no macro such as `exists(item, ...)` binds.
    pub variables: Vec<Named<'e>>,
    pub calls: Vec<Called>,
    /// Written out as the pattern of `matches`.
    pub patterns: Vec<Named<'e>>,
    /// Of messages of Protocol Buffers, which there are none of.
    pub types: Vec<Named<'e>>,
    /// Bound by the macros around the place that is being looked at.
    bound: Vec<&'e str>,
}

impl<'e> Names<'e> {
    pub fn of(expression: &'e IdedExpr) -> Self {
        let mut names = Self::default();
        names.look_at(expression);
        names
    }

    fn look_at(&mut self, expression: &'e IdedExpr) {
        let id = expression.id;
        match &expression.expr {
            Expr::Ident(name) => {
                if !self.bound.contains(&name.as_str()) && !is_type(name) {
                    self.variables.push(Named { name, id });
                }
            }
            Expr::Call(call) => self.call(call, id),
            Expr::Select(select) => self.look_at(&select.operand),
            Expr::List(list) => list
                .elements
                .iter()
                .for_each(|element| self.look_at(element)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.look_at(&entry.key);
                        self.look_at(&entry.value);
                    }
                }
            }
            Expr::Comprehension(loops) => {
                self.look_at(&loops.iter_range);
                self.look_at(&loops.accu_init);
                let outer = self.bound.len();
                self.bound
                    .extend([loops.iter_var.as_str(), loops.accu_var.as_str()]);
                self.bound.extend(loops.iter_var2.as_deref());
                for part in [&loops.loop_cond, &loops.loop_step, &loops.result] {
                    self.look_at(part);
                }
                self.bound.truncate(outer);
            }
            Expr::Struct(message) => self.types.push(Named {
                name: &message.type_name,
                id,
            }),
            Expr::Unspecified | Expr::Literal(_) => {}
        }
    }

    fn call(&mut self, call: &'e CallExpr, id: u64) {
        let target = call.target.as_deref();
        let namespace = target.and_then(|target| match &target.expr {
            Expr::Ident(name) if functions::is_namespace(name) => Some(name),
            _ => None,
        });
        let looked_at = target.filter(|_| namespace.is_none());
        // Operators, and what macros are made of.
        if !call.func_name.starts_with(['_', '@', '!', '-']) && !call.func_name.contains('@') {
            self.calls.push(Called {
                name: match namespace {
                    Some(namespace) => format!("{namespace}.{}", call.func_name),
                    None => call.func_name.clone(),
                },
                id,
                is_member: looked_at.is_some(),
                arguments: call.args.len(),
            });
            self.patterns.extend(pattern(call));
        }
        // A macro that is still a call has the wrong number of arguments, one of which may be a name of its own.
        let is_macro = |name: &str| MACROS.contains(&name);
        let arguments = call.args.iter().filter(|_| !is_macro(&call.func_name));
        for part in looked_at.into_iter().chain(arguments) {
            self.look_at(part);
        }
    }
}

/// Those that bind a name for their arguments.
const MACROS: [&str; 6] = ["all", "exists", "exists_one", "filter", "map", "sortBy"];

fn pattern(call: &CallExpr) -> Option<Named<'_>> {
    let last = call.args.last()?;
    match &last.expr {
        Expr::Literal(LiteralValue::String(pattern)) if call.func_name == "matches" => {
            Some(Named {
                name: pattern.inner(),
                id: last.id,
            })
        }
        _ => None,
    }
}

/// The names of types, as in `type(payload.total) == int`.
fn is_type(name: &str) -> bool {
    [
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
    ]
    .contains(&name)
}
