//! Why an expression has no value for a message: the part of it that failed, and what that part works on.

use crate::json::OutOfRange;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::Key;
use cel::{Context, ExecutionError, Value};

/// One line for the reason of a dead letter. Of values only numbers and booleans are shown, since texts may be secrets.
pub fn explain(expression: &IdedExpr, context: &Context<'_, '_>, error: ExecutionError) -> String {
    let (part, error) = failing(expression, context, error);
    let written = written(part);
    let shown = |value: &Value| match value {
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Bool(_) => {
            format!(
                "the {} {}",
                kind(value).trim_start_matches("a "),
                plain(value)
            )
        }
        Value::Opaque(opaque) if let Some(number) = opaque.downcast_ref::<OutOfRange>() => {
            format!("a {number}")
        }
        _ => kind(value).to_owned(),
    };
    match (&error, &part.expr) {
        (ExecutionError::NoSuchKey(name), Expr::Select(select)) => {
            match written_of(&select.operand, name) {
                Some(path) => format!("there is no field `{path}`"),
                None => format!("there is no field `{name}`"),
            }
        }
        (ExecutionError::NoSuchKey(name), _) => match written {
            Some(written) => format!("there is no field `{written}`"),
            None => format!("there is no field `{name}`"),
        },
        (ExecutionError::IndexOutOfBounds(index), Expr::Call(call)) => {
            let list = call.args.first().and_then(self::written);
            let list = list.map_or_else(|| "the list".to_owned(), |list| format!("`{list}`"));
            let size = call.args.first().map(|list| Value::resolve(list, context));
            let size = match size {
                Some(Ok(Value::List(elements))) => format!("; it has {}", elements.len()),
                _ => String::new(),
            };
            format!("{list} has no element {}{size}", plain(index))
        }
        (ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_), _) => {
            format!("{}division by zero", of(written))
        }
        (ExecutionError::Overflow(..), _) => {
            format!("{}the result is not within 64 bits", of(written))
        }
        (ExecutionError::FunctionError { message, .. }, Expr::Call(call)) => {
            let reason = match (call.func_name.as_str(), message.as_str()) {
                ("int" | "uint", _) => "it is no whole number of 64 bits",
                ("double", _) => "it is no number",
                ("bool", _) => "it is neither `true` nor `false`",
                ("string", _) => "the bytes are not UTF-8 text",
                ("value", _) => "there is no value",
                (_, message) => message,
            };
            format!("{}{reason}", of(written))
        }
        (ExecutionError::FunctionError { message, .. }, _) => format!("{}{message}", of(written)),
        (ExecutionError::DuplicateKey(key), _) => {
            format!("the object has the key `{}` twice", plain(key))
        }
        (ExecutionError::UnsupportedKeyType(key), _) => {
            format!("{} cannot be the key of an object", kind(key))
        }
        (ExecutionError::UndeclaredReference(name), _) => {
            format!("there is nothing called `{name}`")
        }
        (_, Expr::Call(call)) => {
            let operands = parts(call).into_iter().take(match call.func_name.as_str() {
                "_?_:_" => 1,
                _ => usize::MAX,
            });
            let operands = operands.map(|operand| {
                let value = Value::resolve(operand, context);
                let is = value.as_ref().map_or("nothing".to_owned(), shown);
                match self::written(operand) {
                    Some(name) if !is_literal(operand) => format!("{is} (`{name}`)"),
                    _ => is,
                }
            });
            let operands: Vec<_> = operands.collect();
            let hint = match mixes_numbers(call, context) {
                true => ": write `double(...)` around both",
                false => "",
            };
            format!(
                "{} does not work with {}{hint}",
                called(call),
                operands.join(" and ")
            )
        }
        (_, Expr::Select(select)) => {
            let value = Value::resolve(&select.operand, context);
            let is = value.as_ref().map_or("unknown".to_owned(), shown);
            let operand = self::written(&select.operand);
            let operand = operand.map_or_else(|| "it".to_owned(), |name| format!("`{name}`"));
            format!(
                "there is no field `{}`: {operand} is {is}, and no object",
                select.field
            )
        }
        (error, Expr::Comprehension(loops)) => {
            let list = self::written(&loops.iter_range);
            let list = list.map_or_else(String::new, |list| format!(" of `{list}`"));
            match Value::resolve(&loops.iter_range, context) {
                Ok(Value::List(_) | Value::Map(_)) => {
                    format!("for an element{list}: {}", without_place(error))
                }
                Ok(value) => format!("there are no elements{list}: it is {}", kind(&value)),
                Err(_) => without_place(error),
            }
        }
        (error, _) => without_place(error),
    }
}

/// What an error says by itself.
fn without_place(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().iter().map(|name| named(name));
            let types: Vec<_> = types.collect();
            match (
                overload.function().trim_matches(['_', '@']),
                types.as_slice(),
            ) {
                (".", [of, ..]) => format!("{of} has no fields"),
                (name, types) => format!("`{name}` does not work with {}", types.join(" and ")),
            }
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("{} is not {}", named(got), named(want))
        }
        ExecutionError::UnsupportedBinaryOperator(sign, one, other) => {
            let sign = match *sign {
                "add" => "+",
                "sub" => "-",
                "mul" => "*",
                "div" => "/",
                "rem" => "%",
                sign => sign,
            };
            format!(
                "`{sign}` does not work with {} and {}",
                kind(one),
                kind(other)
            )
        }
        ExecutionError::ValuesNotComparable(one, other) => {
            format!("{} and {} are not compared", kind(one), kind(other))
        }
        error => format!("the expression cannot be computed: {error}"),
    }
}

/// What a call works on: not its namespace.
fn parts(call: &CallExpr) -> Vec<&IdedExpr> {
    let is_value = |target: &&IdedExpr| match &target.expr {
        Expr::Ident(name) => !crate::functions::is_namespace(name),
        _ => true,
    };
    let target = call.target.as_deref().filter(is_value);
    target.into_iter().chain(&call.args).collect()
}

/// The innermost part that fails, and its error. What macros bind is not known here, so their bodies are not entered.
fn failing<'e>(
    part: &'e IdedExpr,
    context: &Context<'_, '_>,
    error: ExecutionError,
) -> (&'e IdedExpr, ExecutionError) {
    let parts: Vec<&IdedExpr> = match &part.expr {
        Expr::Call(call) => parts(call),
        Expr::Select(select) => vec![&*select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(loops) => vec![&loops.iter_range],
        _ => Vec::new(),
    };
    for inner in parts {
        // Of `a ? b : c` and `a || b`, one may fail without harm; what has the same error did not.
        match Value::resolve(inner, context) {
            Err(found) if found == error => return failing(inner, context, found),
            _ => {}
        }
    }
    (part, error)
}

/// As it stands in the expression, if it is a path such as `payload.lines[0].cents`, or an operation on two.
fn written(part: &IdedExpr) -> Option<String> {
    match &part.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => written_of(&select.operand, &select.field),
        Expr::Literal(LiteralValue::String(text)) => Some(format!("'{}'", text.inner())),
        Expr::Literal(LiteralValue::Int(number)) => Some(number.inner().to_string()),
        Expr::Literal(LiteralValue::Double(number)) => Some(number.inner().to_string()),
        Expr::Call(call) => match (call.target.as_deref(), call.args.as_slice()) {
            (None, [value, index]) if call.func_name == "_[_]" => {
                Some(format!("{}[{}]", written(value)?, written(index)?))
            }
            (None, [one, other]) if call.func_name.starts_with('_') => {
                let sign = call.func_name.trim_matches('_');
                Some(format!("{} {sign} {}", written(one)?, written(other)?))
            }
            (target, arguments) if call.func_name.starts_with(char::is_alphabetic) => {
                let arguments: Option<Vec<_>> = arguments.iter().map(written).collect();
                let target = match target {
                    Some(target) => format!("{}.", written(target)?),
                    None => String::new(),
                };
                Some(format!(
                    "{target}{}({})",
                    call.func_name,
                    arguments?.join(", ")
                ))
            }
            _ => None,
        },
        _ => None,
    }
}

fn written_of(object: &IdedExpr, field: &str) -> Option<String> {
    written(object).map(|object| format!("{object}.{field}"))
}

fn of(written: Option<String>) -> String {
    written.map_or_else(String::new, |written| format!("`{written}`: "))
}

fn is_literal(part: &IdedExpr) -> bool {
    matches!(part.expr, Expr::Literal(_))
}

/// The operator or the function, between backticks.
fn called(call: &CallExpr) -> String {
    match call.func_name.as_str() {
        "_?_:_" => "`? :`".to_owned(),
        "_[_]" => "`[]`".to_owned(),
        "@in" => "`in`".to_owned(),
        name if name.starts_with(char::is_alphabetic) => {
            let target = call
                .target
                .as_deref()
                .and_then(|target| match &target.expr {
                    Expr::Ident(name) if crate::functions::is_namespace(name) => Some(name),
                    _ => None,
                });
            match target {
                Some(namespace) => format!("`{namespace}.{name}`"),
                None => format!("`{name}`"),
            }
        }
        name => format!("`{}`", name.trim_matches(['_', '@'])),
    }
}

/// CEL has no arithmetic with both, and JSON writes both in the same way.
fn mixes_numbers(call: &CallExpr, context: &Context<'_, '_>) -> bool {
    let values = call.args.iter().map(|part| Value::resolve(part, context));
    let values: Vec<_> = values.filter_map(Result::ok).collect();
    matches!(
        values.as_slice(),
        [Value::Float(_), Value::Int(_)] | [Value::Int(_), Value::Float(_)]
    )
}

/// The type of a value, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::UInt(_) => "a whole number",
        Value::Float(_) => "a decimal number",
        Value::String(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "a list",
        Value::Map(_) => "an object",
        Value::Opaque(opaque) if opaque.downcast_ref::<OutOfRange>().is_some() => {
            "a number out of range"
        }
        Value::Opaque(_) => "a value that may be missing",
        _ => "a type or a function",
    }
}

/// The type that CEL calls so, in words.
fn named(name: &str) -> &str {
    match name {
        "int" | "uint" => "a whole number",
        "double" => "a decimal number",
        "string" => "text",
        "bool" => "a boolean",
        "list" | "iterable" => "a list",
        "map" => "an object",
        "null_type" => "null",
        "optional_type" => "a value that may be missing",
        other => other,
    }
}

/// A value that is shown.
fn plain(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(value) => Key::from(value.as_str()).to_string(),
        other => kind(other).to_owned(),
    }
}
