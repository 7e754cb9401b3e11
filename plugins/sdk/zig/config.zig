//! The operator's part of the pipeline file, for code that has no hold of the configured struct.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");

const host = struct {
    extern "weir:plugin/config@0.1.0" fn get(ptr: [*]const u8, len: usize, found: *abi.OptionalText) void;
    extern "weir:plugin/config@0.1.0" fn pipeline(name: *abi.Text) void;
    extern "weir:plugin/config@0.1.0" fn operator(name: *abi.Text) void;
};

/// The value at a JSON pointer ("" is the whole), or null where there is none or it is not a `T`.
pub fn get(comptime T: type, pointer: []const u8) ?T {
    var found: abi.OptionalText = .{};
    host.get(pointer.ptr, pointer.len, &found);
    const text = found.slice() orelse return null;
    return std.json.parseFromSliceLeaky(T, arena.allocator, text, .{}) catch null;
}

/// The pipeline's name.
pub fn pipeline() []const u8 {
    var name: abi.Text = .{};
    host.pipeline(&name);
    return name.slice();
}

/// The operator's name within the pipeline.
pub fn operator() []const u8 {
    var name: abi.Text = .{};
    host.operator(&name);
    return name.slice();
}
