//! Which fields of a variable an expression looks at: only these are converted to CEL values.

#[cfg(test)]
mod tests;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use fields::Wanted;

/// The fields of this variable that an expression names: `payload.total`, `payload["total"]`, `has(payload.total)`. All
/// of them where it uses the variable in another way, as in `payload == {}` or `payload[key]`.
pub fn fields_of(variable: &str, expression: &IdedExpr) -> Wanted {
    let mut wanted = Wanted::default();
    look_at(variable, expression, &mut wanted);
    wanted
}

fn look_at(variable: &str, expression: &IdedExpr, wanted: &mut Wanted) {
    let is_variable = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == variable);
    let mut parts: Vec<&IdedExpr> = Vec::new();
    match &expression.expr {
        Expr::Ident(_) if is_variable(expression) => wanted.all(),
        Expr::Select(select) if is_variable(&select.operand) => wanted.field(&select.field),
        Expr::Select(select) => parts.push(&select.operand),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            ("_[_]", [of, index]) if is_variable(of) => match &index.expr {
                Expr::Literal(LiteralValue::String(name)) => wanted.field(name.inner()),
                _ => wanted.all(),
            },
            _ => parts.extend(call.target.as_deref().into_iter().chain(&call.args)),
        },
        Expr::List(list) => parts.extend(&list.elements),
        Expr::Comprehension(loops) => parts.extend([
            &loops.iter_range,
            &loops.accu_init,
            &loops.loop_cond,
            &loops.loop_step,
            &loops.result,
        ]),
        Expr::Map(map) => parts.extend(
            map.entries
                .iter()
                .flat_map(|entry| entry_parts(&entry.expr)),
        ),
        Expr::Struct(structure) => {
            parts.extend(
                structure
                    .entries
                    .iter()
                    .flat_map(|entry| entry_parts(&entry.expr)),
            );
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
    for part in parts {
        look_at(variable, part, wanted);
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}
