//! What an expression names: the variables, the functions, the patterns of `matches`.
//!
//! CEL finds out about a wrong name when it gets there, and that is once per message.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, Env, ExecutionError};
use std::sync::Arc;

/// What stands in an expression.
#[derive(Default)]
pub struct Names<'e> {
    /// Those that no macro such as `exists(item, ...)` binds.
    pub variables: Vec<&'e str>,
    /// Called, globally or on something.
    pub functions: Vec<&'e str>,
    /// Written out as the pattern of `matches`.
    pub patterns: Vec<&'e str>,
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
        match &expression.expr {
            Expr::Ident(name) => {
                if !self.bound.contains(&name.as_str()) && !is_type(name) {
                    self.variables.push(name);
                }
            }
            Expr::Call(call) => {
                self.functions.push(&call.func_name);
                self.patterns.extend(pattern(call));
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.look_at(part);
                }
            }
            Expr::Select(select) => self.look_at(&select.operand),
            Expr::List(list) => list
                .elements
                .iter()
                .for_each(|element| self.look_at(element)),
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
            // What is inside a map or a struct literal is checked when it is evaluated.
            Expr::Unspecified | Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) => {}
        }
    }
}

fn pattern(call: &CallExpr) -> Option<&str> {
    match &call.args.last()?.expr {
        Expr::Literal(LiteralValue::String(pattern)) if call.func_name == "matches" => {
            Some(pattern.inner())
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

/// Whether there is a function of this name. Asked by calling it with nothing: one that exists says
/// that the arguments are wrong.
pub fn is_function(env: &Arc<Env>, name: &str) -> bool {
    let is_operator = name.starts_with(['_', '@', '!', '-']);
    let exists = |source: String| {
        env.compile(&source).is_ok_and(|program| {
            let outcome = program.execute(&Context::with_env(Arc::clone(env)));
            !matches!(outcome, Err(ExecutionError::UndeclaredReference(_)))
        })
    };
    is_operator || exists(format!("{name}()")) || exists(format!("''.{name}()"))
}
