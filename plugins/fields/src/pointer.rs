//! JSON pointers (RFC 6901), and patterns: pointers with `*` for every element.

use std::fmt;

/// The place of one field. Displays as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Parses a pointer: "" is the whole payload, `/a/0` the first element of `a`.
    ///
    /// # Errors
    /// What is no pointer, and how to write one.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let steps = text
            .strip_prefix('/')
            .ok_or_else(|| format!("`{text}` is no JSON pointer: {}", Self::meant(text)))?;
        let escaped = |part: &str| part.starts_with(['0', '1']);
        if !text.split('~').skip(1).all(escaped) {
            return Err(format!(
                "`{text}` is no JSON pointer: write `~0` for `~` and `~1` for `/`"
            ));
        }
        let steps = steps.split('/');
        Ok(Self(
            steps
                .map(|step| step.replace("~1", "/").replace("~0", "~"))
                .collect(),
        ))
    }

    /// Parses a pointer, or the name of a field of the payload: `total` is `/total`. A name with a dot is no name
    /// here, because it would be read as a path by one and as a name by another: only a pointer says which.
    ///
    /// # Errors
    /// As for [`Pointer::parse`], for an empty name, and for a name with a dot, with both pointers that it may mean.
    pub fn field(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Self::parse(text);
        }
        match text {
            "" => Err("a field needs a name".to_owned()),
            _ if text.contains('.') => Err(format!("`{text}` has a dot: {}", Self::meant(text))),
            _ => Ok(Self(vec![text.to_owned()])),
        }
    }

    /// What to write for a field in the place of its name, for who did not write a pointer.
    #[must_use]
    pub fn meant(text: &str) -> String {
        let name = if text.is_empty() { "name" } else { text };
        let name = Self(vec![name.to_owned()]);
        match text.contains('.') {
            false => format!("write `{name}` for a field"),
            true => format!(
                "write `{}` for a field inside of another, or `{name}` for a field with a dot in its name",
                Self(text.split('.').map(str::to_owned).collect())
            ),
        }
    }

    /// The names and indexes, from the outside.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            write!(formatter, "/{}", step.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

/// The places of fields: a pointer in which the step `*` stands for every element of an array and every
/// field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Every,
    Named(String),
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// As for [`Pointer::parse`].
    pub fn parse(text: &str) -> Result<Self, String> {
        Pointer::parse(text).map(Self::from)
    }

    /// Parses a pattern, or the name of a field of the payload: `card` is `/card`.
    ///
    /// # Errors
    /// As for [`Pointer::parse`].
    pub fn field(text: &str) -> Result<Self, String> {
        Pointer::field(text).map(Self::from)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl From<Pointer> for Pattern {
    fn from(pointer: Pointer) -> Self {
        let steps = pointer.0.into_iter().map(|step| match step.as_str() {
            "*" => Step::Every,
            _ => Step::Named(step),
        });
        Self(steps.collect())
    }
}

impl Step {
    pub(crate) fn is(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Named(named) => named == name,
        }
    }
}

/// The index of an array that a step is: digits without leading zeros.
pub(crate) fn index(step: &str) -> Option<usize> {
    let is_canonical = step == "0" || !step.starts_with('0');
    let digits = step.bytes().all(|byte| byte.is_ascii_digit());
    (is_canonical && digits).then(|| step.parse().ok())?
}
