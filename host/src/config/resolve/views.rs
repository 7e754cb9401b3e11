//! The `views:` section.

use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::model::{self, NamedSource};
use crate::config::resolved::{View, ViewFrom};
use crate::config::template::KeyRule;
use std::collections::HashMap;

/// What the buckets of weir itself begin with.
const OWN: &str = "weir-";

pub(super) fn views(
    pipeline: &model::Pipeline,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<View>> {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut buckets: HashMap<String, usize> = HashMap::new();
    let mut views = Some(Vec::new());
    let named = pipeline.sources.values().map(NamedSource::source);
    let read = named.chain([pipeline.source.clone()]).filter_map(|source| {
        let of_bucket = source.bucket.map(|bucket| format!("KV_{bucket}"));
        source.stream.or(of_bucket)
    });
    let read: Vec<String> = read.collect();
    for (index, model) in pipeline.views.iter().enumerate() {
        let at = at.item(index);
        let view = view(model, pipeline, &at, context).filter(|view| {
            let bucket_at = at.field("bucket").or(at.field("name"));
            let others = [
                (&mut names, &view.name, at.field("name"), "are called"),
                (
                    &mut buckets,
                    &view.bucket,
                    bucket_at.clone(),
                    "have the bucket",
                ),
            ];
            for (seen, name, at, what) in others {
                if let Some(first) = seen.insert(name.clone(), index) {
                    let message =
                        format!("two views {what} `{name}`, the other is `views[{first}]`");
                    let hint = "give each a name and a bucket of its own";
                    context.findings.add_hint(at.location(), message, hint);
                    return false;
                }
            }
            let reads_itself = read.contains(&view.stream());
            if reads_itself {
                let message = format!("bucket `{}` is what the pipeline reads", view.bucket);
                let hint = "choose another `bucket`";
                context
                    .findings
                    .add_hint(bucket_at.location(), message, hint);
            }
            !reads_itself
        });
        views = views.zip(view).map(|(mut views, view)| {
            views.push(view);
            views
        });
    }
    views
}

fn view(
    model: &model::View,
    pipeline: &model::Pipeline,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<View> {
    let name = context.identifier(model.name.as_deref(), &at.field("name"));
    let from = from(&model.from, &pipeline.operators, &at.field("from"), context);
    let key = match &model.from {
        model::ViewFrom::Word(_) => KeyRule::of_result(&model.key),
        model::ViewFrom::State(_) => KeyRule::of_state(&model.key),
    };
    let hint = "leave `key` out: then it is `{key}`";
    let key = context.key_rule(key, &at.field("key"), hint);
    let bucket_at = at.field("bucket");
    let bucket = match &model.bucket {
        Some(bucket) => context.identifier(Some(bucket), &bucket_at),
        None => (pipeline.name.as_deref())
            .zip(name.as_ref())
            .map(|(pipeline, name)| format!("{pipeline}-{name}")),
    };
    let bucket = bucket.filter(|bucket| {
        let is_own = bucket.starts_with(OWN);
        if is_own {
            let message = format!("`{bucket}`: the buckets of weir itself begin with `{OWN}`");
            let at = bucket_at.clone().or(at.field("name"));
            context
                .findings
                .add_hint(at.location(), message, "choose another `bucket`");
        }
        !is_own
    });
    let ttl = optional(model.ttl.as_ref(), |text| {
        context.positive_duration(text, &at.field("ttl"))
    });
    Some(View {
        name: name?,
        from: from?,
        key: key?,
        bucket: bucket?,
        ttl: ttl?,
    })
}

/// What the values are. The rows of windows are not for people.
fn from(
    model: &model::ViewFrom,
    operators: &[model::Operator],
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<ViewFrom> {
    let model::ViewFrom::State(model) = model else {
        return Some(ViewFrom::Results);
    };
    let at = at.field("state");
    let name = model.state.as_deref()?;
    let named = operators.iter().filter_map(|it| it.name.as_deref());
    let Some(operator) = operators.iter().find(|it| it.name.as_deref() == Some(name)) else {
        let message = format!("`{}`: there is no operator `{name}`", at.path());
        let all: Vec<String> = named.map(|name| format!("`{name}`")).collect();
        let hint = match all.is_empty() {
            true => "the pipeline has no operators".to_owned(),
            false => format!("the operators are {}", all.join(", ")),
        };
        context.findings.add_hint(at.location(), message, hint);
        return None;
    };
    if operator.window.is_some() {
        let message = format!("`{}`: operator `{name}` has windows", at.path());
        let hint = "a view cannot show accumulators of windows; remove `from` to see the results";
        context.findings.add_hint(at.location(), message, hint);
        return None;
    }
    Some(ViewFrom::State {
        operator: name.to_owned(),
        value: model.value.clone()?,
    })
}
