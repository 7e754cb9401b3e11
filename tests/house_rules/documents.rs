//! The rules about what is written for people: nothing in it may point at what is not there.

use super::scan::File;

/// The changelog opens with what is not released yet.
pub fn changelog(file: &File) -> Vec<String> {
    let first = file.text.lines().find(|line| line.starts_with("## "));
    match first {
        Some("## Unreleased") => Vec::new(),
        _ => vec!["1: the first section is not `## Unreleased`".to_owned()],
    }
}

/// A decision has a number, and the three parts that make it one; it fits on one page.
pub fn decision(file: &File) -> Vec<String> {
    let Some(name) = file.path.strip_prefix("docs/adr/") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let number = name.split('-').next().unwrap_or_default();
    if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        findings.push("1: the name does not begin with a number of four digits".to_owned());
    }
    for part in ["## Context", "## Decision", "## Consequences"] {
        if !file.text.lines().any(|line| line == part) {
            findings.push(format!("1: `{part}` is missing"));
        }
    }
    if file.text.lines().count() > 70 {
        findings.push("71: longer than a page".to_owned());
    }
    findings
}

/// Every relative link leads to something; those of other sites are not followed, and code has none.
pub fn links(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(file.text.lines()) {
        let words: Vec<&str> = text.split('`').step_by(2).collect();
        for part in words.join("`").split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !target.is_empty() && !exists(&joined(folder, target)) {
                findings.push(format!("{line}: the link `{target}` leads nowhere"));
            }
        }
    }
    findings
}

/// `contents` is the README, which has a link to every page of `docs`; folders have a page for those in them.
pub fn listed(file: &File, contents: &str) -> Vec<String> {
    let name = file.path.strip_prefix("docs/").unwrap_or("/");
    let is_page = !name.contains('/') || name.ends_with("/README.md");
    match !is_page || contents.contains(&format!("({}", file.path)) {
        true => Vec::new(),
        false => vec!["1: the README has no link to it".to_owned()],
    }
}

/// Every link to a heading leads to one, in this page or another. `read` gives the text of a page.
pub fn anchors(file: &File, read: &dyn Fn(&str) -> String) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(file.text.lines()) {
        let words: Vec<&str> = text.split('`').step_by(2).collect();
        for part in words.join("`").split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            let Some((page, anchor)) = target.split_once('#') else {
                continue;
            };
            let text = match page {
                "" => file.text.clone(),
                page if page.contains("://") || !page.ends_with(".md") => continue,
                page => read(&joined(folder, page)),
            };
            if !headings(&text).contains(&anchor.to_lowercase()) {
                findings.push(format!("{line}: `{target}` is no heading"));
            }
        }
    }
    findings
}

/// The anchors of a page: its headings in small letters, without punctuation, and `-` for a space.
fn headings(text: &str) -> Vec<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// `docs/adr` and `../a.md` are `docs/a.md`.
fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Every path in backticks exists; a path has a `/` and is no pattern.
pub fn named_files(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(file.text.lines()) {
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = name.contains('/')
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "/._-@".contains(c));
            if is_path && !exists(name.trim_end_matches('/')) {
                findings.push(format!("{line}: there is no `{name}`"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod broken {
    use super::*;

    fn count(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&File::example(path, text)).len()
    }

    #[test]
    fn the_rules_about_documents_can_be_broken() {
        assert_eq!(
            count(changelog, "CHANGELOG.md", "# Changes\n\n## 0.1.0\n"),
            1
        );
        assert_eq!(
            count(changelog, "CHANGELOG.md", "## Unreleased\n## 0.1.0\n"),
            0
        );
        assert_eq!(
            count(decision, "docs/adr/1-a.md", "## Context\n## Decision\n"),
            2
        );
        assert_eq!(count(decision, "docs/a.md", ""), 0);
        let found = |file: &File| listed(file, "[a](docs/a.md#b)");
        assert_eq!(count(found, "docs/b.md", ""), 1);
        assert_eq!(count(found, "docs/a.md", ""), 0);
        assert_eq!(count(found, "docs/adr/0001-c.md", ""), 0);
    }

    #[test]
    fn a_link_or_a_name_that_leads_nowhere_is_found() {
        let there = |path: &str| path == "docs/a.md" || path == "docs";
        let linked = |file: &File| links(file, &there);
        assert_eq!(count(linked, "docs/b.md", "[a](a.md#x) [c](c.md)"), 1);
        assert_eq!(
            count(linked, "docs/adr/1.md", "[a](../a.md) [w](https://x.org/y)"),
            0
        );
        let pages = |_: &str| "# A\n## What is `x`?\n```sh\n# no heading\n```\n".to_owned();
        let anchored = |file: &File| anchors(file, &pages);
        assert_eq!(
            count(anchored, "b.md", "[a](a.md#what-is-x) [b](a.md#x)"),
            1
        );
        assert_eq!(
            count(anchored, "b.md", "# B\n[b](#b) [a](a.md#no-heading)"),
            1
        );
        let named = |file: &File| named_files(file, &there);
        assert_eq!(
            count(
                named,
                "A.md",
                "`docs/a.md` `docs/` `docs/b.md` `a/*.rs` `x`"
            ),
            1
        );
    }
}
