//! The `views:` section.

use super::values::{Context, optional};
use crate::config::cursor::Cursor;
use crate::config::model::{self, NamedSource};
use crate::config::resolved::View;
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
    let name = pipeline.name.as_deref();
    let named = pipeline.sources.values().map(NamedSource::source);
    let read = named.chain([pipeline.source.clone()]).filter_map(|source| {
        let of_bucket = source.bucket.map(|bucket| format!("KV_{bucket}"));
        source.stream.or(of_bucket)
    });
    let read: Vec<String> = read.collect();
    for (index, model) in pipeline.views.iter().enumerate() {
        let at = at.item(index);
        let view = view(model, name, &at, context).filter(|view| {
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
    pipeline: Option<&str>,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<View> {
    let name = context.identifier(model.name.as_deref(), &at.field("name"));
    let key = context.parsed(KeyRule::of_result(&model.key), &at.field("key"));
    let bucket_at = at.field("bucket");
    let bucket = match &model.bucket {
        Some(bucket) => context.identifier(Some(bucket), &bucket_at),
        None => pipeline
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
        key: key?,
        bucket: bucket?,
        ttl: ttl?,
    })
}
