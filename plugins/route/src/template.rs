//! Subject templates: text with values of the message between braces.
//!
//! A value takes the place of exactly one token, except for `{subject}`: one with a dot or a space in
//! it would end in a subject that nobody listens to, and is an error instead.

use fields::{Fields, Source};

pub struct Template(fields::Template);

impl Template {
    /// Parses a template. What it will render is checked as far as it can be without a message.
    pub fn parse(template: &str) -> Result<Self, String> {
        let template = fields::Template::parse(template)?;
        let sample = template.sample();
        if sample.split('.').all(is_token) {
            Ok(Self(template))
        } else {
            Err(illegal(&sample))
        }
    }

    pub fn render(&self, fields: &mut Fields<'_>) -> Result<String, String> {
        self.0.render_with(fields, |source, value| {
            let whole_subject = matches!(source, Source::Subject);
            if is_token(&value) || whole_subject {
                return Ok(value);
            }
            Err(format!(
                "{source} = `{value}` cannot be a token of a subject"
            ))
        })
    }
}

/// Whether NATS takes it as one token of a subject to publish on.
fn is_token(text: &str) -> bool {
    let forbidden = |character: char| {
        matches!(character, '.' | '*' | '>') || character.is_whitespace() || character.is_control()
    };
    !text.is_empty() && !text.contains(forbidden)
}

fn illegal(subject: &str) -> String {
    format!(
        "`{subject}` cannot be a subject: it is made of tokens with dots between them, without \
         wildcards or white space"
    )
}
