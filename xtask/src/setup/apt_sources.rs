//! The machine's apt sources, read to learn which mirror of Debian it uses.
//!
//! Both formats are understood: one-line (`deb [options] uri suite components`) and deb822
//! (`Types:`, `URIs:`, ...). Pure text to values; nothing here runs a program.

/// One mirror of a Debian archive, as the machine's own configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Where the archive is; passed to apt as it stands, so `mirror+file:` works too.
    pub(super) uri: String,
    /// The suites taken from it: `bookworm`, `bookworm-updates`.
    pub(super) suites: Vec<String>,
    /// `main` and its siblings.
    pub(super) components: Vec<String>,
    /// The value of `Signed-By`: a path, or a key block over several lines.
    pub(super) signed_by: Option<String>,
    /// Whether the machine trusts it without a signature, as private mirrors sometimes are.
    pub(super) trusted: bool,
}

impl Source {
    /// Whether this is the main archive of a Debian release: it carries `codename` itself (not
    /// only its security suite) and `main`. Other vendors' archives have other components.
    pub(super) fn is_main_archive(&self, codename: &str) -> bool {
        let releases = [
            "stable",
            "oldstable",
            "testing",
            "unstable",
            "sid",
            codename,
        ];
        self.suites
            .iter()
            .any(|suite| releases.contains(&suite.as_str()))
            && self.components.iter().any(|component| component == "main")
    }

    /// The same mirror as a deb822 file for one suite.
    pub(super) fn for_suite(&self, suite: &str) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
            self.uri
        );
        if let Some(signed_by) = &self.signed_by {
            text.push_str(&format!("Signed-By: {signed_by}\n"));
        }
        if self.trusted {
            text.push_str("Trusted: yes\n");
        }
        text
    }
}

/// The sources of a file of lines: `deb [signed-by=/a.gpg] http://mirror.example/debian sid main`.
pub(super) fn one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_source_line).collect()
}

fn one_source_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or(line).trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start(); // `deb-src` is not for us
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let option = |name: &str| {
        options
            .split_whitespace()
            .find_map(|word| Some(word.split_once('=')?).filter(|(n, _)| *n == name))
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: option("signed-by").map(|(_, path)| path.to_owned()),
        trusted: option("trusted").is_some_and(|(_, value)| value == "yes"),
    })
}

/// The sources of a deb822 file: stanzas of `Field: value`, apart by blank lines.
pub(super) fn deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .flat_map(stanza)
        .collect()
}

/// One source for each URI of a stanza.
fn stanza(lines: &[&str]) -> Vec<Source> {
    let words = |name| field(lines, name).unwrap_or_default();
    let list = |name| {
        words(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let is = |name, value: &str| words(name).trim().eq_ignore_ascii_case(value);
    if !list("types").iter().any(|kind| kind == "deb") || is("enabled", "no") {
        return Vec::new();
    }
    let source = |uri: String| Source {
        uri,
        suites: list("suites"),
        components: list("components"),
        signed_by: field(lines, "signed-by"),
        trusted: is("trusted", "yes"),
    };
    list("uris").into_iter().map(source).collect()
}

/// The value of a field with its continuation lines, which begin with a blank and are kept as
/// they are: an inline key must survive to the letter.
fn field(lines: &[&str], wanted: &str) -> Option<String> {
    let named = |line: &&str| {
        line.split_once(':')
            .is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
    };
    let at = lines
        .iter()
        .position(|line| !line.starts_with([' ', '\t']) && named(line))?;
    let (first, more) = lines.get(at..)?.split_first()?;
    let (_, value) = first.split_once(':')?;
    let more = more.iter().take_while(|line| line.starts_with([' ', '\t']));
    Some(
        std::iter::once(value.trim())
            .chain(more.copied())
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "a missing source fails the test, as it should"
)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_options() {
        let text = "# a comment\n\
            deb-src http://mirror.example/debian bookworm main\n\
            deb [arch=amd64 signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian bookworm main contrib # ours\n\
            deb http://mirror.example/debian-security bookworm-security main\n\
            deb [ trusted=yes ] file:/srv/debian trixie main\n";
        let sources = one_line(text);
        assert_eq!(sources.len(), 3);
        let first = &sources[0];
        assert_eq!(first.uri, "http://mirror.example/debian");
        assert_eq!(first.suites, ["bookworm"]);
        assert_eq!(first.components, ["main", "contrib"]);
        assert_eq!(
            first.signed_by.as_deref(),
            Some("/usr/share/keyrings/debian.gpg")
        );
        assert!(!first.trusted);
        assert!(first.is_main_archive("bookworm"));
        assert!(!sources[1].is_main_archive("bookworm"));
        assert!(sources[2].trusted && sources[2].is_main_archive("trixie"));
    }

    #[test]
    fn broken_lines_are_passed_over() {
        assert!(
            one_line("deb\ndeb [unclosed http://a b main\ndebug http://a b main\ndeb http://a\n")
                .is_empty()
        );
    }

    #[test]
    fn stanzas_are_read_with_comments_several_uris_and_inline_keys() {
        let text = "Types: deb deb-src\n\
            # a snapshot of some day\n\
            URIs: http://a.example/debian http://b.example/debian\n\
            Suites: bookworm bookworm-updates\n\
            Components: main\n\
            Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n\
            \n\
            Types: deb\nURIs: http://c.example/debian-security\nSuites: bookworm-security\nComponents: main\n\
            \n\n\
            Enabled: no\nTypes: deb\nURIs: http://d.example/debian\nSuites: bookworm\nComponents: main\n\
            \n\
            Types: deb-src\nURIs: http://e.example/debian\nSuites: bookworm\nComponents: main\n";
        let sources = deb822(text);
        let uris: Vec<&str> = sources.iter().map(|source| source.uri.as_str()).collect();
        let expected = [
            "http://a.example/debian",
            "http://b.example/debian",
            "http://c.example/debian-security",
        ];
        assert_eq!(uris, expected);
        assert!(sources[0].is_main_archive("bookworm") && !sources[2].is_main_archive("bookworm"));
        assert!(
            sources[0]
                .for_suite("sid")
                .contains("Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n")
        );
    }

    #[test]
    fn another_vendors_archive_is_not_debians() {
        let docker = one_line("deb https://download.docker.com/linux/debian bookworm stable");
        let postgres = one_line("deb https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main");
        assert!(
            docker
                .iter()
                .chain(&postgres)
                .all(|source| !source.is_main_archive("bookworm"))
        );
    }

    #[test]
    fn the_mirror_is_kept_and_the_suite_changed() {
        let sources = one_line("deb [signed-by=/k.gpg] http://m.example/debian bookworm main");
        assert_eq!(
            sources[0].for_suite("sid"),
            "Types: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\n\
             Signed-By: /k.gpg\n"
        );
    }
}
