//! What a plugin reads.

const std = @import("std");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");

/// One message. The slices are those that the host wrote: nothing is copied, and they are gone when
/// the call is over.
pub const Message = struct {
    subject: []const u8,
    /// Bytes as they were published: not necessarily text.
    payload: []const u8,
    /// Those that the operator's `headers:` in the pipeline file asks for.
    headers: []const abi.Header,
    key: ?[]const u8,
    /// Nanoseconds since the Unix epoch.
    event_time: u64,
    /// In the source stream, from 1: an idempotency key for side effects.
    sequence: u64,
    /// 1 on first delivery.
    attempt: u32,

    /// For the SDK's own files.
    pub fn of(raw: *const abi.Message) Message {
        return .{
            .subject = raw.subject.slice(),
            .payload = raw.payload.slice(),
            .headers = raw.headers.ptr[0..raw.headers.len],
            .key = raw.key.slice(),
            .event_time = raw.event_time,
            .sequence = raw.sequence,
            .attempt = raw.attempt,
        };
    }

    /// The payload as JSON, read into a `T`: a struct whose fields may have defaults, or
    /// `std.json.Value`. Fields that `T` does not have are passed over. A payload that does not fit is
    /// rejected, with the place, through `try`.
    pub fn json(message: *const Message, comptime T: type) error{Rejected}!T {
        const alloc = arena.allocator;
        var scanner: std.json.Scanner = .initCompleteInput(alloc, message.payload);
        var at: std.json.Scanner.Diagnostics = .{};
        scanner.enableDiagnostics(&at);
        const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
        return std.json.parseFromTokenSourceLeaky(T, alloc, &scanner, options) catch |failure| {
            const place = .{ words(failure), at.getLine(), at.getColumn() };
            return outcome.reject("cannot read the payload as JSON: {s} at line {d} column {d}", place);
        };
    }

    /// The payload as text. What is not UTF-8 is rejected, through `try`.
    pub fn text(message: *const Message) error{Rejected}![]const u8 {
        if (std.unicode.utf8ValidateSlice(message.payload)) return message.payload;
        return outcome.reject("cannot read the payload as UTF-8 text", .{});
    }

    /// The first value of a header, compared without regard to case.
    pub fn header(message: *const Message, name: []const u8) ?[]const u8 {
        for (message.headers) |line| {
            if (std.ascii.eqlIgnoreCase(line.name(), name)) return line.value();
        }
        return null;
    }

    /// What state and timers of this message belong to: its key, and "" if it has none.
    pub fn stateKey(message: *const Message) []const u8 {
        return message.key orelse "";
    }

    /// One token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`.
    pub fn token(message: *const Message, index: usize) ?[]const u8 {
        var tokens = std.mem.splitScalar(u8, message.subject, '.');
        for (0..index) |_| _ = tokens.next() orelse return null;
        return tokens.next();
    }
};

/// An error of `std.json` as people say it.
pub fn words(failure: anyerror) []const u8 {
    return switch (failure) {
        error.SyntaxError => "a syntax error",
        error.UnexpectedEndOfInput => "it ends early",
        error.MissingField => "a field is missing",
        error.DuplicateField => "a field stands twice",
        error.UnexpectedToken => "a value of another type",
        error.InvalidNumber, error.Overflow => "a number that does not fit",
        error.OutOfMemory => @panic("out of memory"),
        else => @errorName(failure),
    };
}
