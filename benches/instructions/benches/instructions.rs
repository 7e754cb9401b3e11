//! Instructions that a batch of messages costs, counted by valgrind: noise cannot change them, so CI
//! refuses a change that makes them more (`cargo xtask bench --instructions`).
//!
//! Each benchmark has the most instructions that it may take, some 5 % above what it took when that
//! was written. A change that is worth more raises the number, with its reason in the commit; one
//! that takes less lowers it. Nothing here touches the network: what is counted is weir's own.

mod corridor;
mod scene;

use corridor::Corridor;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
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

/// A call with 64 messages: lowering, the guest, lifting.
#[library_benchmark(setup = Border::new)]
#[bench::identity(args = (Work::Identity), config = at_most(1))]
#[bench::identity_with_8_headers(args = (Work::Headers), config = at_most(1))]
#[bench::json(args = (Work::Json), config = at_most(1))]
fn border(mut border: Border) -> usize {
    black_box(border.call())
}

/// What a lane does with 64 deliveries besides reading and writing its connection.
#[library_benchmark(setup = Corridor::new)]
#[bench::identity(args = (Work::Identity), config = at_most(1))]
#[bench::json(args = (Work::Json), config = at_most(1))]
fn corridor(mut corridor: Corridor) -> usize {
    black_box(corridor.walk())
}

library_benchmark_group!(name = instructions; benchmarks = [border, corridor]);

main!(library_benchmark_groups = instructions);
