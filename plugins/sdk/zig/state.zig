//! Values that a plugin keeps for the keys of messages.
//!
//!     const count: weir.State(u64) = .{ .name = "count" };
//!
//!     pub fn process(_: *Plugin, message: *const weir.Message) !weir.Outputs {
//!         const key = message.stateKey();
//!         try count.set(key, (try count.get(key) orelse 0) + 1);
//!         return .none;
//!     }
//!
//! They are there in `process` and `onTimer` of a plugin whose `plugin.yaml` says
//! `world: stateful-operator`, and nowhere else: a call from `configure` ends the instance. A value
//! belongs to a key and has a name below it. The key is that of the message or the timer at hand; one of
//! another partition ends the call, and its message becomes a dead letter. Keys and names are UTF-8.
//!
//! What is written is stored together with the results of the batch, and undone for a message that is
//! rejected, retried or makes the instance end.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");
const words = @import("message.zig").words;

const Values = extern struct { ptr: [*]const abi.OptionalText = undefined, len: usize = 0 };
const Entries = extern struct { ptr: [*]const Entry = undefined, len: usize = 0 };

const host = struct {
    const Bytes = [*]const u8;

    extern "weir:state/state@0.2.0" fn get(key: Bytes, key_len: usize, name: Bytes, name_len: usize, found: *abi.OptionalText) void;
    extern "weir:state/state@0.2.0" fn @"get-many"(places: [*]const Place, len: usize, found: *Values) void;
    // `result<_, string>` is laid out as an option of the error.
    extern "weir:state/state@0.2.0" fn set(key: Bytes, key_len: usize, name: Bytes, name_len: usize, value: Bytes, value_len: usize, has_ttl: bool, ttl_ms: u64, refused: *abi.OptionalText) void;
    extern "weir:state/state@0.2.0" fn delete(key: Bytes, key_len: usize, name: Bytes, name_len: usize) void;
    extern "weir:state/state@0.2.0" fn scan(key: Bytes, key_len: usize, prefix: Bytes, prefix_len: usize, has_after: bool, after: Bytes, after_len: usize, limit: u32, found: *Entries) void;
};

/// A value for each key, kept as JSON. Make it a constant of the plugin, with a name that no other value
/// of the plugin has.
pub fn State(comptime T: type) type {
    return struct {
        name: []const u8,

        const Self = @This();

        /// The value of a key, or null. What is kept and is no `T` is a rejection, through `try`: an
        /// earlier version of the plugin has written something else.
        pub fn get(state: Self, key: []const u8) error{Rejected}!?T {
            return state.read(bytes(key, state.name));
        }

        /// The values of several keys, in their order: one call of the host for all of them.
        pub fn getMany(state: Self, keys: []const []const u8) error{Rejected}![]?T {
            const places = arena.alloc(Place, keys.len);
            for (keys, places) |key, *place| place.* = .of(key, state.name);
            const values = arena.alloc(?T, keys.len);
            for (bytesOfMany(places), values) |found, *value| value.* = try state.read(found.slice());
            return values;
        }

        /// Sets the value of a key. It is a rejection, through `try`, if the state of the partition has
        /// no room for it.
        pub fn set(state: Self, key: []const u8, value: T) error{Rejected}!void {
            return setBytes(key, state.name, written(value), null);
        }

        /// The same for so many milliseconds from now. Setting it again begins anew; zero deletes it.
        pub fn setFor(state: Self, key: []const u8, value: T, milliseconds: u64) error{Rejected}!void {
            return setBytes(key, state.name, written(value), milliseconds);
        }

        /// Deletes the value of a key, if there is one.
        pub fn delete(state: Self, key: []const u8) void {
            deleteBytes(key, state.name);
        }

        fn read(state: Self, found: ?[]const u8) error{Rejected}!?T {
            const text = found orelse return null;
            const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
            return std.json.parseFromSliceLeaky(T, arena.allocator, text, options) catch |failure| {
                const cause = .{ state.name, words(failure) };
                return outcome.reject("cannot read the state `{s}` as JSON: {s}", cause);
            };
        }

        fn written(value: T) []const u8 {
            const text = std.json.Stringify.valueAlloc(arena.allocator, value, .{});
            return text catch @panic("out of memory");
        }
    };
}

/// The bytes under a key and a name, or null.
pub fn bytes(key: []const u8, name: []const u8) ?[]const u8 {
    var found: abi.OptionalText = .{};
    host.get(key.ptr, key.len, name.ptr, name.len, &found);
    return found.slice();
}

/// Where a value is.
pub const Place = extern struct {
    key: abi.Text,
    name: abi.Text,

    pub fn of(key: []const u8, name: []const u8) Place {
        return .{ .key = .of(key), .name = .of(name) };
    }
};

/// The bytes in several places, in their order; `slice` is null where there are none.
pub fn bytesOfMany(places: []const Place) []const abi.OptionalText {
    var found: Values = .{};
    host.@"get-many"(abi.placed(Place, places), places.len, &found);
    return found.ptr[0..found.len];
}

/// Sets the bytes under a key and a name, for so many milliseconds if that is given. It is a rejection,
/// through `try`, if the state of the partition has no room for them.
pub fn setBytes(key: []const u8, name: []const u8, value: []const u8, milliseconds: ?u64) error{Rejected}!void {
    var refused: abi.OptionalText = .{};
    host.set(key.ptr, key.len, name.ptr, name.len, value.ptr, value.len, milliseconds != null, milliseconds orelse 0, &refused);
    if (refused.slice()) |reason| return outcome.reject("{s}", .{reason});
}

/// Deletes what is under a key and a name, if anything.
pub fn deleteBytes(key: []const u8, name: []const u8) void {
    host.delete(key.ptr, key.len, name.ptr, name.len);
}

/// A name with its value.
pub const Entry = extern struct {
    name_text: abi.Text,
    value_text: abi.Text,

    pub fn name(entry: Entry) []const u8 {
        return entry.name_text.slice();
    }

    pub fn value(entry: Entry) []const u8 {
        return entry.value_text.slice();
    }
};

/// Up to `limit` names of a key that begin with `prefix`, with their bytes, in the order of the names;
/// those behind `after` where it is given. Fewer may come where they are large: there are no more only
/// when none comes.
pub fn scan(key: []const u8, prefix: []const u8, after: ?[]const u8, limit: u32) []const Entry {
    const behind = after orelse "";
    var found: Entries = .{};
    host.scan(key.ptr, key.len, prefix.ptr, prefix.len, after != null, behind.ptr, behind.len, limit, &found);
    return found.ptr[0..found.len];
}
