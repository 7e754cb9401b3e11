//! Calls that the host makes later: of `onTimer`, exactly once for each timer.
//!
//! A timer is known by its key and tag; setting it again moves it. Its key is that of the message or the
//! timer at hand, as for state, and it is not called if the values of the key are gone when it is due.

const abi = @import("abi.zig");
const outcome = @import("outcome.zig");

const host = struct {
    const Bytes = [*]const u8;

    extern "weir:state/timers@0.2.0" fn now(clock: u32) u64;
    extern "weir:state/timers@0.2.0" fn set(key: Bytes, key_len: usize, tag: Bytes, tag_len: usize, clock: u32, at: u64, refused: *abi.OptionalText) void;
    extern "weir:state/timers@0.2.0" fn cancel(key: Bytes, key_len: usize, tag: Bytes, tag_len: usize) void;
};

/// Which clock a timer follows.
pub const Clock = enum(u8) {
    /// The watermark: messages with earlier event times are not expected any more.
    event_time,
    /// The clock of the job. It follows the wall clock and never steps.
    processing_time,
};

/// One timer that is due. It is not set any more.
pub const Timer = struct {
    key: []const u8,
    /// What it was set for.
    tag: []const u8,
    clock: Clock,
    /// When it was set to fire, in nanoseconds since the Unix epoch.
    at: u64,

    /// For the SDK's own files.
    pub fn of(raw: *const abi.Timer) Timer {
        return .{
            .key = raw.key.slice(),
            .tag = raw.tag.slice(),
            .clock = @enumFromInt(raw.clock),
            .at = raw.at,
        };
    }
};

/// The time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is one.
pub fn now(clock: Clock) u64 {
    return host.now(@intFromEnum(clock));
}

/// Fires once a clock has reached `at`, in nanoseconds since the Unix epoch. It is a rejection, through
/// `try`, if the state of the partition has no room for it.
pub fn set(key: []const u8, tag: []const u8, clock: Clock, at: u64) error{Rejected}!void {
    var refused: abi.OptionalText = .{};
    host.set(key.ptr, key.len, tag.ptr, tag.len, @intFromEnum(clock), at, &refused);
    if (refused.slice()) |reason| return outcome.reject("{s}", .{reason});
}

/// Fires after so many milliseconds by the clock of the job.
pub fn setAfter(key: []const u8, tag: []const u8, milliseconds: u64) error{Rejected}!void {
    return set(key, tag, .processing_time, now(.processing_time) +| milliseconds *| 1_000_000);
}

/// Cancels a timer, if it is set.
pub fn cancel(key: []const u8, tag: []const u8) void {
    host.cancel(key.ptr, key.len, tag.ptr, tag.len);
}
