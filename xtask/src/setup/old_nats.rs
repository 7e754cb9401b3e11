//! A `nats-server` that is too old, for the test that sees it refused: Debian 12's own, or one built
//! with Go. Never on PATH: it lives in `target/tools/old`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::nats;
use crate::layout;
use crate::process;
use crate::ui::say;
use crate::version::Version;

/// The first version that the host does not refuse.
const TOO_NEW: Version = Version::new(2, 11, 0);

/// What is built where Debian has none; the last of its line.
const PINNED: &str = "v2.9.25";

/// The old server, installed if need be.
pub(super) fn find_or_install() -> Result<PathBuf> {
    let server = layout::tools().join("old/nats-server");
    if let Ok(version) = nats::version(&server) {
        let place = server.display();
        say(
            "setup",
            format_args!("old nats-server {version} found at {place}"),
        );
        return Ok(server);
    }
    let folder = server.parent().context("it is in a folder")?;
    nats::create(folder)?;
    let from_debian = nats::take_from_debian("bookworm", &server);
    if let Err(error) = from_debian {
        say("setup", format_args!("old nats-server: {error:#}"));
        let Some(go) = process::find("go") else {
            bail!("{error:#}; Go is not on PATH, so it cannot be built from source");
        };
        say(
            "setup",
            format_args!("old nats-server: building {PINNED} with Go"),
        );
        nats::go_install(&go, PINNED, folder)?;
    }
    let version = nats::version(&server)?;
    if version >= TOO_NEW {
        bail!("`{}` is {version}, which is not old", server.display());
    }
    say(
        "setup",
        format_args!(
            "old nats-server {version} installed at {}",
            server.display()
        ),
    );
    Ok(server)
}
