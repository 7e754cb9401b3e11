//! The memory of a call: allocation is an addition, and a whole call is freed at once. For the SDK's
//! own files; a plugin sees it as `weir.allocator`.

const std = @import("std");

/// The most that is kept from one call to the next.
const kept_bytes = 8 << 20;

var of_call: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);
var of_instance: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// Everything belongs to the instance until `configure` is over: what runs before it, runs once.
var kept = true;

/// Allocates where it belongs now.
pub const allocator: std.mem.Allocator = .{
    .ptr = undefined,
    .vtable = &.{
        .alloc = rawAlloc,
        .resize = std.mem.Allocator.noResize,
        .remap = std.mem.Allocator.noRemap,
        .free = std.mem.Allocator.noFree,
    },
};

fn rawAlloc(_: *anyopaque, len: usize, alignment: std.mem.Alignment, address: usize) ?[*]u8 {
    const current = if (kept) &of_instance else &of_call;
    return current.allocator().rawAlloc(len, alignment, address);
}

/// Whether what is allocated from now on is for the instance's life.
pub fn keep(for_instance: bool) void {
    kept = for_instance;
}

/// Forgets everything that was allocated for the call.
pub fn forget() void {
    _ = of_call.reset(.{ .retain_with_limit = kept_bytes });
}

/// As the host does: without memory the instance ends, and the host isolates the message.
pub fn alloc(comptime T: type, count: usize) []T {
    return allocator.alloc(T, count) catch @panic("out of memory");
}

/// The contract's `cabi_realloc`: the host makes room for what it passes in.
pub fn realloc(old: [*]const u8, old_size: usize, _: usize, new_size: usize) callconv(.c) [*]u8 {
    // Even nothing must be somewhere in memory, and Zig says that nothing is nowhere.
    const made = allocator.alignedAlloc(u8, .@"16", @max(new_size, 1)) catch @panic("out of memory");
    const copied = @min(old_size, new_size);
    if (copied > 0) @memcpy(made[0..copied], old[0..copied]);
    return made.ptr;
}
