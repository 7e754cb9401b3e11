//! Entries for the host's log, with the pipeline's and the operator's name on them, rate limited.

const std = @import("std");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");

pub const Level = enum(u32) { trace, debug, info, warn, err };

const host = struct {
    extern "weir:plugin/log@0.1.0" fn log(level: u32, ptr: [*]const u8, len: usize) void;
    extern "weir:plugin/log@0.1.0" fn enabled(level: u32) bool;
};

/// Whether entries of this level go anywhere.
pub fn enabled(level: Level) bool {
    return host.enabled(@intFromEnum(level));
}

/// Writes one entry, if anybody listens.
pub fn write(level: Level, comptime format: []const u8, args: anytype) void {
    if (!enabled(level)) return;
    const text = std.fmt.allocPrint(arena.allocator, format, args) catch @panic("out of memory");
    const shown = outcome.printable(text);
    host.log(@intFromEnum(level), shown.ptr, shown.len);
}

pub fn trace(comptime format: []const u8, args: anytype) void {
    write(.trace, format, args);
}

pub fn debug(comptime format: []const u8, args: anytype) void {
    write(.debug, format, args);
}

pub fn info(comptime format: []const u8, args: anytype) void {
    write(.info, format, args);
}

pub fn warn(comptime format: []const u8, args: anytype) void {
    write(.warn, format, args);
}

pub fn err(comptime format: []const u8, args: anytype) void {
    write(.err, format, args);
}
