//! The contract, `weir:plugin@0.1.0`, `weir:state@0.2.0` and `weir:window@0.2.0`, as it crosses the border: the
//! WebAssembly canonical ABI of its WIT. Records are structs, lists are pointer and length, options have a flag in front, variants a tag.
//! For the SDK's own files.

/// Where a list begins. Even an empty one must be somewhere in memory, or the host refuses it, and Zig
/// says that nothing is nowhere.
pub fn placed(comptime T: type, items: []const T) [*]const T {
    const nowhere: [0]T = .{};
    return if (items.len == 0) &nowhere else items.ptr;
}

/// A list of bytes, or a string, which is a list of bytes that are UTF-8.
pub const Text = extern struct {
    ptr: [*]const u8 = "",
    len: usize = 0,

    pub fn of(bytes: []const u8) Text {
        return .{ .ptr = placed(u8, bytes), .len = bytes.len };
    }

    pub fn slice(text: Text) []const u8 {
        return text.ptr[0..text.len];
    }
};

pub const OptionalText = extern struct {
    is_some: bool = false,
    value: Text = .{},

    pub fn of(bytes: ?[]const u8) OptionalText {
        return if (bytes) |some| .{ .is_some = true, .value = .of(some) } else .{};
    }

    pub fn slice(optional: OptionalText) ?[]const u8 {
        return if (optional.is_some) optional.value.slice() else null;
    }
};

/// One header line. A name may occur more than once.
pub const Header = extern struct {
    name_text: Text,
    value_text: Text,

    pub fn of(header_name: []const u8, header_value: []const u8) Header {
        return .{ .name_text = .of(header_name), .value_text = .of(header_value) };
    }

    pub fn name(header: Header) []const u8 {
        return header.name_text.slice();
    }

    pub fn value(header: Header) []const u8 {
        return header.value_text.slice();
    }
};

pub const Headers = extern struct {
    ptr: [*]const Header = undefined,
    len: usize = 0,
};

pub const Message = extern struct {
    subject: Text,
    payload: Text,
    headers: Headers,
    key: OptionalText,
    event_time: u64,
    sequence: u64,
    attempt: u32,
};

pub const Timer = extern struct {
    key: Text,
    tag: Text,
    clock: u8,
    at: u64,
};

pub const Output = extern struct {
    subject: OptionalText = .{},
    payload: OptionalText = .{},
    has_headers: bool = false,
    headers: Headers = .{},
    key: OptionalText = .{},
};

pub const Outcome = extern struct {
    tag: enum(u8) { emit, retry, reject },
    body: extern union {
        emit: extern struct { ptr: [*]const Output, len: usize },
        retry: extern struct { has_after: bool, after_ms: u64, reason: Text },
        reject: Text,
    },
};

pub const Outcomes = extern struct { ptr: [*]const Outcome, len: usize };

pub const Addition = extern struct {
    key: Text,
    accumulator: Text,
    ptr: [*]const Message,
    len: usize,
};

pub const Pair = extern struct { key: Text, left: Text, right: Text };

pub const Pane = extern struct {
    key: Text,
    start: i64,
    end: i64,
    timing: u8,
    index: u32,
    accumulator: Text,
};

/// `result` of an accumulator or of outputs, and otherwise a reason.
pub const Answer = extern struct {
    is_error: bool,
    body: extern union {
        text: Text,
        outputs: extern struct { ptr: [*]const Output, len: usize },
    },
};

pub const Answers = extern struct { ptr: [*]const Answer, len: usize };

/// `result<_, string>`.
pub const Configured = extern struct { is_error: bool, reason: Text };

comptime {
    const assert = @import("std").debug.assert;
    assert(@sizeOf(Message) == 64);
    assert(@sizeOf(Timer) == 32);
    assert(@sizeOf(Output) == 48);
    assert(@sizeOf(Outcome) == 32);
    assert(@sizeOf(Pane) == 40);
    assert(@sizeOf(Answer) == 12);
}
