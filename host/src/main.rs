//! The `weir` command: everything is in the library.

use std::process::ExitCode;

/// Lanes allocate messages on one thread and free them on another. The system's allocator takes a lock for
/// that; this one does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    weir::cli::main()
}
