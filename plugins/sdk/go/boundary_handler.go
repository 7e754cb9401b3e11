//go:build wasip1 && !weir_aggregator

package weir

import (
	"runtime"
	"unsafe"

	"weir/internal/abi"
)

//go:wasmexport weir:plugin/handler@0.1.0#process
func exportProcess(batch unsafe.Pointer, length uint32) unsafe.Pointer {
	messages := received(abi.List{At: abi.Address(batch), Length: length})
	// The messages themselves keep what they are made of from here on.
	bytes := abi.Release()

	outcomes := make([]outcome, length)
	for index := range messages {
		outcomes[index] = process(&messages[index])
	}
	list := lowered(outcomes)
	if bytes > muchReceived {
		messages = nil
		runtime.GC()
	}
	return list
}

//go:wasmexport cabi_post_weir:plugin/handler@0.1.0#process
func afterProcess(unsafe.Pointer) { forget() }
