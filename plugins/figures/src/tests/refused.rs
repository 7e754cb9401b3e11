//! What a configuration refuses.

use super::refusal;
use serde_json::{Value, json};

#[test]
fn a_configuration_that_says_nothing_or_too_much_is_refused_with_what_there_is() {
    let figure = |figure: Value| refusal(json!({ "results": { "x": figure } }));
    let only = |only: Value| refusal(json!({ "results": { "x": "count" }, "only": only }));
    for (refused, expected) in [
        (refusal(json!(null)), "`results:` is needed"),
        (
            refusal(json!({ "results": {} })),
            "/results: it names the figures",
        ),
        (refusal(json!({ "result": {} })), "/result: unknown key"),
        (
            refusal(json!({ "by": { "x": "/y" }, "results": { "x": "count" } })),
            "/results/x: the name stands under `by`, too",
        ),
        (
            refusal(json!({ "by": ["/y"], "results": { "x": "count" } })),
            "it is a map",
        ),
        (
            refusal(json!({ "max-groups": 0, "results": { "x": "count" } })),
            "whole number",
        ),
        (only(json!({})), "/only: it needs either"),
        (only(json!("x")), "/only: it needs either"),
        (
            only(json!({ "highest": "x", "lowest": "x" })),
            "/only: it needs either",
        ),
        (only(json!({ "highest": [] })), "/only: it needs either"),
        (
            only(json!({ "highest": "y" })),
            "no name under `by` or `results`",
        ),
        (only(json!({ "highest": "x", "most": 0 })), "whole number"),
        (
            only(json!({ "highest": "x", "by": "x" })),
            "/only/by: unknown key",
        ),
        (
            only(json!({ "highest": "x", "ties": true })),
            "/only/ties: it is `keep` or `cut`",
        ),
        (
            only(json!({ "highest": "x", "rank": "x" })),
            "/only/rank: `x` stands under `by` or `results`",
        ),
        (
            figure(json!({ "highest": "/a", "most": 1, "rank": true })),
            "/results/x/rank: it is a name in the result",
        ),
        (
            figure(json!({ "list": "/a", "most": 1, "ties": "keep" })),
            "/results/x/ties: it is not for `list`",
        ),
        (figure(json!("sum")), "/results/x: it is no figure"),
        (
            figure(json!({ "sum": "/a", "max": "/b" })),
            "/results/x: it is no figure",
        ),
        (figure(json!({ "median": "/a" })), "unknown figure `median`"),
        (figure(json!({ "sum": "amount" })), "no JSON pointer"),
        (
            figure(json!({ "sum": "/a", "most": 3 })),
            "/results/x/most: it is not for `sum`",
        ),
        (figure(json!({ "top": "/a" })), "`top` needs `most:`"),
        (
            figure(json!({ "quantiles": "/a", "ranks": [1.5] })),
            "numbers from 0 to 1",
        ),
    ] {
        assert!(refused.contains(expected), "{refused}");
    }
}
