//! A replay reads a table before the rows that came behind it, and its changes in their time where they are still there.

use super::{CUSTOMERS, ORDERS};
use crate::cli::json;
use crate::harness::{Site, series, wait_until};
use async_nats::jetstream::kv;
use serde_json::{Value, json};

#[test]
fn a_replay_joins_each_row_with_what_the_table_had_then_or_with_what_it_has_now_if_that_is_gone() {
    for history in [10, 1] {
        let site = Site::new();
        let bucket = site.make_bucket(kv::Config {
            history,
            ..kv::Config::default()
        });
        let file = site.looks_up(&[ORDERS, CUSTOMERS], "table-left", "partitions: 2\n");
        site.put(&bucket, "a", &json!("old"));
        let weir = site.run_job(&file);
        let orders = site.order_until("a", 0, &json!("old"));
        let made = site.weir(&["job", "savepoint", "create", "p", "--name", "s1"]);
        assert_eq!(made.code, Some(0), "{made:#?}");
        site.order("a", orders);
        site.put(&bucket, "a", &json!("new"));
        let all = site.order_until("a", orders + 1, &json!("new"));
        wait_until("all is committed", || {
            weir.metric(&series("in_flight")) == 0.0
        });
        let customers = || -> Vec<Value> {
            let out = site.nats.client().messages("OUT").into_iter();
            out.map(|message| message.json()["customer"].clone())
                .collect()
        };
        // Rows that came with the change may have been joined with the value before.
        let of = |value: &str| customers().iter().filter(|it| **it == value).count();
        let (old, new) = (of("old"), of("new"));
        assert_eq!((old + new) as u64, all);
        let replay = |more: &[&str]| {
            let finished = site.weir(&[&["replay", "p.yaml"], more].concat());
            assert_eq!(finished.code, Some(0), "{finished:#?}");
            let lines = finished.stdout.lines().map(json);
            let customers = lines.map(|line| line["payload"]["customer"].clone());
            customers.collect::<Vec<Value>>()
        };
        let replayed = replay(&[]);
        assert_eq!(replayed.len() as u64, all);
        assert_eq!(replayed.last().unwrap(), "new");
        assert_eq!(replayed[0], if history == 1 { "new" } else { "old" });
        // The savepoint has the value of before.
        let replayed = replay(&["--from", "s1"]);
        assert_eq!(replayed.len() as u64, all - orders);
        assert_eq!(
            (&replayed[0], replayed.last().unwrap()),
            (&json!("old"), &json!("new"))
        );
    }
}
