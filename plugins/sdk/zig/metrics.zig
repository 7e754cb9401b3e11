//! Numbers for whoever watches the pipeline, on the host's `/metrics`.
//!
//! A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter, and an operator may use up to 64 names;
//! what breaks these rules is dropped and counted by the host.

const host = struct {
    extern "weir:plugin/metrics@0.1.0" fn add(ptr: [*]const u8, len: usize, value: u64) void;
    extern "weir:plugin/metrics@0.1.0" fn set(ptr: [*]const u8, len: usize, value: f64) void;
    extern "weir:plugin/metrics@0.1.0" fn observe(ptr: [*]const u8, len: usize, value: f64) void;
};

/// Adds to the counter `weir_plugin_counter_total{name}`.
pub fn add(name: []const u8, value: u64) void {
    host.add(name.ptr, name.len, value);
}

/// Sets the gauge `weir_plugin_gauge{name}`.
pub fn set(name: []const u8, value: f64) void {
    host.set(name.ptr, name.len, value);
}

/// Records an observation in the histogram `weir_plugin_histogram{name}`.
pub fn observe(name: []const u8, value: f64) void {
    host.observe(name.ptr, name.len, value);
}
