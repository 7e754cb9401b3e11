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
const arena = @import("arena.zig");
const outcome = @import("outcome.zig");

/// Memory until the call is over.
pub const allocator = arena.allocator;

pub const Header = abi.Header;
pub const Output = @import("output.zig").Output;
pub const Outputs = @import("output.zig").Outputs;
pub const Message = @import("message.zig").Message;

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
        var plugin: Plugin = undefined;

        fn configure(ptr: [*]const u8, len: usize) callconv(.c) *const abi.Configured {
            arena.keep(true);
            defer arena.keep(false);
            plugin = outcome.configured(Plugin, ptr[0..len]) catch |failure| {
                return outcome.refused(failure);
            };
            return outcome.taken();
        }

        fn process(batch: [*]const abi.Message, size: usize) callconv(.c) *const abi.Outcomes {
            const outcomes = arena.alloc(abi.Outcome, size);
            for (batch[0..size], outcomes) |*raw, *made| {
                const message: Message = .of(raw);
                made.* = outcome.of(plugin.process(&message));
            }
            return outcome.answer(outcomes);
        }

        fn processed(_: *const abi.Outcomes) callconv(.c) void {
            arena.forget();
        }
    };
    @export(&glue.configure, .{ .name = "weir:plugin/configurable@0.1.0#configure" });
    @export(&glue.process, .{ .name = "weir:plugin/handler@0.1.0#process" });
    @export(&glue.processed, .{ .name = "cabi_post_weir:plugin/handler@0.1.0#process" });
    @export(&arena.realloc, .{ .name = "cabi_realloc" });
}
