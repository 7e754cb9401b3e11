//! `${NAME}` and `${NAME:-default}` in scalars, from the environment.
//!
//! `$${` is a literal `${`; a `$` without a brace is literal. A default may have references of its own, which
//! count only where the default does; a value is not read again. The environment is a parameter, so that a test needs no process.

use std::borrow::Cow;

/// The value of a variable, if it is set.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// An environment that leaves a text as it is, where `${` has no meaning.
pub(super) fn unchanged(name: &str) -> Option<String> {
    Some(format!("${{{name}}}"))
}

/// How deep defaults may be in defaults.
const DEEPEST: usize = 16;

/// Replaces every reference in `text`. Borrowed if there is none.
///
/// # Errors
///
/// All problems with the references, each as a message and a hint.
pub(super) fn interpolate<'t>(
    text: &'t str,
    environment: &Environment<'_>,
) -> Result<Cow<'t, str>, Vec<(String, String)>> {
    replace(text, environment, 0)
}

fn replace<'t>(
    text: &'t str,
    environment: &Environment<'_>,
    depth: usize,
) -> Result<Cow<'t, str>, Vec<(String, String)>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut done = String::with_capacity(text.len());
    let mut wrong = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            done.push_str(before);
            done.push_str("${");
            rest = after;
            continue;
        }
        done.push_str(before);
        let Some((reference, after)) = end(after).and_then(|end| after.split_at_checked(end))
        else {
            wrong.push((
                format!("the reference `${{{}` is not closed", first_line(after)),
                "close it with `}`, or write `$${` for a literal `${`".to_owned(),
            ));
            return Err(wrong);
        };
        match resolve(reference, environment, depth) {
            Ok(value) => done.push_str(&value),
            Err(findings) => wrong.extend(findings),
        }
        rest = after.strip_prefix('}').unwrap_or(after);
    }
    done.push_str(rest);
    if wrong.is_empty() {
        Ok(Cow::Owned(done))
    } else {
        Err(wrong)
    }
}

/// Where the brace is that ends the reference which `text` begins in.
fn end(text: &str) -> Option<usize> {
    let (mut open, mut at) = (0_usize, 0);
    loop {
        at += text.get(at..)?.find(['$', '}'])?;
        let rest = text.get(at..)?;
        at += match rest {
            _ if rest.starts_with("$${") => 3,
            _ if rest.starts_with("${") => {
                open += 1;
                2
            }
            _ if rest.starts_with('$') => 1,
            _ if open == 0 => return Some(at),
            _ => {
                open -= 1;
                1
            }
        };
    }
}

fn resolve(
    reference: &str,
    environment: &Environment<'_>,
    depth: usize,
) -> Result<String, Vec<(String, String)>> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(vec![(
            format!(
                "`${{{}}}` does not name an environment variable",
                first_line(reference)
            ),
            "write `${NAME}` or `${NAME:-default}`, or `$${` for a literal `${`".to_owned(),
        )]);
    }
    // As in a shell, `:-` also applies to a variable that is set but empty.
    match (environment(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(_)) if depth >= DEEPEST => Err(vec![(
            format!("`${{{name}:-...}}` is a default in more than {DEEPEST} others"),
            "set the variable, or write the default where it is used".to_owned(),
        )]),
        (_, Some(default)) => replace(default, environment, depth + 1).map(Cow::into_owned),
        (None, None) => Err(vec![(
            format!("the environment variable `{name}` is not set"),
            format!("set it, or give a default: `${{{name}:-...}}`"),
        )]),
    }
}

/// The first line of a text, enough to recognise it.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "SHOP" => Some("seven".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${SHOP}".to_owned()),
            _ => None,
        }
    }

    fn done(text: &str) -> Result<String, Vec<String>> {
        interpolate(text, &environment)
            .map(Cow::into_owned)
            .map_err(|wrong| wrong.into_iter().map(|(message, _)| message).collect())
    }

    fn ok(text: &str) -> Result<String, Vec<String>> {
        Ok(text.to_owned())
    }

    #[test]
    fn references_are_replaced_by_what_the_environment_holds() {
        assert_eq!(done("orders.${SHOP}.${SHOP}"), ok("orders.seven.seven"));
        assert_eq!(done("${GONE:-two words}"), ok("two words"));
        assert_eq!(done("${SHOP:-other}"), ok("seven"));
        assert_eq!(done("[${EMPTY}]"), ok("[]"));
        assert_eq!(done("${EMPTY:-x}"), ok("x"));
        assert_eq!(done("${GONE:-}"), ok(""));
    }

    #[test]
    fn an_escape_stays_and_a_value_is_not_read_again() {
        assert_eq!(done("a $${SHOP} b"), ok("a ${SHOP} b"));
        assert_eq!(done("$SHOP $ {SHOP} $$"), ok("$SHOP $ {SHOP} $$"));
        assert_eq!(done("${TRICK}"), ok("${SHOP}"));
    }

    #[test]
    fn a_default_may_refer_to_another_variable() {
        assert_eq!(done("${GONE:-${SHOP}}."), ok("seven."));
        assert_eq!(done("${GONE:-a${LOST:-b${EMPTY:-c}}}}"), ok("abc}"));
        assert_eq!(done("${SHOP:-${LOST}}"), ok("seven"));
        assert_eq!(done("${GONE:-${TRICK}}"), ok("${SHOP}"));
        assert_eq!(done("${GONE:-$${SHOP}"), ok("${SHOP"));
        let unset = |name: &str| {
            Err(vec![format!(
                "the environment variable `{name}` is not set"
            )])
        };
        assert_eq!(done("${GONE:-${LOST}}"), unset("LOST"));
        let deep = format!("{}x{}", "${GONE:-".repeat(20), "}".repeat(20));
        let too_deep = "`${GONE:-...}` is a default in more than 16 others";
        assert_eq!(done(&deep), Err(vec![too_deep.to_owned()]));
    }

    #[test]
    fn every_wrong_reference_is_found() {
        assert_eq!(
            done("${GONE} ${not a name} ${LOST} ${"),
            Err(vec![
                "the environment variable `GONE` is not set".to_owned(),
                "`${not a name}` does not name an environment variable".to_owned(),
                "the environment variable `LOST` is not set".to_owned(),
                "the reference `${` is not closed".to_owned(),
            ])
        );
    }

    proptest! {
        #[test]
        fn text_without_references_is_unchanged(text in "[^{]*") {
            prop_assert_eq!(done(&text), Ok(text));
        }

        #[test]
        fn escaping_every_reference_gives_the_text_back(text in "[a-z$ ]{0,4}(\\$\\{[A-Z]{1,3}\\}[a-z ]{0,3}){0,3}") {
            let escaped = text.replace("${", "$${");
            prop_assume!(!text.contains("$${"));
            prop_assert_eq!(done(&escaped), Ok(text));
        }
    }
}
