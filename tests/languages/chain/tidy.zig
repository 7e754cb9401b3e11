//! Last in the chain: a posting becomes a booking again.

const weir = @import("weir");

const Booking = struct {
    id: []const u8,
    user: []const u8,
    order: []const u8,
    currency: []const u8,
    cents: i64,
};

const Tidy = struct {
    pub fn process(_: *Tidy, message: *const weir.Message) !weir.Outputs {
        const booking = try message.json(Booking);
        return .one(try weir.Output.json(booking));
    }
};

comptime {
    weir.exportPlugin(Tidy);
}
