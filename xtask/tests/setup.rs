//! `cargo xtask setup` takes what is there, installs what is missing in the order that it promises,
//! and does nothing the second time.
//!
//! The real binary runs on a machine of small programs: its PATH, its tools and its system are folders
//! of the test. Each program notes how it was called, and installs what the real one would.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A program cannot be started while a fork of another test still has it open to be written.
static ALONE: Mutex<()> = Mutex::new(());

/// Says where it would have the libraries of a target.
const RUSTC: &str = "echo \"$HERE/targets/$4\"";
/// Brings the library of a target.
const RUSTUP: &str = "mkdir -p \"$HERE/targets/$3\" && : > \"$HERE/targets/$3/libstd-1.rlib\"";
/// Builds a server of the version it is asked for.
const GO: &str = r#"
printf '#!/bin/sh\necho "nats-server: %s"\n' "${2##*@}" > "$GOBIN/nats-server"
chmod +x "$GOBIN/nats-server"
"#;

/// A machine in a folder.
struct Machine {
    folder: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

/// How a run ended, and what was said.
struct Said {
    succeeded: bool,
    text: String,
    /// The calls that may change something, with what they were given.
    installing: Vec<String>,
}

impl Machine {
    /// One that has only what every test needs: a Rust without a target for WebAssembly, an old
    /// server and a registry.
    fn new(name: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("system")).unwrap();
        let machine = Self {
            folder,
            _alone: alone,
        };
        machine.program("path/rustc", RUSTC);
        machine.program("path/docker-registry", "echo docker-registry");
        machine.server("tools/old/nats-server", "v2.9.10");
        machine
    }

    fn program(&self, path: &str, script: &str) {
        let file = self.folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let here = self.folder.display();
        let text = format!(
            "#!/bin/sh\nPATH=/usr/bin:/bin\nHERE='{here}'\n\
             echo \"{name} $* GOBIN=$GOBIN\" >> \"$HERE/calls\"\n{script}\n"
        );
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn server(&self, path: &str, version: &str) {
        self.program(path, &format!("echo 'nats-server: {version}'"));
    }

    /// The targets that the active toolchain has.
    fn targets(&self, names: &[&str]) {
        for name in names {
            let folder = self.folder.join("targets").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("libstd-1.rlib"), "").unwrap();
        }
    }

    fn set_up(&self) -> Said {
        let calls = self.folder.join("calls");
        let _ = std::fs::remove_file(&calls);
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("setup")
            .env("PATH", self.folder.join("path"))
            .env("WEIR_SETUP_TOOLS", self.folder.join("tools"))
            .env("WEIR_SETUP_SYSTEM", self.folder.join("system"))
            .env_remove("WEIR_NATS_SERVER")
            .env_remove("GOBIN")
            .output()
            .unwrap();
        let asks = |call: &&str| {
            [" --version", " --print ", " indextargets "]
                .iter()
                .any(|word| call.contains(word))
        };
        let calls = std::fs::read_to_string(calls).unwrap_or_default();
        Said {
            succeeded: output.status.success(),
            text: String::from_utf8(output.stderr).unwrap(),
            installing: calls
                .lines()
                .filter(|call| !asks(call))
                .map(str::to_owned)
                .collect(),
        }
    }

    fn at(&self, path: &str) -> String {
        self.folder.join(path).display().to_string()
    }
}

impl Said {
    #[track_caller]
    fn says(&self, what: &str) {
        assert!(self.text.contains(what), "not said: {what}\n{}", self.text);
    }

    #[track_caller]
    fn ran(&self, calls: &[String]) {
        assert_eq!(self.installing, calls, "{}", self.text);
    }
}

const BOTH_TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-unknown-unknown"];

#[test]
fn what_is_there_is_taken_and_nothing_is_run() {
    let machine = Machine::new("all-there");
    machine.server("path/nats-server", "v2.12.1");
    machine.program("path/go", GO);
    machine.program("path/rustup", RUSTUP);
    machine.targets(&BOTH_TARGETS);
    let said = machine.set_up();
    assert!(said.succeeded, "{}", said.text);
    let place = machine.at("path/nats-server");
    said.says(&format!("setup: nats-server 2.12.1 found at {place}\n"));
    said.says("setup: wasm32-wasip2 found in the active Rust toolchain\n");
    said.ran(&[]);
    assert!(!machine.folder.join("tools/bin").exists());
}

#[test]
fn a_server_that_is_too_old_is_replaced_by_one_built_with_go_and_a_second_run_does_nothing() {
    let machine = Machine::new("built-with-go");
    machine.server("path/nats-server", "v2.12.0");
    machine.program("path/go", GO);
    machine.program("path/rustup", RUSTUP);
    let said = machine.set_up();
    assert!(said.succeeded, "{}", said.text);
    let old = machine.at("path/nats-server");
    said.says(&format!("`{old}` is 2.12.0, older than 2.12.1"));
    let (bin, built) = (machine.at("tools/bin"), machine.at("tools/bin/nats-server"));
    said.says(&format!(
        "nats-server: building v2.15.1 with Go into {bin}\n"
    ));
    said.says(&format!("nats-server 2.15.1 built with Go at {built}\n"));
    let module = "github.com/nats-io/nats-server/v2@v2.15.1";
    said.ran(&[
        format!("go install {module} GOBIN={bin}"),
        "rustup target add wasm32-wasip2 GOBIN=".to_owned(),
        "rustup target add wasm32-unknown-unknown GOBIN=".to_owned(),
    ]);

    let again = machine.set_up();
    assert!(again.succeeded, "{}", again.text);
    again.says(&format!("setup: nats-server 2.15.1 found at {built}\n"));
    again.says("setup: wasm32-wasip2 found in the active Rust toolchain\n");
    again.ran(&[]);
    assert!(
        again.text.lines().all(|line| line.contains(" found")),
        "{}",
        again.text
    );
}

#[test]
fn a_server_that_go_builds_is_checked_before_it_is_taken() {
    let machine = Machine::new("badly-built");
    machine.targets(&BOTH_TARGETS);
    machine.program("path/go", &GO.replace("${2##*@}", "v2.10.0"));
    let said = machine.set_up();
    assert!(!said.succeeded, "{}", said.text);
    let built = machine.at("tools/bin/nats-server");
    said.says(&format!("tried: `{built}` is 2.10.0, older than 2.12.1\n"));
}

#[test]
fn where_nothing_helps_the_error_names_three_ways_out() {
    let machine = Machine::new("nothing-helps");
    machine.targets(&BOTH_TARGETS);
    let said = machine.set_up();
    assert!(!said.succeeded, "{}", said.text);
    said.says("error: cannot find or install a nats-server of at least 2.12.1\n");
    said.says("  tried: none found on PATH\n");
    said.says("  tried: Go is not on PATH, so it cannot be built from source\n");
    said.says("  tried: cannot take it from Debian: this machine does not run Debian\n");
    for way in ["\n  1. install", "\n  2. install Go", "\n  3. on Debian"] {
        said.says(way);
    }
    said.ran(&[]);
}

/// A Debian with a mirror, and the programs that fetch a package from it and unpack it.
fn make_debian(machine: &Machine) {
    let etc = machine.folder.join("system/etc");
    std::fs::create_dir_all(&etc).unwrap();
    let release = "ID=debian\nVERSION_CODENAME=trixie\n";
    std::fs::write(etc.join("os-release"), release).unwrap();
    let download = r#"for word in "$@"; do last=$word; done
case " $* " in
*" indextargets "*) echo "http://mirror.example/debian/ trixie main" ;;
*" download "*) : > "${last}_1_amd64.deb" ;;
esac"#;
    machine.program("path/apt-get", download);
    let unpack = r#"mkdir -p "$3/usr/bin" && printf '#!/bin/sh\necho "nats-server: v2.14.0"\n' \
        > "$3/usr/bin/nats-server" && chmod +x "$3/usr/bin/nats-server""#;
    machine.program("path/dpkg-deb", unpack);
}

#[test]
fn without_go_a_debian_gets_the_package_of_its_unstable_suite() {
    let machine = Machine::new("from-debian");
    machine.targets(&BOTH_TARGETS);
    make_debian(&machine);
    let said = machine.set_up();
    assert!(said.succeeded, "{}", said.text);
    said.says("unpacking the package of Debian's suite sid from http://mirror.example/debian/\n");
    let unpacked = machine.at("tools/bin/nats-server");
    said.says(&format!(
        "nats-server 2.14.0 unpacked from Debian unstable at {unpacked}\n"
    ));
    let verbs = [" update ", " download nats-server ", " -x "];
    assert_eq!(said.installing.len(), verbs.len(), "{:?}", said.installing);
    for (call, verb) in said.installing.iter().zip(verbs) {
        assert!(call.contains(verb), "{call} is not{verb}");
    }
    machine.set_up().ran(&[]);
}

#[test]
fn a_missing_target_is_added_with_rustup_before_debians_packages_are_installed() {
    let machine = Machine::new("rustup-first");
    machine.server("path/nats-server", "v2.15.1");
    make_debian(&machine);
    machine.program("path/rustup", RUSTUP);
    let said = machine.set_up();
    assert!(said.succeeded, "{}", said.text);
    said.says("adding the target wasm32-wasip2 to the active toolchain with rustup\n");
    let first = said.installing.first().unwrap();
    assert_eq!(first, "rustup target add wasm32-wasip2 GOBIN=");
    assert!(
        !said
            .installing
            .iter()
            .any(|call| call.starts_with("apt-get"))
    );
}

#[test]
fn one_target_is_enough_and_rustup_is_not_asked_for_the_better_one() {
    let machine = Machine::new("one-target");
    machine.server("path/nats-server", "v2.15.1");
    machine.program("path/rustup", RUSTUP);
    machine.targets(&["wasm32-unknown-unknown"]);
    let said = machine.set_up();
    assert!(said.succeeded, "{}", said.text);
    said.says("setup: wasm32-unknown-unknown found in the active Rust toolchain\n");
    said.ran(&[]);
}

#[test]
fn where_rustup_cannot_help_debians_packages_are_installed() {
    let machine = Machine::new("debians-rust");
    machine.server("path/nats-server", "v2.15.1");
    make_debian(&machine);
    machine.program("path/rustup", "echo 'no network' >&2; exit 1");
    machine.program("path/id", "echo 0");
    // What the packages bring.
    let install = r#"case " $* " in *" install "*)
mkdir -p "$HERE/system/usr/bin" "$HERE/system/usr/lib/rustlib/src/rust/library/std" "$HERE/system/usr/lib/lib"
cd "$HERE/system/usr/bin" && : > cargo && : > wasm-ld-22
mv ../lib/rustlib ../lib/lib/
printf '#!/bin/sh\necho "%s/system/usr/lib"\n' "$HERE" > rustc && chmod +x rustc ;; esac"#;
    machine.program("path/apt-get", install);
    let said = machine.set_up();
    assert!(said.succeeded, "{}", said.text);
    said.says("setup: Rust for WebAssembly: cannot add the target with rustup: ");
    let packages = "rustc-web cargo-web rust-web-src lld-22";
    let words = "apt-get install --yes --quiet --no-install-recommends";
    let install = format!("{words} {packages} GOBIN=");
    assert!(said.installing.contains(&install), "{:?}", said.installing);

    let again = machine.set_up();
    again.says("compiled by Debian's rustc-web, found in /usr/bin\n");
    again.ran(&[]);
}

#[test]
fn without_any_way_to_webassembly_the_error_has_the_commands() {
    let machine = Machine::new("no-wasm");
    machine.server("path/nats-server", "v2.15.1");
    let said = machine.set_up();
    assert!(!said.succeeded, "{}", said.text);
    said.says("error: cannot find or install a Rust toolchain for WebAssembly\n");
    said.says("  tried: rustup is not on PATH, so it cannot add a target\n");
    said.says("  1. rustup target add wasm32-wasip2\n");
    said.ran(&[]);
}
