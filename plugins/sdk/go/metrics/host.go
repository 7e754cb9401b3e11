//go:build wasip1

package metrics

//go:wasmimport weir:plugin/metrics@0.1.0 add
//go:noescape
func add(name string, value uint64)

//go:wasmimport weir:plugin/metrics@0.1.0 set
//go:noescape
func set(name string, value float64)

//go:wasmimport weir:plugin/metrics@0.1.0 observe
//go:noescape
func observe(name string, value float64)
