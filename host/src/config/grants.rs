//! `grants:` of an operator: as written in the file, and as the host uses them.
//!
//! Both are in one file, so that a new grant changes one place here and one row of the table in
//! `plugin/capability/mod.rs`, which says what it links and what it means.

use super::cursor::Cursor;
use super::origin::Origin;
use super::resolve::Context;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a plugin can access outside its instance. A plugin that imports what is not granted is
/// refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(rename = "Grants")]
pub struct Written {
    /// Servers that the plugin may send HTTP requests to: scheme, host and port, as in
    /// `https://api.example.com`. `*` can replace the first label of a name. A name that resolves to a
    /// private address is refused; an entry with an IP address grants that address.
    #[schemars(example = ["https://api.example.com", "https://*.example.org"])]
    pub http: Vec<String>,
    /// Like `http`, for names that may resolve to private and loopback addresses: services in your own
    /// network.
    #[schemars(example = ["http://prices.shop.svc:8080"])]
    pub http_private: Vec<String>,
}

/// What a plugin can access outside its instance. Nothing by default.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Grants {
    /// Servers it may send HTTP requests to; empty if it may send none.
    pub http: Vec<Origin>,
}

impl Written {
    /// Reports every invalid entry; `None` if there was one.
    pub(super) fn resolve(&self, at: &Cursor<'_>, context: &mut Context<'_>) -> Option<Grants> {
        let lists = [
            (&self.http, at.field("http"), false),
            (&self.http_private, at.field("http-private"), true),
        ];
        let [public, private] = lists.map(|(entries, at, private)| {
            context.each(entries, &at, |context, entry, at| {
                context.parsed(Origin::parse(entry, private), at)
            })
        });
        let http = [public?, private?].concat();
        Some(Grants { http })
    }
}
