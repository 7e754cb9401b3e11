//! Lists that are the same for every message, as in `payload.auction in [1007, 1020]`: made once.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::common::types::CelList;
use cel::common::value::Val;

/// How the names of constants begin. Nobody can write such a name in an expression.
const MARK: &str = "@list";

/// See the top of this file.
pub struct Constants(Vec<(String, Box<dyn Val>)>);

impl Constants {
    /// Takes the lists that are looked into with `in` out of an expression, and leaves names for them.
    pub fn of(expression: &mut IdedExpr) -> Self {
        let mut constants = Self(Vec::new());
        constants.take(expression);
        constants
    }

    pub fn get(&self, name: &str) -> Option<&dyn Val> {
        if !name.starts_with(MARK) {
            return None;
        }
        let mut constants = self.0.iter();
        let found = constants.find(|(constant, _)| constant == name);
        found.map(|(_, value)| value.as_ref())
    }

    fn take(&mut self, expression: &mut IdedExpr) {
        match &mut expression.expr {
            Expr::Call(call) => {
                if let ("@in", [_, list]) = (call.func_name.as_str(), call.args.as_mut_slice()) {
                    self.replace(list);
                }
                let parts = call.target.as_deref_mut().into_iter();
                parts.chain(&mut call.args).for_each(|it| self.take(it));
            }
            Expr::Select(select) => self.take(&mut select.operand),
            Expr::List(list) => list.elements.iter_mut().for_each(|it| self.take(it)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.take(&mut entry.key);
                        self.take(&mut entry.value);
                    }
                }
            }
            Expr::Comprehension(loops) => {
                self.take(&mut loops.iter_range);
                self.take(&mut loops.loop_step);
                self.take(&mut loops.result);
            }
            Expr::Struct(_) | Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
        }
    }

    fn replace(&mut self, expression: &mut IdedExpr) {
        let Expr::List(list) = &expression.expr else {
            return;
        };
        let literals = list.elements.iter().map(|element| match &element.expr {
            Expr::Literal(literal) => Some(literal.to_val().into_owned()),
            _ => None,
        });
        if let Some(values) = literals.collect::<Option<Vec<_>>>() {
            let name = format!("{MARK}{}", self.0.len());
            expression.expr = Expr::Ident(name.clone());
            self.0.push((name, Box::new(CelList::from(values))));
        }
    }
}
