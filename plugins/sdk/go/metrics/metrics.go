// Package metrics is numbers for whoever watches the pipeline, on the host's /metrics with the
// pipeline's and the operator's name on them.
//
// A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter, and an operator may use up to 64
// names; what breaks these rules is dropped and counted by the host.
package metrics

import "strings"

// Add adds to the counter weir_plugin_counter_total{name}.
func Add(name string, value uint64) { add(valid(name), value) }

// Set sets the gauge weir_plugin_gauge{name}.
func Set(name string, value float64) { set(valid(name), value) }

// Observe records an observation in the histogram weir_plugin_histogram{name}.
func Observe(name string, value float64) { observe(valid(name), value) }

// A name that is not UTF-8 would end the call; the host refuses what becomes of it here.
func valid(name string) string { return strings.ToValidUTF8(name, "?") }
