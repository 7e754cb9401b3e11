//! Packages of Debian: one unpacked from a suite without touching the system, or some installed
//! for good where nothing else helps.
//!
//! Unpacking uses apt with folders of its own in a temporary directory: the machine's package
//! lists, its sources and its installed packages stay as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layout;
use crate::process;
use crate::ui::say;

/// The keys that all suites of Debian are signed with, in its package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads `package` from a suite of Debian through the machine's own mirror, unpacks it into a
/// temporary folder and hands that folder to `take`; the folder is gone afterwards.
///
/// # Errors
/// When this is not Debian, no mirror answers, or `take` fails.
pub(super) fn unpack(
    package: &str,
    suite: &str,
    take: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let codename = codename()?;
    let mirrors = mirrors(&codename)?;
    let folder = Temporary::new()?;
    let mut refused = Vec::new();
    for mirror in &mirrors {
        say(
            "setup",
            format_args!(
                "{package}: unpacking the package of Debian's suite {suite} from {mirror}"
            ),
        );
        match unpack_into(&folder.path, package, suite, mirror) {
            Ok(unpacked) => return take(&unpacked),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    bail!("no mirror had the package: {}", refused.join("; "))
}

fn unpack_into(folder: &Path, package: &str, suite: &str, mirror: &str) -> Result<PathBuf> {
    let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
    std::fs::write(folder.join("sources"), source).context("cannot write the sources for apt")?;
    for name in ["lists/partial", "archives/partial"] {
        let path = folder.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create `{}`", path.display()))?;
    }
    let here = folder.display();
    // The folder belongs to whoever runs this; apt's own user may not write there.
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let options = [
        format!("Dir::State={here}"),
        format!("Dir::Cache={here}"),
        format!("Dir::Etc::SourceList={here}/sources"),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        "Acquire::Languages=none".to_owned(),
        format!("APT::Sandbox::User={user}"),
    ];
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("--quiet").current_dir(folder);
        for option in &options {
            command.args(["-o", option]);
        }
        say("setup", format_args!("apt-get {}", words.join(" ")));
        process::output(command.args(words)).map(drop)
    };
    apt(&["update"])?;
    apt(&["download", package])?;
    let file = the_package(folder, package)?;
    let unpacked = folder.join("unpacked");
    process::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
    Ok(unpacked)
}

/// The `.deb` that the download left in `folder`.
fn the_package(folder: &Path, package: &str) -> Result<PathBuf> {
    let start = format!("{package}_");
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    entries
        .flatten()
        .find(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(&start) && name.ends_with(".deb")
        })
        .map(|entry| entry.path())
        .with_context(|| format!("apt downloaded no file of the package `{package}`"))
}

/// Installs packages of the machine's own release, which needs to be root.
///
/// # Errors
/// When this is not Debian, or not root and `sudo` asks for a password; the message has the
/// command to run.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    codename()?;
    let command = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    let apt = |words: &[&str]| -> Result<()> {
        let mut command = if is_root()? {
            Command::new("apt-get")
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["--non-interactive", "apt-get"]);
            sudo
        };
        process::run(command.args(words).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let words = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&["update", "--quiet"])
        .and_then(|()| apt(&[&words, packages].concat()))
        .with_context(|| format!("cannot install the packages (as root: `{command}`)"))
}

fn is_root() -> Result<bool> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The code name of the Debian release this machine runs.
///
/// # Errors
/// When it runs something else.
pub(super) fn codename() -> Result<String> {
    let text = std::fs::read_to_string(layout::system("etc/os-release")).unwrap_or_default();
    debian_codename(&text).context("this machine does not run Debian")
}

/// From `/etc/os-release`: Debian's own systems only, for a derivative's mirror has no `sid`.
fn debian_codename(os_release: &str) -> Option<String> {
    let value = |name: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    value("ID=").filter(|id| id == "debian")?;
    // Unstable itself has no code name there.
    Some(value("VERSION_CODENAME=").unwrap_or_else(|| "sid".to_owned()))
}

/// The mirrors of Debian's main archive in the machine's apt sources, as apt reads them.
fn mirrors(codename: &str) -> Result<Vec<String>> {
    let mut apt = Command::new("apt-get");
    apt.args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
    ]);
    let targets = process::output(apt.arg("Created-By: Packages"))?;
    let found = main_archives(&targets, codename);
    if found.is_empty() {
        bail!("the apt sources of this machine name no mirror of Debian's main archive");
    }
    Ok(found)
}

/// Of lines of address, suite and component, the addresses that have a release of Debian itself, and
/// not only its security suite or another vendor's packages.
fn main_archives(targets: &str, codename: &str) -> Vec<String> {
    let releases = [
        "stable",
        "oldstable",
        "testing",
        "unstable",
        "sid",
        codename,
    ];
    let mut found = Vec::new();
    for line in targets.lines() {
        if let [uri, release, "main"] = *line.split(' ').collect::<Vec<_>>()
            && releases.contains(&release)
            && !found.iter().any(|known| known == uri)
        {
            found.push(uri.to_owned());
        }
    }
    found
}

/// A folder that is removed when it goes out of scope.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn new() -> Result<Temporary> {
        let path = std::env::temp_dir().join(format!("weir-setup-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create `{}`", path.display()))?;
        Ok(Temporary { path })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing depends on it: a folder left behind in /tmp is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_itself_is_debian() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_CODENAME=bookworm\n";
        let ubuntu = "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n";
        let quoted = "ID=\"debian\"\nVERSION_CODENAME=\"trixie\"\n";
        assert_eq!(debian_codename(debian).as_deref(), Some("bookworm"));
        assert_eq!(debian_codename(quoted).as_deref(), Some("trixie"));
        assert_eq!(debian_codename("ID=debian\n").as_deref(), Some("sid"));
        assert_eq!(debian_codename(ubuntu), None);
        assert_eq!(debian_codename(""), None);
    }

    #[test]
    fn only_mirrors_of_debians_main_archive_are_asked() {
        let targets = "http://m.example/debian/ trixie main\n\
            http://m.example/debian/ trixie contrib\n\
            http://m.example/debian/ trixie-updates main\n\
            http://m.example/debian-security/ trixie-security main\n\
            https://download.docker.com/linux/debian/ trixie stable\n\
            https://apt.postgresql.org/pub/repos/apt/ trixie-pgdg main\n\
            mirror+file:/etc/apt/mirrors/debian.list/ stable main\n\n";
        let found = main_archives(targets, "trixie");
        let expected = [
            "http://m.example/debian/",
            "mirror+file:/etc/apt/mirrors/debian.list/",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_temporary_folder_is_removed_when_it_is_dropped() {
        let path = Temporary::new().map(|folder| {
            assert!(folder.path.is_dir());
            folder.path.clone()
        });
        assert!(path.is_ok_and(|path| !path.exists()));
    }
}
