//! Write weir plugins in Zig: a struct, how it is configured, and one function from a message to what
//! becomes of it.
//!
//!     const weir = @import("weir");
//!
//!     const Rebates = struct {
//!         rate: f64,
//!
//!         pub fn configure(config: struct { rate: f64 }) !Rebates {
//!             if (config.rate > 1) return weir.refuse("`rate` is above 1: {d}", .{config.rate});
//!             return .{ .rate = config.rate };
//!         }
//!
//!         pub fn process(self: *Rebates, message: *const weir.Message) !weir.Outputs {
//!             const order = try message.json(struct { total: f64 }); // none: a dead letter says why
//!             if (order.total == 0) return .none; // dropped, on purpose
//!             return .one(try weir.Output.json(order.total * self.rate));
//!         }
//!     };
//!
//!     comptime {
//!         weir.exportPlugin(Rebates);
//!     }
//!
//! | returned | what becomes of the message |
//! |---|---|
//! | `.pass` | published as it came; no bytes are moved |
//! | `.one(output)`, `.many(outputs)` | one new message, or many; what is not set is taken over |
//! | `.none` | dropped, on purpose |
//! | `weir.reject("why", .{})`, or any other error | dead letter, with the reason |
//! | `weir.retry("why", .{})` | delivered again later, with the pipeline's backoff |
//! | a panic | dead letter for this message alone; the others of its batch go through |
//!
//! A plugin that counts, joins or removes duplicates keeps state: see `exportStateful` and state.zig. One
//! that aggregates windows of time has other functions than `process`: see `exportAggregator`. One that asks
//! servers sends requests: see http.zig.
//!
//! Memory: `weir.allocator` and everything that this file hands out lives until the call is over, and
//! is freed by itself. What is allocated in `configure` lives as long as the instance. What you keep
//! from call to call comes from `std.heap.wasm_allocator`, or any allocator of yours.
//!
//! A plugin is one thread.

const std = @import("std");
const abi = @import("abi.zig");

pub const log = @import("log.zig");
pub const metrics = @import("metrics.zig");
pub const config = @import("config.zig");
pub const http = @import("http.zig");
pub const state = @import("state.zig");
pub const timers = @import("timers.zig");
const aggregator = @import("aggregator.zig");
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");

/// Memory until the call is over.
pub const allocator = arena.allocator;

pub const Header = abi.Header;
pub const Output = @import("output.zig").Output;
pub const Outputs = @import("output.zig").Outputs;
pub const Message = @import("message.zig").Message;

pub const State = state.State;
pub const Timer = timers.Timer;
pub const Pane = aggregator.Pane;
pub const Timing = aggregator.Timing;

pub const reject = outcome.reject;
pub const retry = outcome.retry;
pub const retryAfter = outcome.retryAfter;
pub const refuse = outcome.refuse;

/// Makes `Plugin` the plugin that this file is. Once, in a `comptime` block.
///
/// `Plugin` is a struct with `pub fn process(self: *Plugin, message: *const Message) !Outputs`, called
/// for each message, and, if it has anything to configure, `pub fn configure(config: Config) !Plugin`,
/// called once on every new instance. `Config` is what stands under `config:` in the pipeline file:
/// a struct (defaults are for what is not there, and an unknown field is an error), or
/// `std.json.Value` to look at it yourself. Without `configure`, every field needs a default.
pub fn exportPlugin(comptime Plugin: type) void {
    const glue = struct {
        fn process(batch: [*]const abi.Message, size: usize) callconv(.c) *const abi.Outcomes {
            const outcomes = arena.alloc(abi.Outcome, size);
            for (batch[0..size], outcomes) |*raw, *made| {
                const message: Message = .of(raw);
                made.* = outcome.of(instance(Plugin).process(&message));
            }
            return outcome.answer(outcomes);
        }
    };
    exportConfigure(Plugin);
    @export(&glue.process, .{ .name = "weir:plugin/handler@0.1.0#process" });
    @export(&forget, .{ .name = "cabi_post_weir:plugin/handler@0.1.0#process" });
}

fn exportConfigure(comptime Plugin: type) void {
    const glue = struct {
        fn configure(ptr: [*]const u8, len: usize) callconv(.c) *const abi.Configured {
            arena.keep(true);
            defer arena.keep(false);
            instance(Plugin).* = outcome.configured(Plugin, ptr[0..len]) catch |failure| {
                return outcome.refused(failure);
            };
            return outcome.taken();
        }
    };
    @export(&glue.configure, .{ .name = "weir:plugin/configurable@0.1.0#configure" });
    @export(&arena.realloc, .{ .name = "cabi_realloc" });
}

fn forget(_: *const anyopaque) callconv(.c) void {
    arena.forget();
}

/// As `exportPlugin`, for a `Plugin` that keeps state, and whose `plugin.yaml` says
/// `world: stateful-operator`. If it sets timers it has
/// `pub fn onTimer(self: *Plugin, timer: *const Timer) !Outputs`, called for each that is due; what it
/// returns has the timer's key.
pub fn exportStateful(comptime Plugin: type) void {
    const glue = struct {
        fn onTimer(due: [*]const abi.Timer, size: usize) callconv(.c) *const abi.Outcomes {
            const outcomes = arena.alloc(abi.Outcome, size);
            for (due[0..size], outcomes) |*raw, *made| {
                const timer: Timer = .of(raw);
                made.* = outcome.of(turn(&timer));
            }
            return outcome.answer(outcomes);
        }

        fn turn(timer: *const Timer) anyerror!Outputs {
            return if (@hasDecl(Plugin, "onTimer")) instance(Plugin).onTimer(timer) else .none;
        }
    };
    exportPlugin(Plugin);
    @export(&glue.onTimer, .{ .name = "weir:state/timer-handler@0.2.0#on-timer" });
    @export(&forget, .{ .name = "cabi_post_weir:state/timer-handler@0.2.0#on-timer" });
}

/// Makes `Plugin` the aggregator that this file is: the arithmetic of windows. Once, in a `comptime` block, and its
/// `plugin.yaml` says `world: aggregator`.
///
/// The host assigns messages to windows, keeps an accumulator for each key and window, and says when one is
/// emitted: the operator's `window:` in the pipeline file decides that. Results must not depend on how
/// messages were grouped: merging two accumulators is the same as adding the messages of both to one.
///
/// `Plugin` may have a `configure`, as for `exportPlugin`, and it has:
///
/// - `pub const Accumulator`: a struct whose fields have defaults, which stand for no messages. It is kept as
///   JSON, and a later version of the plugin must be able to read it.
/// - `pub fn add(self: *Plugin, accumulator: *Accumulator, message: *const Message) !void`, called for each
///   message. An error makes the message a dead letter; the others count.
/// - `pub fn merge(self: *Plugin, left: Accumulator, right: Accumulator) !Accumulator`, of one key: `left` is
///   of the earlier part of the window.
/// - `pub fn emit(self: *Plugin, pane: *const Pane, accumulator: Accumulator) !Outputs`, called with each
///   result of a window. What an output leaves out is empty, but for the key, which is the pane's; the host
///   adds headers that name the window.
///
/// There is no retry here: it is a rejection.
pub fn exportAggregator(comptime Plugin: type) void {
    const glue = aggregator.Glue(Plugin, instance(Plugin));
    exportConfigure(Plugin);
    inline for (.{ "add", "merge", "emit" }) |name| {
        const export_name = "weir:window/aggregation@0.2.0#" ++ name;
        @export(&@field(glue, name), .{ .name = export_name });
        @export(&forget, .{ .name = "cabi_post_" ++ export_name });
    }
}

/// The one plugin of this instance, which is one thread.
fn instance(comptime Plugin: type) *Plugin {
    const one = struct {
        var plugin: Plugin = undefined;
    };
    return &one.plugin;
}
