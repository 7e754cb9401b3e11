//go:build wasip1

package log

//go:wasmimport weir:plugin/log@0.1.0 enabled
func enabled(level Level) bool

//go:wasmimport weir:plugin/log@0.1.0 log
//go:noescape
func write(level Level, text string)
