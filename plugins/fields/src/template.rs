//! Templates: text with values of the message between braces.

use crate::{Fields, Source};
use std::borrow::Cow;

enum Part {
    Text(String),
    Value(Source),
}

/// Text with values of the message between braces.
pub struct Template(Vec<Part>);

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// If a brace is not closed, or what stands between braces is no [`Source`].
    pub fn parse(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (source, after) = after.split_once('}').ok_or("a `{` is not closed by `}`")?;
            parts.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
            parts.push(Part::Value(Source::parse(source)?));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        Ok(Self(parts))
    }

    /// What it renders if each value is `x`.
    #[must_use]
    pub fn sample(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Value(_) => "x",
        });
        parts.collect()
    }

    /// Fills in the values.
    ///
    /// # Errors
    /// If one is missing.
    pub fn render(&self, fields: &mut Fields<'_>) -> Result<String, String> {
        self.render_with(fields, |_, value| Ok(value))
    }

    /// Fills in the values, each as `change` writes it.
    ///
    /// # Errors
    /// If one is missing, and those of `change`.
    pub fn render_with(
        &self,
        fields: &mut Fields<'_>,
        change: impl for<'v> Fn(&Source, Cow<'v, str>) -> Result<Cow<'v, str>, String>,
    ) -> Result<String, String> {
        let mut rendered = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Value(source) => rendered.push_str(&change(source, source.value(fields)?)?),
            }
        }
        Ok(rendered)
    }
}
