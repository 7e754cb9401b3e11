//! {{name}}: reports when a sensor reads more than the limit.
//!
//! `weir plugin test` runs it with input.jsonl, and `weir dev` with a NATS server.

const weir = @import("weir");

/// The keys of `config:` in pipeline.yaml.
const Config = struct { limit: f64 };

/// The payload of an input.
const Reading = struct { sensor: []const u8, celsius: f64 };

/// The payload of a result.
const Alert = struct { sensor: []const u8, above_limit: f64 };

const Plugin = struct {
    limit: f64,

    /// Called once, before any message. After an error, the pipeline does not start.
    pub fn configure(config: Config) !Plugin {
        if (config.limit < -273.15) {
            return weir.refuse("`limit` is {d}, which is below absolute zero", .{config.limit});
        }
        weir.log.info("alerts above {d} degrees", .{config.limit});
        return .{ .limit = config.limit };
    }

    /// Called for each message. If `try` fails, the message becomes a dead letter.
    pub fn process(self: *Plugin, message: *const weir.Message) !weir.Outputs {
        const reading = try message.json(Reading);
        const above_limit = reading.celsius - self.limit;
        if (above_limit <= 0) return .none; // drops the message
        const alert: Alert = .{ .sensor = reading.sensor, .above_limit = above_limit };
        return .one(try weir.Output.json(alert));
    }
};

comptime {
    weir.exportPlugin(Plugin);
}
