//! Instructions that a batch of messages costs, counted by valgrind: noise cannot change them, so CI
//! refuses a change that makes them more (`cargo xtask bench --instructions`).
//!
//! A benchmark returns what it was given, so that dropping it does not count. Each has the most instructions that it may take, some 5 % above what it took when that
//! was written. A change that is worth more raises the number, with its reason in the commit; one
//! that takes less lowers it. Nothing here touches the network: what is counted is weir's own.

#![expect(
    clippy::disallowed_methods,
    reason = "the harness that `main!` makes ends the process itself"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may fail by panicking"
)]

mod lane;
mod scene;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use lane::Lane;
use scene::{Border, Work};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// At most so many instructions, and no simulation of caches, which takes long.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

// A call with 64 messages: lowering, the guest, lifting.
#[library_benchmark(setup = Border::new)]
#[bench::identity(args = (Work::Identity), config = at_most(648_000))]
#[bench::identity_with_8_headers(args = (Work::Headers), config = at_most(3_277_000))]
#[bench::json(args = (Work::Json), config = at_most(2_644_000))]
fn border(mut border: Border) -> Border {
    black_box(border.call());
    border
}

// What a lane does with 64 deliveries besides reading and writing its connection.
#[library_benchmark(setup = Lane::new)]
#[bench::identity(args = (Work::Identity), config = at_most(1_210_000))]
#[bench::json(args = (Work::Json), config = at_most(3_199_000))]
fn corridor(mut lane: Lane) -> Lane {
    black_box(lane.walk());
    lane
}

library_benchmark_group!(name = instructions, benchmarks = [border, corridor]);

main!(library_benchmark_groups = instructions);
