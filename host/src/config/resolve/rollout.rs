//! The `rollout:` section of an operator.

use super::values::Context;
use crate::config::cursor::Cursor;
use crate::config::model;
use crate::config::resolved::Rollout;

pub(super) fn rollout(
    model: &model::Rollout,
    at: &Cursor<'_>,
    context: &mut Context<'_>,
) -> Option<Rollout> {
    let probation = context.duration(&model.probation, &at.field("probation"));
    let canary = context.duration(&model.canary, &at.field("canary"));
    let max_errors = context.parsed(model.max_errors.parse(), &at.field("max-errors"));
    let call_time_at = at.field("max-call-time");
    let max_call_time = model.max_call_time.parse().and_then(|percent| {
        if percent < 100.0 {
            return Err(
                "a new version cannot be required to be faster: write 100% or more".to_owned(),
            );
        }
        Ok(percent)
    });
    let max_call_time = context.parsed(max_call_time, &call_time_at);
    let shadow_bytes = context.size(&model.shadow_max_bytes, &at.field("shadow-max-bytes"));
    Some(Rollout {
        probation: probation?,
        canary: canary?,
        min_messages: model.min_messages,
        max_errors: max_errors?,
        max_call_time: max_call_time?,
        shadow_bytes: shadow_bytes? as u64,
    })
}
