//! The standard plugins, which are part of the binary: `plugin: std:NAME`.
//!
//! `cargo xtask std` builds them from `plugins/`, and `build.rs` packs them into a table. A host that was built
//! without them runs every other plugin.

use crate::report::{self, ResultExt};
use anyhow::{Context, Result, anyhow};

/// The table, in the order of names.
static ALL: &[Standard] = include!(concat!(env!("OUT_DIR"), "/standard.rs"));

/// Similarity above which a name is meant.
const MEANT: f64 = 0.5;

/// A standard plugin.
#[derive(Debug)]
pub struct Standard {
    pub name: &'static str,
    /// Of all that are built together.
    pub version: &'static str,
    /// One line.
    pub description: &'static str,
    /// The JSON Schema of its `config:`.
    schema: Option<&'static str>,
    /// Its example as it stands in its folder.
    example: &'static str,
    /// Bytes of the component.
    pub size: usize,
    /// The component, compressed by DEFLATE.
    packed: &'static [u8],
}

/// All of them, in the order of their names.
///
/// # Errors
/// This host was built without them.
pub fn all() -> Result<&'static [Standard]> {
    if ALL.is_empty() {
        return Err(missing());
    }
    Ok(ALL)
}

/// The one of this name, and of this version if one is given.
///
/// # Errors
/// There is none, or it has another version.
pub fn find(name: &str, version: Option<&str>) -> Result<&'static Standard> {
    find_in(ALL, name, version)
}

fn find_in<'t>(table: &'t [Standard], name: &str, version: Option<&str>) -> Result<&'t Standard> {
    if table.is_empty() {
        return Err(missing());
    }
    let Some(found) = table.iter().find(|standard| standard.name == name) else {
        return Err(anyhow!("there is no standard plugin `{name}`")).hint(|| nearest(table, name));
    };
    match version {
        Some(wanted) if wanted != found.version => {
            let own = found.version;
            Err(anyhow!(
                "this weir has version {own} of `std:{name}`, not {wanted}"
            ))
            .hint(|| format!("write `std:{name}@{own}`, or run the weir that has {wanted}"))
        }
        _ => Ok(found),
    }
}

fn missing() -> anyhow::Error {
    report::hint(
        anyhow!("this weir was built without the standard plugins"),
        "run `cargo xtask std` in weir's repository, then build weir again",
    )
}

fn nearest(table: &[Standard], name: &str) -> String {
    let similar = |standard: &Standard| strsim::normalized_damerau_levenshtein(name, standard.name);
    let mut near: Vec<_> = table.iter().filter(|one| similar(one) >= MEANT).collect();
    near.sort_by(|one, other| similar(other).total_cmp(&similar(one)));
    let near: Vec<_> = near
        .iter()
        .take(3)
        .map(|one| format!("`std:{}`", one.name))
        .collect();
    match near.is_empty() {
        true => "`weir plugin list --std` lists them".to_owned(),
        false => format!(
            "did you mean {}? `weir plugin list --std` lists all",
            near.join(" or ")
        ),
    }
}

/// Whether a component is one of them, whatever it was loaded from: it is trusted as this host is.
#[must_use]
pub fn is_one(component: &[u8]) -> bool {
    let mut same_size = ALL.iter().filter(|one| one.size == component.len());
    same_size.any(|one| one.component().is_ok_and(|own| own == component))
}

impl Standard {
    /// The component.
    ///
    /// # Errors
    /// The binary is damaged.
    pub fn component(&self) -> Result<Vec<u8>> {
        let unpacked = miniz_oxide::inflate::decompress_to_vec_with_limit(self.packed, self.size);
        unpacked
            .map_err(|error| anyhow!("the binary is damaged: {error}"))
            .with_context(|| format!("cannot unpack `std:{}`", self.name))
    }

    /// The JSON Schema of its `config:`, if it has one.
    #[must_use]
    pub fn schema(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.schema?).ok()
    }

    /// A pipeline that uses it, with the comments that explain the pipeline.
    #[must_use]
    pub fn example(&self) -> String {
        let (file, reference) = (
            format!("plugin: {}.wasm", self.name),
            format!("plugin: std:{}", self.name),
        );
        // How to run it in its folder is of no use here.
        let is_kept = |line: &&str| *line != "#" && !line.starts_with("#   weir ");
        let lines = self.example.lines().filter(is_kept);
        lines
            .map(|line| line.replace(&file, &reference) + "\n")
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Standard] = &[plugin("dedupe"), plugin("filter"), plugin("jq")];

    const fn plugin(name: &'static str) -> Standard {
        Standard {
            name,
            version: "1.2.3",
            description: "",
            schema: None,
            example: "# What it does.\n#\n#   weir dev plugins/jq\nname: a\nplugin: jq.wasm\n",
            size: 0,
            packed: &[],
        }
    }

    fn refusal(table: &[Standard], name: &str, version: Option<&str>) -> (String, String) {
        match find_in(table, name, version) {
            Ok(found) => (found.name.to_owned(), String::new()),
            Err(error) => (report::line(&error), report::hints(&error).join("; ")),
        }
    }

    #[test]
    fn a_host_without_them_says_how_to_build_one_with_them() {
        let (why, hint) = refusal(&[], "filter", None);
        assert_eq!(why, "this weir was built without the standard plugins");
        assert_eq!(
            hint,
            "run `cargo xtask std` in weir's repository, then build weir again"
        );
    }

    #[test]
    fn a_wrong_name_has_the_nearest_in_its_hint() {
        let (why, hint) = refusal(TABLE, "fliter", None);
        assert_eq!(why, "there is no standard plugin `fliter`");
        assert_eq!(
            hint,
            "did you mean `std:filter`? `weir plugin list --std` lists all"
        );
        let (_, hint) = refusal(TABLE, "window", None);
        assert_eq!(hint, "`weir plugin list --std` lists them");
    }

    #[test]
    fn a_version_that_is_given_must_be_that_of_the_binary() {
        assert_eq!(refusal(TABLE, "jq", Some("1.2.3")).0, "jq");
        let (why, hint) = refusal(TABLE, "jq", Some("1.3.0"));
        assert_eq!(why, "this weir has version 1.2.3 of `std:jq`, not 1.3.0");
        assert_eq!(hint, "write `std:jq@1.2.3`, or run the weir that has 1.3.0");
    }

    #[test]
    fn the_example_names_the_plugin_in_the_binary() {
        let example = TABLE.last().map(Standard::example);
        assert_eq!(
            example.as_deref(),
            Some("# What it does.\nname: a\nplugin: std:jq\n")
        );
    }
}
